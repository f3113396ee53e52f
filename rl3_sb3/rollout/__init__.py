"""Collect rollouts, and store them as whole sequences."""
