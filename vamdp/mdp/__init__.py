"""Known tasks: tabular MDPs, value iteration, and the optimum of a task."""
