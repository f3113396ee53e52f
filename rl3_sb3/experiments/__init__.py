"""Experiments that join `vamdp` and `rl3_sb3`: training runs, evaluation, tables, figures, `rl3`."""
