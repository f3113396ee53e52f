"""One training run: its folder, its loop, and how it survives interruptions."""
