"""What agents got: evaluations, tables and figures."""
