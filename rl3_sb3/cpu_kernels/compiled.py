"""`numba.njit` for small kernels, with an on-disk cache that never stops the program.

**References.** numba counts the references to every array, by atomic operations, and prepares each
array that Python passes for it. Both can take longer than the work of a small kernel, which needs
neither: its caller holds all arrays. So a function with ``borrows=True`` counts no references. It
must not create arrays or return any (numba refuses to compile that: "NRT required but not
enabled"), nor call a function that returns newly allocated ones (they would never be freed).

**The cache.** numba stores compiled code in files beside the source, or else in the user's cache
folder. It raises an error when these files cannot be used. This module handles those errors
instead:

- No folder is writable (a read-only container, a cluster's home directory), or the disk is full:
  the code is compiled in memory, and one warning names the remedy.
- A cache file is truncated (a killed copy, a power cut): the file is written again.
- A file of the package has changed: numba compares only the function's own file, but the code also
  holds what that file imports. Here the cache belongs to the contents of all files of the package.

`vamdp` and `rl3_sb3.cpu_kernels` hold identical copies of this file, so that the compiled code of
neither package imports the other.
"""

import functools
import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache
from numba.core.cpu import CPUTargetOptions

# Not a public option of numba (its developers' own comparisons use it). If it goes, functions only
# become slower.
_CAN_COUNT = hasattr(CPUTargetOptions, "_nrt")


def njit(*, borrows: bool = False, **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator that compiles like `numba.njit(**options)`.

    Args:
        borrows: Count no references; see above.
        **options: Those of `numba.njit`.
    """
    is_cached = options.pop("cache", False)
    if _CAN_COUNT:
        options["_nrt"] = not borrows  # set in any case: by default it is the caller's

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if is_cached and dispatcher is not function:  # equal with NUMBA_DISABLE_JIT
            try:
                dispatcher._cache = _ForgivingCache(function)
            except (RuntimeError, OSError) as error:  # no writable folder
                _warn_once(str(error))
        return dispatcher

    return compiled


@functools.cache
def _fingerprint() -> str:
    """Return a hash of the contents of all source files in this file's package."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


class _ForgivingCache(FunctionCache):
    """A cache that counts an unreadable file as missing and stops after a failed write."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        files = self._cache_file
        files._source_stamp = (files._source_stamp, _fingerprint())

    def load_overload(self, *arguments: Any) -> Any:
        """Return the compiled code for a signature, or None."""
        try:
            return super().load_overload(*arguments)
        except Exception:  # unpickling a damaged file may raise anything
            self._write(self.flush)  # otherwise numba reads the damaged index again before it saves
            return None

    def save_overload(self, *arguments: Any) -> None:
        """Save the compiled code for a signature if the folder can be written."""
        self._write(super().save_overload, *arguments)

    def _write(self, write: Callable[..., None], *arguments: Any) -> None:
        try:
            write(*arguments)
        except OSError as error:  # disk full, no permission, quota exceeded
            self.disable()
            _warn_once(str(error))


_has_warned = False


def _warn_once(reason: str) -> None:
    """Warn once per process: what stops one function's cache stops all of them."""
    global _has_warned
    if not _has_warned:
        _has_warned = True
        warnings.warn(
            f"Compiled code cannot be cached, so every process compiles it again ({reason}). Set "
            "NUMBA_CACHE_DIR to a writable folder with free space.",
            RuntimeWarning,
            stacklevel=3,
        )
