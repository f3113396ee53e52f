"""What the command line shows as one line: the error of bad input, the warning about a run."""


class InputError(ValueError):
    """What the user gave cannot be used; the message names it, its value and what to do."""


class RunWarning(UserWarning):
    """Training goes on, but not quite from where the user would think; the message says why."""
