"""What is known of a task: its tables, value iteration on them, and the best that can be done."""
