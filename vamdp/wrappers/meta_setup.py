"""The setup that the single and the batched `MetaEpisode` share."""

from typing import Any

import gymnasium
import numpy as np

from vamdp.argument_checks import check_positive_integer, check_scale
from vamdp.inner_batch import (
    episode_time_scale,
    find_layout,
    records_statistics,
    refuse_meta_episodes,
)
from vamdp.inner_env import discrete_actions
from vamdp.wrappers.observation import (
    META_ACTION_PARTS,
    ActionParts,
    InnerParts,
    Layout,
    Parts,
    meta_boxes,
)
from vamdp.wrappers.task_access import TaskAccess

#: The largest scaled reward that can be shown: the largest float32.
LARGEST_SHOWN = float(np.finfo(np.float32).max)


class MetaSetup(TaskAccess):
    """Checks the constructor's arguments, and builds the observation of meta-episodes.

    Attributes:
        horizon: H, the number of steps in a meta-episode.
        task_horizon: Divisor of episode_time.
        reward_scale: Divisor of previous_reward.
    """

    def _set_up(
        self,
        env: Any,
        space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        horizon: int,
        task_horizon: int | None,
        reward_scale: float,
        flatten: bool,
    ) -> None:
        """Check the constructor's arguments and derive everything that depends on them."""
        refuse_meta_episodes(env)
        check_positive_integer("horizon", horizon)
        check_scale("reward_scale", reward_scale)
        self.horizon = int(horizon)
        self.task_horizon = episode_time_scale(env, task_horizon, self.horizon)
        self.reward_scale = float(reward_scale)
        actions = discrete_actions(action_space)
        self._n_actions, self._first_action = int(actions.n), int(actions.start)
        self._inner_space = space
        self._inner = InnerParts(space, *find_layout(env))
        self._parts = Parts({**self._inner.boxes, **meta_boxes(self._n_actions)}, flatten)
        self._own_start = self._parts.layout["previous_action"].start
        self._has_recorder = records_statistics(env)
        self._task_is_chosen = False
        self._t = self.horizon  # steps since the task began; here: reset is needed
        self._start_time = 0.0

    @property
    def layout(self) -> Layout:
        """Name of a part -> its slice of the flat observation."""
        return self._parts.layout

    @property
    def layout_space(self) -> gymnasium.Space[Any]:
        """The space that `layout` describes, of one observation; outer wrappers may change it."""
        return self._parts.space

    @property
    def action_parts(self) -> ActionParts:
        """Names of the parts with one entry per action; None if those inside are unknown."""
        inner = self._inner.action_parts
        return None if inner is None else (*inner, *META_ACTION_PARTS)

    def _task_changed(self) -> None:
        self._task_is_chosen = True
        self._t = self.horizon


def unshowable_reward(name: str, reward: float, scale: float) -> ValueError:
    """Return the error for a scaled reward that is NaN or does not fit into float32."""
    return ValueError(
        f"`{name}` must be at most {LARGEST_SHOWN:.2g} times `reward_scale` = {scale:g} in size, "
        f"got {reward!r}: it is shown in 32 bits. Scale the rewards down, or pass a larger "
        "`reward_scale`."
    )


def without_statistics(info: dict[str, Any]) -> dict[str, Any]:
    """Return a copy without "episode", which outer recorders would take for the meta-episode's."""
    return {name: value for name, value in info.items() if name not in ("episode", "_episode")}
