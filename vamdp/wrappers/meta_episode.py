"""Chaining the episodes of one task: what an RL2 agent lives through (arXiv 1611.02779)."""

import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils import RecordConstructorArgs
from gymnasium.wrappers import TimeLimit

from vamdp.inner_env import (
    as_end,
    as_reward,
    asks_for_new_task,
    is_refusal,
    place_of,
    plain_seed,
    require_single,
)
from vamdp.wrappers.meta_setup import (
    LARGEST_SHOWN,
    MetaSetup,
    unshowable_reward,
    without_statistics,
)


class MetaEpisode(MetaSetup, gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Chains the episodes of one task to a meta-episode of exactly `horizon` steps.

    An inner episode that ends is restarted within the same step, which costs none: the observation
    is the next episode's first, the reward the last one's. The meta-episode ends with
    terminated=True at step `horizon`, wherever its last episode is; `reset` starts the next task.

    The observation has the inner parts (a plain inner observation is the part "state") and

        "previous_action"  (A,) one-hot; zeros at a new task
        "previous_reward"  (1,) divided by reward_scale; 0 at a new task
        "episode_time"     (1,) steps since the episode began / task_horizon
        "meta_time"        (1,) steps since the task began / horizon

    ``info["episode_end"]`` tells at every step whether an inner episode ended. Where it did, before
    the last step, info is the new episode's, plus "last_observation" and "last_info". Statistics
    that an inner wrapper puts under "episode" are removed, since outer recorders would take them
    for the whole; if there is such a wrapper, the last step has "episode" {r, l, t} of the
    meta-episode.

    Args:
        env: an environment with Discrete actions. What ends its episodes stays: TimeLimit goes
            inside.
        horizon: H, steps of a meta-episode, at least 1.
        task_horizon: what episode_time is divided by; it ends nothing. None: the inner
            ValueAugment's, else spec.max_episode_steps, else `horizon`.
        reward_scale: what previous_reward is divided by, above 0. Rewards stay as they are.
        flatten: False gives a Dict of the parts instead of one vector.

    Attributes:
        horizon: H.
        layout: name of a part -> slice of the vector.
        action_parts: names of the parts with one entry per action; None: unknown.

    Raises:
        ValueError: an argument is out of its range, or the actions are not Discrete.
        TypeError: `env` is a vector environment.

    The episodes of a meta-episode must be in one task: `vamdp.check_tasks` plays an environment and
    says whether they are.

    Example:
        >>> import gymnasium, vamdp
        >>> env = vamdp.MetaEpisode(gymnasium.make("vamdp/Bandit-v0"), horizon=2)
        >>> observation, info = env.reset(seed=0)
        >>> [env.step(0)[2] for _ in range(2)]
        [False, True]
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        horizon: int,
        *,
        task_horizon: int | None = None,
        reward_scale: float = 1.0,
        flatten: bool = True,
    ) -> None:
        require_single(env, "MetaEpisode")
        RecordConstructorArgs.__init__(
            self, horizon=horizon, task_horizon=task_horizon, reward_scale=reward_scale,
            flatten=flatten,
        )  # fmt: skip
        gymnasium.Wrapper.__init__(self, env)
        self._set_up(
            env, env.observation_space, env.action_space, horizon=horizon,
            task_horizon=task_horizon, reward_scale=reward_scale, flatten=flatten,
        )  # fmt: skip
        self.observation_space = self._parts.space
        self._tau = 0  # steps since the episode began
        self._return = 0.0

    @property
    def spec(self) -> EnvSpec | None:  # type: ignore[override] # as gymnasium.Wrapper has it
        """The specification to make this environment from again.

        Its `max_episode_steps` is None, since nothing truncates a meta-episode. The limit of the
        episodes inside is among the wrappers, the first of them.
        """
        spec: EnvSpec | None = super().spec  # a copy of its own
        if spec is not None and spec.max_episode_steps is not None:
            limit = TimeLimit.wrapper_spec(max_episode_steps=spec.max_episode_steps)
            spec.additional_wrappers = (limit, *spec.additional_wrappers)
            spec.max_episode_steps = None
        return spec

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start a meta-episode in a new task: one that was set, or the next one drawn.

        If it fails, none is running, unless options were refused.

        Args:
            seed: the environment's; it begins its streams anew.
            options: "task" sets one. The others reach the meta-episode's first episode only: what
                comes after is restarted by a bare `reset()`.
        """
        seed = plain_seed(seed)
        if seed is None and not asks_for_new_task(options) and not self._task_is_chosen:
            options = {**(options or {}), "new_task": True}
        options = self._with_task_set(options)
        try:
            observation, info = self.env.reset(seed=seed, options=options)
        except BaseException as error:
            if not is_refusal(error, options):
                self._t = self.horizon
            raise
        self._t = self.horizon  # until all below succeeded
        self._task_is_chosen = False
        self._tau = 0
        self._return = 0.0
        self._start_time = time.perf_counter()
        vector = np.zeros(self._parts.size, np.float32)
        self._inner.write(observation, vector[: self._own_start])
        self._t = 0
        return self._parts.present(vector), without_statistics(info)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step, and restart the inner episode if it ends before the last.

        Raises:
            ResetNeeded: the meta-episode is over, did not begin or failed.
            ValueError: the action is out of range (nothing is stepped then), or the environment
                gives a reward that is no finite number or too large to be shown, an end that is no
                bool or an observation outside its space (the meta-episode is over then).
        """
        if self._t >= self.horizon:
            raise ResetNeeded(
                f"The meta-episode of {self.horizon} steps is over, has not begun or failed: call "
                "reset()."
            )
        i = place_of(action, self._first_action, self._n_actions)
        if i < 0:
            raise ValueError(f"`action` must be in {self.action_space}, got {action!r}.")
        t, self._t = self._t + 1, self.horizon  # after an error below no next step may follow
        observation, reward, terminated, truncated, info = self.env.step(action)
        if type(reward) is not float:
            reward = as_reward(reward)
        shown_reward = reward / self.reward_scale
        if not -LARGEST_SHOWN <= shown_reward <= LARGEST_SHOWN:  # also NaN
            raise unshowable_reward("reward", reward, self.reward_scale)
        if type(terminated) is not bool:
            terminated = as_end("terminated", terminated)
        if type(truncated) is not bool:
            truncated = as_end("truncated", truncated)
        self._tau += 1
        self._return += reward
        episode_end = terminated or truncated
        over = t == self.horizon
        info = without_statistics(info)
        if episode_end and not over:
            last = {"last_observation": observation, "last_info": info}
            observation, restart_info = self.env.reset()
            info = {**without_statistics(restart_info), **last}
            self._tau = 0
        info["episode_end"] = episode_end
        if over and self._has_recorder:
            seconds = round(time.perf_counter() - self._start_time, 6)
            info["episode"] = {"r": self._return, "l": self.horizon, "t": seconds}
        vector = np.zeros(self._parts.size, np.float32)
        start = self._own_start
        self._inner.write(observation, vector[:start])
        vector[start + i] = 1
        start += self._n_actions
        vector[start] = shown_reward
        vector[start + 1] = self._tau / self.task_horizon
        vector[start + 2] = t / self.horizon
        self._t = t
        return self._parts.present(vector), reward, over, False, info
