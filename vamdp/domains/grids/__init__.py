"""Grids of tiles: the random generator, pictures, and rendering."""
