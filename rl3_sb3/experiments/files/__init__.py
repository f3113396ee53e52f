"""Files that are replaced whole or not at all, and folders that one process holds."""
