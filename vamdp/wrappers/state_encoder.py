"""Encode plain observations, one or a batch, as float32 vectors.

The vector is `gymnasium.spaces.flatten` of the observation, which is one-hot for integers. That
function silently encodes an integer out of range as another one, so the leaves are checked and
written here.
"""

import warnings
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from vamdp.inner_env import place_of
from vamdp.space_trees import rows_of

Float32 = npt.NDArray[np.float32]

#: Warn above this many entries: the state then dominates the first layer of a network.
MOST_STATE_ENTRIES = 4096

#: Raise above this many entries (64 MiB): one observation would take too much memory.
MOST_POSSIBLE_ENTRIES = 2**24


class Leaf(NamedTuple):
    """A space inside an observation space that is neither a Dict nor a Tuple.

    Attributes:
        path: Keys and indices that lead to it.
        space: The space.
        part: Its slice of the vector.
        offsets: For a MultiDiscrete, the start of each one-hot vector within that slice.
    """

    path: tuple[Any, ...]
    space: Any
    part: slice
    offsets: npt.NDArray[np.int64]


class StateEncoder:
    """Encodes a plain observation: one-hot if Discrete, else `spaces.flatten` of it.

    Args:
        space: The space of a single observation.
        stacklevel: That of the warning, so that it points to whoever creates the wrapper.

    Raises:
        ValueError: The space has no flat form of a fixed size, or one that is too large.

    Warns:
        UserWarning: The vector is long.
    """

    def __init__(self, space: gymnasium.Space[Any], stacklevel: int = 4) -> None:
        self.space = space
        _check_flat_size(space)  # before anything of this size is allocated
        try:
            flat: Any = spaces.flatten_space(space)
        except NotImplementedError:  # a custom space, such as MiniGrid's missions
            flat = None
        except ValueError:  # a Dict or Tuple without parts
            flat = None
        if not isinstance(flat, spaces.Box):
            raise ValueError(
                f"`env.observation_space` must be flattenable to a Box, got {space}. "
                "Transform it first, or pass show_state=False with a `state_key`."
            )
        self.box = spaces.Box(
            flat.low.astype(np.float32), flat.high.astype(np.float32), dtype=np.float32
        )
        (self.size,) = self.box.shape
        if self.size > MOST_STATE_ENTRIES:
            warnings.warn(
                f"The state takes {self.size} entries of the observation, above "
                f"{MOST_STATE_ENTRIES}. Pass show_state=False to ValueAugment, or make the "
                "observation smaller.",
                stacklevel=stacklevel,
            )
        self._lowest = int(getattr(space, "start", 0)) if type(space) is spaces.Discrete else 0
        self._rows = np.zeros(0, np.int64)  # 0 to n_envs - 1, for the last batch size
        self._leaves: list[Leaf] = []
        self._add_leaves(space, ())

    def _add_leaves(self, space: Any, path: tuple[Any, ...]) -> None:
        """Add the leaves of this space, in the order of `spaces.flatten`."""
        if isinstance(space, (spaces.Dict, spaces.Tuple)):
            inner: Any = space.spaces
            for place in inner if isinstance(inner, dict) else range(len(inner)):
                self._add_leaves(inner[place], (*path, place))
            return
        start = self._leaves[-1].part.stop if self._leaves else 0
        offsets = np.zeros(0, np.int64)
        if isinstance(space, spaces.MultiDiscrete):
            counts = space.nvec.astype(np.int64).ravel()
            offsets = np.cumsum(counts) - counts
        part = slice(start, start + spaces.flatdim(space))
        self._leaves.append(Leaf(path, space, part, offsets))

    def write(self, observation: Any, out: Float32) -> None:
        """Write one observation into `out` (size,), which must hold zeros.

        Raises:
            ValueError: The observation is not in the space.
        """
        if type(self.space) is spaces.Discrete:
            place = place_of(observation, self._lowest, self.size)
            if place < 0:
                raise _outside(self.space, observation)
            out[place] = 1
            return
        for leaf in self._leaves:
            part = observation
            try:
                for place in leaf.path:
                    part = part[place]
            except (KeyError, IndexError, TypeError):
                raise _outside(self.space, observation) from None
            _write_leaf(leaf, part, out[leaf.part])

    def write_batch(self, observations: Any, out: Float32) -> None:
        """Write a batch from `read_batch` into `out` (n_envs, size), which must hold zeros.

        Raises:
            ValueError: A part that `read_batch` could not check, such as a text, is not in its
                space.
        """
        n = len(out)
        if self._rows.size != n:
            self._rows = np.arange(n)
        for leaf in self._leaves:
            part = observations
            for place in leaf.path:
                part = part[place]
            kind, rows = type(leaf.space), out[:, leaf.part]
            if kind is spaces.Discrete:
                rows[self._rows, part - leaf.space.start] = 1
            elif kind is spaces.MultiDiscrete:
                places = leaf.offsets + (part - leaf.space.start).reshape(n, -1)
                np.put_along_axis(rows, places, 1, axis=1)
            elif kind is spaces.Box or kind is spaces.MultiBinary:
                rows[:] = part.astype(leaf.space.dtype, copy=False).reshape(n, -1)
            else:
                for row, one in zip(rows, rows_of(leaf.space, part), strict=True):
                    _write_leaf(leaf, one, row)


