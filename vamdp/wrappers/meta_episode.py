"""Chain the episodes of one task into the meta-episode of an RL2 agent (arXiv 1611.02779)."""

import copy
import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils import RecordConstructorArgs
from gymnasium.wrappers import TimeLimit

from vamdp.inner_batch import is_refusal, task_marks
from vamdp.inner_env import as_end, as_reward, asks_for_new_task, place_of, require_single
from vamdp.seeds import plain_seed
from vamdp.wrappers.meta_setup import (
    LARGEST_SHOWN,
    MetaSetup,
    unshowable_reward,
    without_statistics,
)


class MetaEpisode(MetaSetup, gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Chains the episodes of one task into a meta-episode of exactly `horizon` steps.

    When an inner episode ends, the next one starts within the same step: the observation is the
    first of the new episode, the reward is the last of the old one. The meta-episode ends with
    terminated=True at step `horizon`, even in the middle of an episode. `reset` starts the next
    task.

    All episodes of a meta-episode must belong to one task. Call `vamdp.check_tasks` to find out
    whether they do.

    The observation has the inner parts (a plain inner observation becomes the part "state") and

        "previous_action"  (A,) one-hot; zeros at a new task
        "previous_reward"  (1,) divided by reward_scale; 0 at a new task
        "episode_time"     (1,) steps since the episode began / task_horizon
        "meta_time"        (1,) steps since the task began / horizon

    ``info["episode_end"]`` is True in a step that ends an inner episode. Unless it is the last
    step, info is then the new episode's, with "last_observation" and "last_info" of the old one.
    Statistics that an inner wrapper puts under "episode" are removed, because outer recorders would
    take them for the meta-episode's. If there is such a wrapper, the last step has "episode"
    {r, l, t} of the meta-episode.

    Args:
        env: An environment with Discrete actions. A TimeLimit on its episodes goes inside.
        horizon: H, the number of steps in a meta-episode, at least 1.
        task_horizon: Divisor of episode_time, at least 1; it does not end episodes. None: that of
            the inner ValueAugment, else spec.max_episode_steps, else `horizon`.
        reward_scale: Divisor of previous_reward, above 0. The returned rewards are not scaled.
        flatten: False gives a Dict of the parts instead of one vector.

    Attributes:
        horizon: H.
        layout: Name of a part -> its slice of the vector.
        action_parts: Names of the parts with one entry per action; None if unknown.

    Raises:
        ValueError: An argument is out of range, or the actions are not Discrete.
        TypeError: `env` is a vector environment.

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
        """The specification from which this environment can be made again.

        Its `max_episode_steps` is None, because nothing truncates a meta-episode. The time limit of
        the inner episodes is the first of its wrappers.
        """
        spec: EnvSpec | None = super().spec  # a copy, so it may be changed
        if spec is not None and spec.max_episode_steps is not None:
            limit = TimeLimit.wrapper_spec(max_episode_steps=spec.max_episode_steps)
            spec.additional_wrappers = (limit, *spec.additional_wrappers)
            spec.max_episode_steps = None
        return spec

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start a meta-episode in a new task: the one that was set, or the next one drawn.

        If this raises, no meta-episode is running, unless `env` rejected the options before it
        changed anything.

        Args:
            seed: Passed to the environment; it restarts the environment's random streams. An
                environment whose methods draw the tasks (`reset_task`, or `sample_tasks` and
                `set_task`) and not its `reset` keeps its task then: the next reset without a seed
                draws one.
            options: "task" sets the task. Other options apply to the first episode only, because
                later episodes are started with a bare `reset()`.
        """
        seed = plain_seed(seed)
        begins_task = seed is not None or asks_for_new_task(options)
        if not begins_task and not self._task_is_chosen:
            options = {**(options or {}), "new_task": True}
        options = self._with_task_set(options)
        before = task_marks(self.env, options)
        try:
            observation, info = self.env.reset(seed=seed, options=options)
        except BaseException as error:
            if not is_refusal(error, options, self.env, before, begins_task):
                self._t = self.horizon
            raise
        self._t = self.horizon  # until everything below has succeeded
        self._task_is_chosen = False
        self._tau = 0
        self._return = 0.0
        self._start_time = time.perf_counter()
        vector = np.zeros(self._parts.size, np.float32)
        self._inner.write(observation, vector[: self._own_start])
        self._t = 0
        return self._parts.present(vector), without_statistics(info)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step; if it ends an inner episode, start the next one unless H is reached.

        Raises:
            ResetNeeded: The meta-episode is over, was not started, or failed.
            ValueError: The action is out of range (the environment is not stepped), or the
                environment returns a reward that is not finite or does not fit into 32 bits, a
                `terminated` or `truncated` that is not a bool, or an observation of another shape
                than its space's or with an integer outside it (the meta-episode is then over). The
                bounds of a Box are not checked.
        """
        if self._t >= self.horizon:
            raise ResetNeeded(
                f"The meta-episode of {self.horizon} steps is over, has not begun or failed: call "
                "reset()."
            )
        i = place_of(action, self._first_action, self._n_actions)
        if i < 0:
            raise ValueError(f"`action` must be in {self.action_space}, got {action!r}.")
        t, self._t = self._t + 1, self.horizon  # after an error below, reset is needed
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
            # An environment may write the next observation into the same array.
            is_array = type(observation) is np.ndarray  # which has a faster copy
            kept = observation.copy() if is_array else copy.deepcopy(observation)
            last = {"last_observation": kept, "last_info": info}
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
