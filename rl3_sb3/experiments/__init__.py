"""Experiments that join `vamdp` and `rl3_sb3`: runs, evaluation, tables, figures, and `rl3`."""
