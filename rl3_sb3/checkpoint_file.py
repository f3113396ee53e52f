"""Is a file a complete checkpoint? Asked before anything of it is loaded.

SB3 reads a checkpoint piece by piece. A truncated one can even look like a whole archive, because
the parameters inside are zip files themselves: then the failure comes late and says little.
"""

import io
import pathlib
import zipfile
import zlib

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


def _is_complete(file: pathlib.Path | io.BufferedIOBase) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            return set(archive.namelist()) >= _MEMBERS and archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, EOFError):
        return False
