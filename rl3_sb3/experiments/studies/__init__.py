"""Shared by the scripts in examples/studies/: their command line, records, tables and curves."""
