"""The error and the warning that the command line prints as one line."""


class InputError(ValueError):
    """The user's input cannot be used; the message has its name, its value and a remedy."""


class RunWarning(UserWarning):
    """Training continues, but not from where the user may expect; the message gives the reason."""
