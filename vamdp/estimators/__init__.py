"""What is learned of a task while an agent lives in it: values of its states and actions."""
