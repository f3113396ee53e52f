"""What a run is: its settings, their ranges, defaults and texts."""
