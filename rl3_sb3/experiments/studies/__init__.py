"""What the scripts in examples/studies/ share: runs of a sweep as a record, tables and curves."""
