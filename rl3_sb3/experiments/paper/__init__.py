"""Shared by the scripts in examples/paper/: the paper's numbers, and ours beside them."""
