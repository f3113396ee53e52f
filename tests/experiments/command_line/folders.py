"""What commands must leave alone."""


def contents(path):
    """Return the bytes of every file below a folder."""
    return {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
