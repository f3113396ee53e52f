"""Collecting rollouts, and storing them as whole sequences."""
