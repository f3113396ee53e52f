"""What the domains made of tiles share: how grids are drawn at random, pictured and shown."""
