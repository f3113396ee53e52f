"""Kernel-based stochastic factorization, which learns a small MDP from real-valued states."""
