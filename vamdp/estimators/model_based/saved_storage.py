"""What is kept of a learner: its storage as plain arrays, and back again where they can be one."""

from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.estimators.model_based.storage import (
    CHANGED,
    FIRST_TRIPLE,
    N_CONCRETE,
    N_RECORDED,
    N_STATES,
    N_TRIPLES,
    NEXT,
    ROW,
    SUCCESSOR,
    Storage,
    allocate,
)
from vamdp.estimators.state_numbers import rehash


def saved_arrays(storage: Storage) -> dict[str, npt.NDArray[Any]]:
    """Copies of what makes up planned models, for `check_storage` to read back."""
    arrays = {name: array.copy() for name, array in storage._asdict().items() if name != "history"}
    arrays["sizes"][:, N_RECORDED] = 0
    return arrays


def check_storage(arrays: Any, n_tasks: int, n_actions: int, n_recorded: int) -> Storage:
    """The arrays of a saved `Storage`, copied, if they can be one.

    Raises:
        ValueError: an array is missing, has another shape or type, or points outside the others.
    """
    try:
        capacity, n_coordinates = np.shape(arrays["keys"])[1:]
        triple_capacity = np.shape(arrays["triple_values"])[2]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(
            f"`state['arrays']` must be those of a saved estimator: {error!r}."
        ) from error
    if triple_capacity < 1:
        raise ValueError("`state['arrays']['triple_values']` must have room for a transition.")
    if capacity < 2 or capacity & (capacity - 1):
        raise ValueError(f"`state['arrays']['keys']` must have 2**n rows a task, got {capacity}.")
    storage = allocate(n_tasks, n_actions, n_coordinates, capacity, triple_capacity, n_recorded)
    for name, room in storage._asdict().items():
        if name == "history":
            continue
        array = np.asarray(arrays.get(name))
        if array.shape != room.shape or array.dtype != room.dtype:
            raise ValueError(
                f"`state['arrays'][{name!r}]` must be {room.dtype} of shape {room.shape}, got "
                f"{array.dtype} of shape {array.shape}."
            )
        room[...] = array
    limits: dict[str, tuple[npt.NDArray[Any], int]] = {
        "sizes": (storage.sizes[:, [N_STATES, N_CONCRETE]], capacity),
        "sizes[:, 2]": (storage.sizes[:, N_TRIPLES], triple_capacity),
        "row_counts": (storage.row_counts[:, FIRST_TRIPLE], triple_capacity),
        "triples[:, 0]": (storage.triples[:, ROW], n_actions * capacity - 1),
        "triples[:, 1]": (storage.triples[:, SUCCESSOR], capacity - 1),
        # A chain leads to ever newer triples, so that it cannot run in a circle.
        "triples[:, 3]": (_links(storage.triples[:, NEXT]), triple_capacity),
        "sizes[:, 5:]": (storage.sizes[:, [N_RECORDED, CHANGED]], 0),
        "ids": (storage.ids + 1, capacity),
    }
    for name, (values, most) in limits.items():
        if values.size and not 0 <= int(values.min()) <= int(values.max()) <= most:
            raise ValueError(f"`state['arrays']`: `{name}` points outside its arrays.")
    rehash(storage.sizes[:, N_CONCRETE], storage.keys, storage.hash_table)
    return storage


def _links(following: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """How far each triple's chain leads on, 0 at its end; negative where it leads back."""
    n = following.shape[1]
    far = following.astype(np.int64) - 1 - np.arange(n)
    far[far == 0] = -1  # to itself
    far[(following == 0)] = 0
    far[following > n] = n + 1
    return far
