"""What the scripts in examples/paper/ share: the paper's numbers, and ours beside them."""
