"""Train a policy on a finished rollout: losses, gradients, epochs."""
