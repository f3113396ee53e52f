"""Kernel-based stochastic factorization: a small MDP learned from real-valued states."""
