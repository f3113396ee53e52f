"""The error that the command line shows as one line."""


class InputError(ValueError):
    """What the user gave cannot be used; the message names it, its value and what to do."""
