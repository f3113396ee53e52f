"""Observations made of named parts.

The wrappers add parts to an observation: a state, advantages, a reward, clocks. A flat observation
is one float32 vector with the parts one after the other, and a layout that maps each name to its
slice. Otherwise, an observation is a Dict of the parts.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from vamdp.inner_env import is_layout
from vamdp.wrappers.state_encoder import StateEncoder

Float32 = npt.NDArray[np.float32]
Layout = dict[str, slice]

#: Names of the parts with one entry per action; None if unknown.
ActionParts = tuple[str, ...] | None


class Parts:
    """Named boxes and their places in an observation.

    Args:
        boxes: The parts in order, each a one-dimensional Box.
        flat: Whether observations are one vector (True) or a Dict.

    Attributes:
        layout: Name of a part -> its slice of the flat vector.
        size: Length of the flat vector.
        space: The space of a single observation.
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
        """Return the observation with these flat values (..., size), without copying them."""
        if self.flat:
            return vector
        return {name: vector[..., part] for name, part in self.layout.items()}


class InnerParts:
    """Reads the parts of the observations of any wrapped environment.

    The observation of an environment with a `layout` (ours) has the parts of that layout. Any other
    observation is one part, "state".

    Args:
        space: The space of a single observation.
        layout: The `layout` found inside, if any. A foreign attribute of that name is ignored.
        layout_space: The space that `layout` describes. A wrapper in between may scale the parts,
            but not reorder them, as FlattenObservation does with a Dict.
        action_parts: The `action_parts` of the same environment.

    Attributes:
        boxes: Name of a part -> its Box, in order.
        action_parts: Names of the parts with one entry per action; () for a plain observation; None
            if a wrapper in between hides the parts.
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
        if not is_layout(layout):
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
            self.encoder = StateEncoder(space, stacklevel=5)  # there is this frame in between
            self.boxes = {"state": self.encoder.box}
            if self.action_parts:
                self.action_parts = None

    def write(self, observation: Any, out: Float32) -> None:
        """Write one observation into `out` (size,), which must hold zeros."""
        if self.encoder is not None:
            self.encoder.write(observation, out)
        elif isinstance(observation, dict):
            np.concatenate([observation[name] for name in self.boxes], out=out)
        else:
            out[:] = observation

    def write_batch(self, observations: Any, out: Float32) -> None:
        """Write a batch of observations into `out` (n_envs, size), which must hold zeros."""
        if self.encoder is not None:
            self.encoder.write_batch(observations, out)
        elif isinstance(observations, dict):
            np.concatenate([observations[name] for name in self.boxes], axis=1, out=out)
        else:
            out[:] = observations


def meta_boxes(n_actions: int) -> dict[str, spaces.Box]:
    """Return the parts that meta-episodes add."""
    return {
        "previous_action": spaces.Box(0, 1, (n_actions,), np.float32),
        "previous_reward": spaces.Box(-np.inf, np.inf, (1,), np.float32),
        "episode_time": spaces.Box(0, np.inf, (1,), np.float32),
        "meta_time": spaces.Box(0, 1, (1,), np.float32),
    }


#: The names of those with one entry per action.
META_ACTION_PARTS = ("previous_action",)
