"""Trained agents to download, each with a record of its training."""
