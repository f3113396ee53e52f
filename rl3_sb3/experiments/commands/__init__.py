"""The commands of `rl3`, one file each.

Each file has a function `add`, which adds the command's parser. Modules that need torch are
imported inside the command.
"""
