"""Is a file a complete checkpoint, and does it fit? Said in words that help.

Completeness is asked before anything is loaded. SB3 reads a checkpoint piece by piece. A truncated
one can even look like a whole archive, because the parameters inside are zip files themselves: then
the failure comes late and says little.
"""

import io
import pathlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rl3_sb3.rollout.rollout_length import LengthError
from rl3_sb3.sequence_policy import SequencePolicy

# What SB3 writes for an on-policy algorithm.
_MEMBERS = {"data", "policy.pth", "policy.optimizer.pth"}


def require_complete_checkpoint(path: str | pathlib.Path | io.BufferedIOBase) -> None:
    """Raise ValueError unless the file (or stream) is an undamaged checkpoint.

    A file that does not exist passes: opening it gives the better error.

    Args:
        path: As SB3 takes it; ".zip" may be missing.
    """
    if isinstance(path, io.BufferedIOBase):
        position = path.tell()
        complete = _is_complete(path)
        path.seek(position)
    else:
        file = pathlib.Path(path)
        file = file if file.is_file() else pathlib.Path(f"{path}.zip")
        complete = not file.is_file() or _is_complete(file)
    if not complete:
        raise ValueError(
            f"`path` must be a complete checkpoint, got {path}, which is truncated, damaged or "
            "something else. Load an earlier checkpoint, or save again."
        )


@contextmanager
def misfits_explained(given: Mapping[str, Any]) -> Iterator[None]:
    """Say what to do where a checkpoint is loaded onto environments that it does not fit.

    Args:
        given: What the caller sets instead of the checkpoint. Where this is the length of rollouts,
            the environment is not to blame.
    """
    try:
        yield
    except LengthError as error:
        if "n_steps" in given:
            raise
        raise ValueError(
            f"`env` must have episodes that fit the checkpoint, got others: {error} "
            "The checkpoint's rollouts and context are fixed: build the environment with "
            "the horizon that the model was trained for."
        ) from error
    except ValueError as error:
        if "spaces do not match" in str(error):
            raise ValueError(
                f"`env` must have the spaces of the checkpoint, got others: {error}. Build the "
                "environment the model was trained on, or load without `env` to predict."
            ) from error
        raise


def require_same_arguments(
    policy_class: type[SequencePolicy], stored: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    """Raise ValueError unless arguments make the policy of a checkpoint.

    What is left out has its default, as in the constructor. What `TransformerPPO` fills in there
    (the context length, and choices like the kind of positions) may be left out.

    Args:
        policy_class: The checkpoint's.
        stored: The checkpoint's `policy_kwargs`, filled in.
        given: The caller's.
    """
    defaults = policy_class.argument_defaults()
    filled_in = {"context_length", *policy_class.default_choices()}
    for name in sorted({*stored, *given}):
        if name in filled_in and given.get(name) is None:
            continue
        was, now = (kwargs.get(name, defaults.get(name)) for kwargs in (stored, given))
        if was != now:
            raise ValueError(
                f"`policy_kwargs` must make the checkpoint's policy, which has {name} = {was!r}, "
                f"got {now!r}. Leave them out: the checkpoint knows them."
            )


def _is_complete(file: pathlib.Path | io.BufferedIOBase) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return set(archive.namelist()) >= _MEMBERS and archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, EOFError):
        return False
