"""Use the tuple of an observation's integers as its state key, if it holds nothing else.

Equal observations have equal tuples, and different ones have different tuples. Packing all numbers
into a single one would exceed 64 bits for about twenty parts; learners index the states that they
visit themselves.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from vamdp.wrappers.state_encoder import read_numbers


def holds_whole_numbers(space: gymnasium.Space[Any]) -> bool:
    """Whether this is Discrete, MultiDiscrete, MultiBinary, or a Dict or Tuple of these."""
    parts = _parts(space)
    if parts is not None:
        return len(parts) > 0 and all(map(holds_whole_numbers, parts.values()))
    return isinstance(space, (spaces.Discrete, spaces.MultiDiscrete, spaces.MultiBinary))


def whole_numbers(space: gymnasium.Space[Any], observation: Any) -> tuple[int, ...]:
    """Return all integers of one observation, in the order of the space.

    Raises:
        ValueError: The observation is not in the space.
    """
    parts = _parts(space)
    if parts is None:
        return tuple(read_numbers(space, observation).ravel().tolist())
    try:
        each = [(part, observation[place]) for place, part in parts.items()]
    except (KeyError, IndexError, TypeError):
        raise ValueError(
            f"The observation of `env` must be in {space}, got {observation!r}."
        ) from None
    return tuple(number for part, seen in each for number in whole_numbers(part, seen))


def batched_whole_numbers(space: gymnasium.Space[Any], observations: Any) -> npt.NDArray[np.int64]:
    """Return the integers (n, d) of a batch from `read_batch`."""
    parts = _parts(space)
    if parts is None:
        return np.asarray(observations, np.int64).reshape(len(observations), -1)
    each = [batched_whole_numbers(part, observations[place]) for place, part in parts.items()]
    return np.concatenate(each, axis=1)


def _parts(space: Any) -> Mapping[Any, gymnasium.Space[Any]] | None:
    """Return the spaces in a Dict or Tuple by key or index; None for other spaces."""
    if isinstance(space, spaces.Dict):
        return space.spaces
    return dict(enumerate(space.spaces)) if isinstance(space, spaces.Tuple) else None
