"""Films of trained agents: what the camera keeps, and how it is drawn."""
