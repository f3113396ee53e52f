"""One training run: its folder, its loop, and how it resumes after interruptions."""
