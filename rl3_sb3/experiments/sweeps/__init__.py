"""Sweeps: domains x horizons x algorithms x seeds, on this machine or on a Ray cluster."""
