"""What the scripts in examples/studies/ share: their command line, records, tables and curves."""
