"""What the command line prints as one line; errors of other code keep their traceback."""

import os
import sysconfig
import traceback
from pathlib import Path

import vamdp


class InputError(ValueError):
    """The user's input cannot be used; the message has its name, its value and a remedy."""


class RunWarning(UserWarning):
    """Training continues, but not from where the user may expect; the message gives the reason."""


def is_of_others(error: BaseException) -> bool:
    """Return whether an error comes out of code that is neither ours nor installed.

    That is an environment, a learner or an agent of the user, whose files are not the command's.
    """
    library = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    ours = [str(Path(vamdp.__file__).parent), str(Path(__file__).parents[1])]
    known = tuple(os.path.join(folder, "") for folder in (*library, *ours))
    files = (frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(
        not name.startswith((*known, "<"))
        and not {"site-packages", "dist-packages"} & {*Path(name).parts}
        for name in files
    )
