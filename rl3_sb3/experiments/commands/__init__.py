"""The commands of `rl3`, a file each: its options, and what it does with them.

Each has `add`, which adds the command's parser. What needs torch is imported inside.
"""
