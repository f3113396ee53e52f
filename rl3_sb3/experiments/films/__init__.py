"""Films of trained agents: recording and drawing."""
