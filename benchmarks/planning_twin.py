"""The C twin of vamdp's planning, `planning_twin.c`: compiled with what is there, and loaded."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from walks import Walk, WalkArguments

N_ACTIONS = 5
# Contraction would round a product and a sum once, where the library rounds twice.
FLAGS = ["-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC"]


class Twin:
    """The compiled twin.

    Args:
        library: the shared library.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self.step = library.twin_step
        self.step.argtypes = [ctypes.c_void_p, *[ctypes.c_int] * 3, ctypes.c_double]
        self.step.argtypes += [ctypes.c_int] * 2
        self.step_each = library.twin_step_each
        self.step_each.argtypes = [ctypes.c_void_p, ctypes.c_int, *[ctypes.c_void_p] * 4]
        self.step_each.restype = None
        self._new, self._free, self._q = library.twin_new, library.twin_free, library.twin_q
        self._new.argtypes = [ctypes.c_int] * 4 + [ctypes.c_double] * 3
        self._new.restype = ctypes.c_void_p
        self._free.argtypes = self._q.argtypes = [ctypes.c_void_p]
        self._q.restype = ctypes.POINTER(ctypes.c_double)

    def new(self, capacity: int, arguments: WalkArguments) -> int:
        """A model with room for so many states; give it to `free` in the end."""
        options = (arguments.gamma, arguments.tolerance, arguments.smoothing)
        H = arguments.horizon
        model: int = self._new(N_ACTIONS, capacity, H, H, *options)
        return model

    def free(self, model: int) -> None:
        """Give the model's memory back."""
        self._free(model)

    def q_values(self, model: int, capacity: int) -> npt.NDArray[np.float64]:
        """Q (capacity, A) as it stands; a view."""
        return np.ctypeslib.as_array(self._q(model), (N_ACTIONS, capacity)).T


def compile_twin() -> Twin | None:
    """The twin, compiled in a temporary folder; None where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    source = Path(__file__).with_suffix(".c")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "planning_twin.so"
        subprocess.run([compiler, *FLAGS, source, "-o", library, "-lm"], check=True)
        return Twin(ctypes.CDLL(str(library)))


def twin_single(twin: Twin, walk: Walk, arguments: WalkArguments) -> Iterator[tuple[int, int]]:
    """The twin, one call from Python a step; gives its model and the sweeps."""
    model = twin.new(room(walk), arguments)
    for (s, a, s_next), reward, end, S in zip(
        walk.steps.tolist(),
        walk.rewards.tolist(),
        walk.ends.tolist(),
        walk.n_states.tolist(),
        strict=True,
    ):
        yield model, twin.step(model, s, a, s_next, reward, end, S)
    twin.free(model)


def twin_batch(twin: Twin, walks: list[Walk], arguments: WalkArguments) -> Iterator[None]:
    """The twin for all tasks at once, one call from Python a step."""
    models = np.array([twin.new(room(w), arguments) for w in walks], np.uintp)
    columns = [
        np.ascontiguousarray(np.stack([getattr(w, name) for w in walks], axis=1))
        for name in ("steps", "rewards", "ends", "n_states")
    ]
    for t in range(arguments.horizon):
        twin.step_each(
            models.ctypes.data, len(walks), *(column[t].ctypes.data for column in columns)
        )
        yield
    for model in models:
        twin.free(int(model))


def room(walk: Walk) -> int:
    """States that the library has room for at the walk's end: a power of two, two of them free."""
    return 2 ** int(np.ceil(np.log2(walk.n_states[-1] + 2)))
