"""Observations made of named parts.

The wrappers add parts to an observation: a state, advantages, a reward, clocks. Flat, the parts lie
one after the other in one float32 vector, and a layout maps each name to its slice; apart, they are
a Dict of the same names.
"""

import warnings
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

Float32 = npt.NDArray[np.float32]
Layout = dict[str, slice]

#: Names of the parts with one entry per action; None: unknown.
ActionParts = tuple[str, ...] | None

#: A one-hot state above this many entries makes a network's first layer the largest: warn.
MOST_STATE_ENTRIES = 4096

#: Above this many (64 MiB) not even one observation should be made.
MOST_POSSIBLE_ENTRIES = 2**24


class StateEncoder:
    """A plain observation as a float32 vector: one-hot if Discrete, else `spaces.flatten` of it.

    Args:
        space: the space of a single observation.

    Raises:
        ValueError: the space has no flat form of a fixed size, or a huge one.
    """

    def __init__(self, space: gymnasium.Space[Any]) -> None:
        self.space = space
        self.discrete = isinstance(space, spaces.Discrete)
        _check_flat_size(space)  # before anything of this size is allocated
        try:
            flat: Any = spaces.flatten_space(space)
        except NotImplementedError:  # a space of the environment's own, like MiniGrid's missions
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
                f"{MOST_STATE_ENTRIES}. Pass show_state=False, or make the observation smaller.",
                stacklevel=4,
            )

    def write(self, observation: Any, out: Float32) -> None:
        """Write one observation into out (size,), which holds zeros."""
        if self.discrete:
            out[observation - self.space.start] = 1  # type: ignore[attr-defined] # Discrete has it
        else:
            out[:] = np.asarray(spaces.flatten(self.space, observation))

    def write_batch(self, observations: Any, out: Float32) -> None:
        """Write a batch of observations into out (n_envs, size), which holds zeros."""
        if self.discrete:
            start = self.space.start  # type: ignore[attr-defined] # Discrete has it
            out[np.arange(len(out)), observations - start] = 1
        elif isinstance(self.space, spaces.Box):
            out[:] = observations.reshape(len(out), -1)
        else:
            batched = gymnasium.vector.utils.batch_space(self.space, len(out))
            for row, observation in zip(
                out, gymnasium.vector.utils.iterate(batched, observations), strict=True
            ):
                self.write(observation, row)


def _check_flat_size(space: gymnasium.Space[Any]) -> None:
    """Raise ValueError if the flat form is so large that one observation would fill the memory."""
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


class Parts:
    """Named boxes and how they lie in an observation.

    Args:
        boxes: the parts in their order, each a one-dimensional Box.
        flat: whether observations are one vector (True) or a Dict.

    Attributes:
        layout: name -> slice of the flat vector.
        size: length of the flat vector.
        space: the space of a single observation.
    """

    def __init__(self, boxes: Mapping[str, spaces.Box], flat: bool) -> None:
        self.boxes = dict(boxes)
        self.flat = flat
        self.layout: Layout = {}
        self.size = 0
        for name, box in self.boxes.items():
            self.layout[name] = slice(self.size, self.size + box.shape[0])
            self.size += box.shape[0]
        self.space: spaces.Box | spaces.Dict
        if flat:
            low = np.concatenate([box.low for box in self.boxes.values()])
            high = np.concatenate([box.high for box in self.boxes.values()])
            self.space = spaces.Box(low, high, dtype=np.float32)
        else:
            self.space = spaces.Dict(dict[str, gymnasium.Space[Any]](self.boxes))

    def present(self, vector: Float32) -> Float32 | dict[str, Float32]:
        """The observation with these flat values, (..., size); the values are not copied."""
        if self.flat:
            return vector
        return {name: vector[..., part] for name, part in self.layout.items()}


class InnerParts:
    """Reads the flat parts of what a wrapped environment shows, whatever made it.

    An environment with a `layout` (ours) keeps its parts; any other observation is one part,
    "state".

    Args:
        space: the space of a single observation.
        layout: the `layout` found below, if any; foreign ones are passed over.
        layout_space: the space that it is of. A wrapper in between may have scaled the parts, but
            not reordered them as FlattenObservation does with a Dict.
        action_parts: what its owner says of them.

    Attributes:
        boxes: the parts by their names, in order.
        action_parts: those with one entry per action. A plain observation has none; where a wrapper
            in between hides the parts, they are unknown.
    """

    def __init__(
        self,
        space: gymnasium.Space[Any],
        layout: Any = None,
        layout_space: gymnasium.Space[Any] | None = None,
        action_parts: ActionParts = None,
    ) -> None:
        self.encoder: StateEncoder | None = None
        self.action_parts: ActionParts = action_parts
        if not _is_layout(layout):
            layout, self.action_parts = {}, ()
        elif type(layout_space) is not type(space):
            layout = {}
        size = max((part.stop for part in layout.values()), default=0)
        if layout and isinstance(space, spaces.Box) and space.shape == (size,):
            self.boxes = {
                name: spaces.Box(space.low[part], space.high[part], dtype=np.float32)
                for name, part in layout.items()
            }
        elif layout and isinstance(space, spaces.Dict) and set(space) == set(layout):
            self.boxes = {name: space[name] for name in layout}  # type: ignore[misc] # ours are boxes
        else:
            self.encoder = StateEncoder(space)
            self.boxes = {"state": self.encoder.box}
            if self.action_parts:
                self.action_parts = None

    def write(self, observation: Any, out: Float32) -> None:
        """Write one observation into out (size,), which holds zeros."""
        if self.encoder is not None:
            self.encoder.write(observation, out)
        elif isinstance(observation, dict):
            np.concatenate([observation[name] for name in self.boxes], out=out)
        else:
            out[:] = observation

    def write_batch(self, observations: Any, out: Float32) -> None:
        """Write a batch of observations into out (n_envs, size), which holds zeros."""
        if self.encoder is not None:
            self.encoder.write_batch(observations, out)
        elif isinstance(observations, dict):
            np.concatenate([observations[name] for name in self.boxes], axis=1, out=out)
        else:
            out[:] = observations


def _is_layout(layout: Any) -> bool:
    """Whether it is one of ours, and not an attribute of the same name, like a map's."""
    return isinstance(layout, dict) and all(isinstance(part, slice) for part in layout.values())


def meta_boxes(n_actions: int) -> dict[str, spaces.Box]:
    """The parts that meta-episodes add."""
    return {
        "previous_action": spaces.Box(0, 1, (n_actions,), np.float32),
        "previous_reward": spaces.Box(-np.inf, np.inf, (1,), np.float32),
        "episode_time": spaces.Box(0, np.inf, (1,), np.float32),
        "meta_time": spaces.Box(0, 1, (1,), np.float32),
    }


#: Those with one entry per action.
META_ACTION_PARTS = ("previous_action",)
