"""Check that a file is a complete checkpoint and fits, and explain in the error if not.

Completeness is checked before anything is loaded, because SB3 reads a checkpoint piece by piece. A
truncated one can even look like a complete archive, since the parameters inside are zip files
themselves; SB3 would then fail late, with an unclear error.
"""

import io
import pathlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rl3_sb3.rollout.rollout_length import ContextError, LengthError
from rl3_sb3.sequence_policy import SequencePolicy

# The files in a checkpoint that SB3 writes for an on-policy algorithm.
_MEMBERS = {"data", "policy.pth", "policy.optimizer.pth"}


def require_complete_checkpoint(path: str | pathlib.Path | io.BufferedIOBase) -> None:
    """Raise ValueError unless the file (or stream) is a complete, undamaged checkpoint.

    A missing file passes, because opening it raises the better error.

    Args:
        path: The file or stream; as in SB3, ".zip" may be left out.
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
            "another kind of file. Load an earlier checkpoint, or save again."
        )


@contextmanager
def misfits_explained(given: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Replace SB3's errors about environments that do not fit a model by clearer ones.

    Args:
        given: The arguments that replace those of a checkpoint. If `n_steps` is one of them, an
            error about lengths is not the environment's fault. None: there is no checkpoint, the
            model gets another environment.
    """
    fixed = "model" if given is None else "checkpoint"
    try:
        yield
    except LengthError as error:
        if "n_steps" not in (given or {}):
            raise ValueError(
                f"`env` must have episodes that fit the {fixed}, got others: {error.misfit} "
                f"The {fixed}'s rollouts and context are fixed: build the environment with "
                "the horizon that the model was trained for."
            ) from error
        if isinstance(error, ContextError):
            raise ValueError(
                f"{error.misfit} The checkpoint's context is fixed: pass a smaller `n_steps`, or "
                "build an environment of shorter episodes."
            ) from error
        raise
    except ValueError as error:
        if "spaces do not match" in str(error):
            remedy = "" if given is None else ", or load without `env` to predict"
            raise ValueError(
                f"`env` must have the spaces of the {fixed}, got others: {error}. Build the "
                f"environment the model was trained on{remedy}."
            ) from error
        raise


def require_same_arguments(
    policy_class: type[SequencePolicy], stored: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    """Raise ValueError unless the arguments create the policy of the checkpoint.

    An argument left out has its default, as in the constructor. The context length and the
    networks' choices, such as the kind of positions, may always be left out.

    Args:
        policy_class: The checkpoint's policy class.
        stored: The checkpoint's `policy_kwargs`, completed.
        given: The caller's `policy_kwargs`.
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
                f"got {now!r}. Leave them out: the checkpoint has them."
            )


def _is_complete(file: pathlib.Path | io.BufferedIOBase) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return set(archive.namelist()) >= _MEMBERS and archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, EOFError):
        return False
