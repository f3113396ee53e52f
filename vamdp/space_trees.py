"""Check, split and join batches of observations of any space, nested spaces included.

Gymnasium batches a Dict as a Dict of batches and a Tuple as a tuple of batches. Box, Discrete,
MultiDiscrete and MultiBinary become one array with one observation per row. Any other space (Text,
Sequence, OneOf, Graph, custom spaces) becomes a tuple of n observations. The functions here walk
the space of a single observation down to these leaves.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

#: Spaces whose batches are one array.
ARRAYS = (spaces.Box, spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)

_COUNTED = (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary)


def as_array(name: str, value: Any) -> npt.NDArray[Any]:
    """Return a simulator's output as a NumPy array; a tensor must be in CPU memory.

    Raises:
        TypeError: NumPy cannot read it.
    """
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(
            f"{name} must be arrays that NumPy can read, got {type(value).__name__}: {error} "
            "If they are GPU tensors, wrap `env` in gymnasium.wrappers.vector.ArrayConversion."
        ) from error


def read_batch(
    space: gymnasium.Space[Any], batch: Any, n: int, *, whole: bool = True, at: str = ""
) -> Any:
    """Return a batch of n observations, checked, with arrays at the leaves that Gymnasium batches.

    Numbers of a Box are cast to its type, as SyncVectorEnv does.

    Args:
        space: The space of a single observation.
        batch: The observations. An array that is already correct is not copied.
        n: Number of observations.
        whole: Whether every row is an observation. False: some rows will be ignored, so the range
            of integers is not checked.
        at: Which part of the observations this is, for error messages.

    Raises:
        ValueError: A shape, type or length is wrong, or an integer is out of range.
        TypeError: NumPy cannot read an array.
    """
    if isinstance(space, ARRAYS):
        shape = (n, *space.shape)  # type: ignore[misc] # these have one
        if type(batch) is not np.ndarray or batch.dtype != space.dtype or batch.shape != shape:
            batch = _converted(space, batch, shape, at)
        if whole and isinstance(space, _COUNTED):
            _check_range(space, batch, at)
        return batch
    if isinstance(space, spaces.Dict):
        if not isinstance(batch, Mapping) or any(name not in batch for name in space.spaces):
            raise ValueError(
                f"The observations{at} of `env` must be a dict with keys {list(space.spaces)}, got "
                f"{list(batch) if isinstance(batch, Mapping) else type(batch).__name__}."
            )
        return {
            name: read_batch(part, batch[name], n, whole=whole, at=f"{at}[{name!r}]")
            for name, part in space.spaces.items()
        }
    if isinstance(space, spaces.Tuple):
        if not isinstance(batch, (tuple, list)) or len(batch) != len(space.spaces):
            raise ValueError(
                f"The observations{at} of `env` must be a tuple of {len(space.spaces)} batches, "
                f"got {_size_of(batch)}."
            )
        return tuple(
            read_batch(part, each, n, whole=whole, at=f"{at}[{k}]")
            for k, (part, each) in enumerate(zip(space.spaces, batch, strict=True))
        )
    if not isinstance(batch, (tuple, list, np.ndarray)) or len(batch) != n:
        raise ValueError(
            f"The observations{at} of `env` must be a tuple of {n}, one per environment, got "
            f"{_size_of(batch)}."
        )
    return batch


def _converted(
    space: gymnasium.Space[Any], batch: Any, shape: tuple[int, ...], at: str
) -> npt.NDArray[Any]:
    array = as_array(f"The observations{at} of `env`", batch)
    is_counted = isinstance(space, (spaces.Discrete, spaces.MultiDiscrete))
    if array.shape != shape or array.dtype.kind not in ("iu" if is_counted else "iufb"):
        raise ValueError(
            f"The observations{at} of `env` must be {'integers' if is_counted else 'numbers'} of "
            f"shape {shape}, got {array.dtype} of shape {array.shape}."
        )
    if isinstance(space, spaces.Box):
        return array.astype(space.dtype, copy=False)  # a state key must not depend on who casts
    return array.astype(np.int64) if is_counted else array


def _check_range(
    space: spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary,
    batch: npt.NDArray[Any],
    at: str,
) -> None:
    good: Any
    if isinstance(space, spaces.Discrete):
        start, n = int(space.start), int(space.n)
        if batch.dtype == np.int64:  # one comparison for both bounds: negatives are huge unsigned
            places = batch - start if start else batch
            if np.count_nonzero(places.view(np.uint64) < n) == places.size:
                return
        good = (batch >= start) & (batch < start + n)
        if good.all():
            return
    else:
        if isinstance(space, spaces.MultiBinary):
            each = (batch == 0) | (batch == 1)
        else:
            places = batch.astype(np.int64) - space.start  # small types would overflow
            each = (places >= 0) & (places < space.nvec)
        if each.all():
            return
        good = each.reshape(len(batch), -1).all(axis=1)
    i = int(np.argmin(good))
    raise ValueError(
        f"The observations{at} of `env` must be in {space}, got {batch[i]} from environment {i}."
    )


def _size_of(batch: Any) -> str:
    name = type(batch).__name__
    return f"{name} of length {len(batch)}" if hasattr(batch, "__len__") else name


def rows_of(space: gymnasium.Space[Any], batch: Any) -> list[Any]:
    """Return the single observations of a batch that `read_batch` has checked."""
    if isinstance(space, spaces.Dict):
        parts = [rows_of(part, batch[name]) for name, part in space.spaces.items()]
        return [dict(zip(space.spaces, row, strict=True)) for row in zip(*parts, strict=True)]
    if isinstance(space, spaces.Tuple):
        each = [rows_of(part, b) for part, b in zip(space.spaces, batch, strict=True)]
        return list(zip(*each, strict=True))
    return list(batch)


def with_rows(
    space: gymnasium.Space[Any], batch: Any, rows: Sequence[Any], where: npt.NDArray[np.intp]
) -> Any:
    """Return a copy of a checked batch in which single observations replace the rows `where`.

    Raises:
        ValueError: A replacement is not an observation of the space.
    """
    if isinstance(space, spaces.Dict):
        return {
            name: with_rows(part, batch[name], [_item(space, r, name) for r in rows], where)
            for name, part in space.spaces.items()
        }
    if isinstance(space, spaces.Tuple):
        return tuple(
            with_rows(part, batch[k], [_item(space, r, k) for r in rows], where)
            for k, part in enumerate(space.spaces)
        )
    if isinstance(space, ARRAYS):
        last = as_array('infos["final_obs"] of `env`', rows)
        shape = (len(rows), *space.shape)  # type: ignore[misc] # these have one
        if last.shape != shape or last.dtype.kind not in "iufb":
            raise ValueError(
                f'infos["final_obs"] of `env` must be observations in {space}, got {last.dtype} of '
                f"shape {last.shape[1:]}."
            )
        is_counted = isinstance(space, (spaces.Discrete, spaces.MultiDiscrete))
        # Widen the type: casting would wrap an integer that is out of range and hide the error.
        copy = batch.astype(np.result_type(batch, last) if is_counted else batch.dtype)
        copy[where] = last
        return copy
    each = list(batch)
    for i, row in zip(where, rows, strict=True):
        each[i] = row
    return tuple(each)


def _item(space: gymnasium.Space[Any], row: Any, place: Any) -> Any:
    """Return one component of a single observation of a Dict or Tuple."""
    try:
        return row[place]
    except (KeyError, IndexError, TypeError):
        raise ValueError(
            f"The observation of `env` must be in {space}, got {row!r}, which has no {place!r}."
        ) from None


def choose(
    space: gymnasium.Space[Any], chosen: npt.NDArray[np.bool_], these: Any, others: Any
) -> Any:
    """Return the rows of `these` where `chosen` (n,) is True, else those of `others`."""
    if isinstance(space, spaces.Dict):
        return {
            name: choose(part, chosen, these[name], others[name])
            for name, part in space.spaces.items()
        }
    if isinstance(space, spaces.Tuple):
        return tuple(
            choose(part, chosen, a, b)
            for part, a, b in zip(space.spaces, these, others, strict=True)
        )
    if isinstance(space, ARRAYS):
        if others.ndim > 1:
            chosen = chosen.reshape(-1, *[1] * (others.ndim - 1))
        return np.where(chosen, these, others)
    return tuple(a if c else b for c, a, b in zip(chosen, these, others, strict=True))


def as_info(space: gymnasium.Space[Any], batch: Any) -> Any:
    """Return a batch as vector infos store it: one entry per environment, under each Dict key."""
    if isinstance(space, spaces.Dict):
        return {name: as_info(part, batch[name]) for name, part in space.spaces.items()}
    if isinstance(space, ARRAYS):
        return batch
    rows = rows_of(space, batch)
    entries = np.empty(len(rows), object)
    for i, row in enumerate(rows):
        entries[i] = row
    return entries