def _write_leaf(leaf: Leaf, value: Any, out: Float32) -> None:
    """Write a leaf's value from one observation into `out` (its size,), which must hold zeros."""
    space, kind = leaf.space, type(leaf.space)
    if kind is spaces.Discrete:
        out[read_numbers(space, value) - space.start] = 1
    elif kind is spaces.MultiDiscrete:
        out[leaf.offsets + (read_numbers(space, value) - space.start).ravel()] = 1
    elif kind is spaces.Box or kind is spaces.MultiBinary:
        out[:] = read_numbers(space, value).ravel()
    else:
        try:
            out[:] = np.asarray(spaces.flatten(space, value))
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise _outside(space, value) from error


def read_numbers(space: Any, value: Any) -> npt.NDArray[Any]:
    """Return a value of a Discrete, MultiDiscrete, MultiBinary or Box space as an array.

    Raises:
        ValueError: The shape or type does not fit, or an integer is out of range.
    """
    if isinstance(space, spaces.Discrete):
        place = place_of(value, int(space.start), int(space.n))
        if place < 0:
            raise _outside(space, value)
        return np.array(place + int(space.start))
    if isinstance(space, spaces.MultiDiscrete):
        array = np.asarray(value)
        if array.shape != space.shape or array.dtype.kind not in "iu":
            raise _outside(space, value)
        whole = array.astype(np.int64)
        places = whole - space.start
        if (places < 0).any() or (places >= space.nvec).any():
            raise _outside(space, value)
        return whole
    try:
        array = np.asarray(value, space.dtype)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise _outside(space, value) from None
    if array.shape != space.shape:
        raise _outside(space, value)
    if isinstance(space, spaces.MultiBinary):
        given = np.asarray(value)  # the space's type would cut 257 to 1, and 0.5 to 0
        if not ((given == 0) | (given == 1)).all():
            raise _outside(space, value)
    return array


def _outside(space: gymnasium.Space[Any], value: Any) -> ValueError:
    return ValueError(f"The observation of `env` must be in {space}, got {value!r}.")


def _check_flat_size(space: gymnasium.Space[Any]) -> None:
    """Raise ValueError if one flat observation would take too much memory."""
    try:
        size = spaces.flatdim(space)
    except (NotImplementedError, ValueError):  # it has no flat form
        return
    if size > MOST_POSSIBLE_ENTRIES:
        raise ValueError(
            f"`env.observation_space` must take at most {MOST_POSSIBLE_ENTRIES} entries of an "
            f"observation, got {space} with {size}. Pass show_state=False to ValueAugment, or make "
            "the observation smaller."
        )
