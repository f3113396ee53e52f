"""The settings of a run: their ranges, defaults and help texts."""
