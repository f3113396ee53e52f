"""The learner of the RL3 paper: counts, a model estimated from them, and value iteration on it."""
