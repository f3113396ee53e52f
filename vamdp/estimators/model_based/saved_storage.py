"""Save a learner's storage as plain arrays, and restore it after checking them."""

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
    """Return copies of the arrays that `check_storage` needs to restore planned models."""
    arrays = {name: array.copy() for name, array in storage._asdict().items() if name != "history"}
    arrays["sizes"][:, N_RECORDED] = 0
    return arrays


def check_storage(arrays: Any, n_tasks: int, n_actions: int, n_recorded: int) -> Storage:
    """Return a `Storage` with copies of saved arrays, after checking them.

    Raises:
        ValueError: An array is missing, has another shape or type, or has an index out of range.
    """
    try:
        capacity, n_coordinates = np.shape(arrays["keys"])[1:]
        triple_capacity = np.shape(arrays["triple_values"])[2]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(
            f"`state['arrays']` must be those of a saved estimator: {error!r}."
        ) from error
    if triple_capacity < 1:
        raise ValueError("`state['arrays']['triple_values']` must have space for a transition.")
    if capacity < 2 or capacity & (capacity - 1):
        raise ValueError(f"`state['arrays']['keys']` must have 2**n rows per task, got {capacity}.")
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
        # A chain leads only to newer triples, so it cannot contain a cycle.
        "triples[:, 3]": (_links(storage.triples[:, NEXT]), triple_capacity),
        "sizes[:, 5:]": (storage.sizes[:, [N_RECORDED, CHANGED]], 0),
        "ids": (storage.ids + 1, capacity),
    }
    for name, (values, most) in limits.items():
        if values.size and not 0 <= int(values.min()) <= int(values.max()) <= most:
            raise ValueError(f"`state['arrays']`: `{name}` has an index out of range.")
    rehash(storage.sizes[:, N_CONCRETE], storage.keys, storage.hash_table)
    return storage


def _links(following: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Return the distance to the next triple of each chain; 0 at its end, negative if backwards."""
    n = following.shape[1]
    far = following.astype(np.int64) - 1 - np.arange(n)
    far[far == 0] = -1  # to itself
    far[(following == 0)] = 0
    far[following > n] = n + 1
    return far
