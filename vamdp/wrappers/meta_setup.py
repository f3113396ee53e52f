"""What the single and the batched `MetaEpisode` set up alike."""

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

#: Of a reward divided by its scale: the largest float32.
LARGEST_SHOWN = float(np.finfo(np.float32).max)


class MetaSetup(TaskAccess):
    """The budget, and the observation with the parts of meta-episodes.

    Attributes:
        horizon: H.
        task_horizon: what episode_time is divided by.
        reward_scale: what previous_reward is divided by.
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
        """Check the arguments of the constructor, and keep what follows from them."""
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
        """Name of a part -> slice of the flat observation."""
        return self._parts.layout

    @property
    def layout_space(self) -> gymnasium.Space[Any]:
        """The space of a single observation: what wrappers around it show may be another one."""
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
    """What is wrong with a reward that, divided by its scale, is no float32, or no number."""
    return ValueError(
        f"`{name}` must be at most {LARGEST_SHOWN:.2g} times `reward_scale` = {scale:g} in size, "
        f"got {reward!r}: it is shown in 32 bits. Scale the rewards down, or pass a larger "
        "`reward_scale`."
    )


def without_statistics(info: dict[str, Any]) -> dict[str, Any]:
    """A copy without "episode", which outer recorders would take for the meta-episode's."""
    return {name: value for name, value in info.items() if name not in ("episode", "_episode")}
