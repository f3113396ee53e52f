"""`numba.njit`, with a cache of compiled code that may fail.

numba keeps compiled code in files beside the source, else in the user's cache folder. What is wrong
with these folders costs compilation time here, never the program: where none can be written (a
read-only container, a cluster's home) or there is no room left, the code is compiled in memory, and
one warning says what to do; a file that was cut short (a killed copy, a power cut) is written anew.
numba itself raises in all these cases.

`rl3_sb3.cpu_kernels` has the same file: neither package's compiled code may need the other's.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numba
from numba.core.caching import FunctionCache


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Do as `numba.njit` with these options."""
    is_cached = options.pop("cache", False)

    def compiled(function: Callable[..., Any]) -> Any:
        dispatcher = numba.njit(**options)(function)
        if is_cached and dispatcher is not function:  # it is with NUMBA_DISABLE_JIT
            try:
                dispatcher._cache = _ForgivingCache(function)
            except (RuntimeError, OSError) as error:  # no folder that can be written
                _warn_once(str(error))
        return dispatcher

    return compiled


class _ForgivingCache(FunctionCache):
    """Finds nothing where it cannot read, and gives up where it cannot write."""

    def load_overload(self, *arguments: Any) -> Any:
        """Return the compiled code for a signature, or None."""
        try:
            return super().load_overload(*arguments)
        except Exception:  # unpickling a damaged file may raise anything
            self._write(self.flush)  # else numba would read the damaged index before it writes
            return None

    def save_overload(self, *arguments: Any) -> None:
        """Keep the compiled code for a signature, if there is room."""
        self._write(super().save_overload, *arguments)

    def _write(self, write: Callable[..., None], *arguments: Any) -> None:
        try:
            write(*arguments)
        except OSError as error:  # no room, no right, a quota
            self.disable()
            _warn_once(str(error))


_has_warned = False


def _warn_once(reason: str) -> None:
    """Warn for the first of the functions; the others have the same fate."""
    global _has_warned
    if not _has_warned:
        _has_warned = True
        warnings.warn(
            f"Compiled code cannot be kept, so that every process compiles anew ({reason}). Set "
            "NUMBA_CACHE_DIR to a folder that can be written and has room.",
            RuntimeWarning,
            stacklevel=3,
        )
