"""Trained agents to download, each with the record of how it came to be."""
