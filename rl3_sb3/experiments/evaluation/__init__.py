"""Agents play held-out tasks: total rewards, and what an evaluation stores of them."""
