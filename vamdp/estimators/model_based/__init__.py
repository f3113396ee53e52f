"""The learner of the paper: counts, the model that they make, and value iteration on it."""
