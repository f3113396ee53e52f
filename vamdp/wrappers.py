"""The two wrappers that make an MDP a value-augmented one and chain its episodes.

`ValueAugment` learns the task while the agent acts in it, and shows what it learned: advantages,
value and visit counts of the present state (RL3, arXiv 2306.15909, Algorithm 1). `MetaEpisode`
chains the episodes of one task to a budget of H steps and shows what RL2 agents see: the previous
action and reward, and the clocks (Duan et al., arXiv 1611.02779).

What each boundary clears:

    an episode's end     the episode clock
    a new task           the learned model, counts, values; previous action and reward; both clocks

A task begins with ``reset(seed=...)``, with ``reset(options={"new_task": True})`` or
``{"task": ...}``, with ``reset_task``, and with every reset of a `MetaEpisode`. A bare ``reset()``
of a `ValueAugment` starts the next episode of the same task.
"""

import time
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.error import ResetNeeded
from gymnasium.utils import RecordConstructorArgs

from vamdp.estimator_options import check_positive_integer
from vamdp.injected_estimator import InjectedEstimator
from vamdp.inner_env import (
    StateKey,
    asks_for_new_task,
    discrete_actions,
    episode_time_scale,
    find_layout,
    find_state_key,
    place_of,
    records_statistics,
    refuse_meta_episodes,
)
from vamdp.observation import (
    InnerParts,
    Layout,
    Parts,
    StateEncoder,
    check_scale,
    meta_boxes,
    value_boxes,
)
from vamdp.single_step import SingleStep
from vamdp.task_access import TaskAccess
from vamdp.value_estimator import ValueEstimator


class ValueAugment(TaskAccess, gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Adds to each observation what a learner of the present task thinks of the present state.

    The observation is a float32 vector of these parts, in this order (A actions):

        "state"      the inner observation, one-hot if Discrete, else gymnasium.spaces.flatten
        "advantage"  (A,) (Q - max Q) / value_scale; a masked action reads as the worst allowed one
        "value"      (1,) max Q / value_scale
        "count"      (A,) visits of each action / count_scale

    Args:
        env: an environment with Discrete actions. Masks in info["action_mask"] are respected.
        task_horizon: steps of one episode at most, the planning's horizon; at least 1.
        value_scale: what values are divided by, above 0; choose it so that they are about 1.
        count_scale: what counts are divided by, above 0.
        state_key: observation -> int or tuple of numbers, equal for equal states (with an injected
            estimator any hashable). None: a Discrete observation is its own key, else the
            environment's `state_key`. A callable cannot travel in an EnvSpec's JSON.
        show_state: whether the observation has the part "state".
        flatten: False gives a Dict of the parts instead of one vector.
        estimator: a learner to use instead of an own `ValueEstimator`: any object with the methods
            update, q_values, counts and forget of that class.
        **options: the options of the own estimator, see `EstimatorOptions`.

    Attributes:
        layout: name of a part -> slice of the vector.
        estimator: the learner, to look at or to ask.

    Raises:
        ValueError: an argument is out of its range, the actions are not Discrete, or observations
            that are not Discrete have no `state_key`.

    Example:
        >>> import gymnasium, vamdp
        >>> env = vamdp.ValueAugment(gymnasium.make("vamdp/Bandit-v0"), task_horizon=1)
        >>> observation, info = env.reset(seed=0)
        >>> env.layout["advantage"], observation.shape
        (slice(1, 6, None), (12,))
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        *,
        task_horizon: int,
        value_scale: float = 1.0,
        count_scale: float = 10.0,
        state_key: StateKey | None = None,
        show_state: bool = True,
        flatten: bool = True,
        estimator: Any = None,
        **options: Any,
    ) -> None:
        RecordConstructorArgs.__init__(
            self, task_horizon=task_horizon, value_scale=value_scale, count_scale=count_scale,
            state_key=state_key, show_state=show_state, flatten=flatten, estimator=estimator,
            **options,
        )  # fmt: skip
        gymnasium.Wrapper.__init__(self, env)
        refuse_meta_episodes(env)
        check_scale("value_scale", value_scale)
        check_scale("count_scale", count_scale)
        check_positive_integer("task_horizon", task_horizon)
        actions = discrete_actions(env.action_space)
        self._n_actions, self._first_action = int(actions.n), int(actions.start)
        self._state_key = find_state_key(env, env.observation_space, state_key)
        space: Any = env.observation_space
        is_discrete = isinstance(space, spaces.Discrete)
        self._lowest, self._n_observations = (
            (int(space.start), int(space.n)) if is_discrete else (0, 0)
        )
        if estimator is not None and options:
            raise ValueError(
                f"`{next(iter(options))}` must be left out with an `estimator` of your own, got "
                f"{next(iter(options.values()))!r}: set it there."
            )
        self.task_horizon = task_horizon
        self.value_scale, self.count_scale = float(value_scale), float(count_scale)
        self._encoder = StateEncoder(env.observation_space) if show_state else None
        boxes = {"state": self._encoder.box} if self._encoder else {}
        self._parts = Parts({**boxes, **value_boxes(self._n_actions)}, flatten)
        self.observation_space = self._parts.space
        self._is_flat = flatten
        self._zeros = np.zeros(self._parts.size, np.float32)
        if estimator is None:
            estimator = ValueEstimator(self._n_actions, task_horizon=task_horizon, **options)
        self.estimator: Any = estimator
        where = (self.value_scale, self.count_scale, self._parts.layout["advantage"].start)
        self._learner: SingleStep | InjectedEstimator
        if type(estimator) is ValueEstimator:
            self._learner = SingleStep(estimator, *where)
        else:
            self._learner = InjectedEstimator(estimator, self._n_actions, *where)
        if self._learner.n_actions != self._n_actions:
            raise ValueError(
                f"`estimator` must have the {self._n_actions} actions of `env`, got "
                f"{self._learner.n_actions}."
            )
        self._is_running = False

    @property
    def layout(self) -> Layout:
        """Name of a part -> slice of the flat observation."""
        return self._parts.layout

    def forget(self) -> None:
        """Begin a new task: clear the learned model, counts and values."""
        self.estimator.forget()

    def _task_changed(self) -> None:
        self.forget()
        self._is_running = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode; forget if the seed or the options begin a new task."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._is_running = False  # until all below succeeded
        if seed is not None or asks_for_new_task(options):
            self.forget()
        vector = self._zeros.copy()
        self._learner.begin(self._read(observation, vector), info.get("action_mask"), vector)
        self._is_running = True
        return (vector if self._is_flat else self._parts.present(vector)), info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step the environment, learn from the transition, and show the renewed values.

        Raises:
            ResetNeeded: no episode is running: none was begun, or it terminated or failed.
            ValueError: the action is out of range (nothing is stepped then), or the environment
                gives a reward that is not finite or an impossible state (nothing is learned then,
                and the episode is over).
        """
        if not self._is_running:
            raise ResetNeeded("No episode is running: call reset() before step().")
        i = place_of(action, self._first_action, self._n_actions)
        if i < 0:
            raise ValueError(f"`action` must be in {self.action_space}, got {action!r}.")
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._is_running = False  # an error below loses a transition: no next one may follow it
        vector = self._zeros.copy()
        self._learner.step(
            i, float(reward), self._read(observation, vector), bool(terminated),
            info.get("action_mask"), vector,
        )  # fmt: skip
        self._is_running = not terminated
        shown = vector if self._is_flat else self._parts.present(vector)
        return shown, float(reward), terminated, truncated, info

    def _read(self, observation: Any, vector: npt.NDArray[np.float32]) -> Any:
        """Write an observation into a vector (size,) of zeros; returns the key of its state."""
        if self._n_observations:  # Discrete
            place = place_of(observation, self._lowest, self._n_observations)
            if place < 0:
                raise ValueError(
                    f"The observation of `env` must be in {self.env.observation_space}, got "
                    f"{observation!r}."
                )
            if self._encoder is not None:
                vector[place] = 1
            if self._state_key is None:
                return place + self._lowest
        elif self._encoder is not None:
            self._encoder.write(observation, vector[: self._encoder.size])
        assert self._state_key is not None, "looked for on construction"
        return self._state_key(observation)


class MetaEpisode(TaskAccess, gymnasium.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
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

    Raises:
        ValueError: an argument is out of its range, or the actions are not Discrete.

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
        RecordConstructorArgs.__init__(
            self, horizon=horizon, task_horizon=task_horizon, reward_scale=reward_scale,
            flatten=flatten,
        )  # fmt: skip
        gymnasium.Wrapper.__init__(self, env)
        refuse_meta_episodes(env)
        check_positive_integer("horizon", horizon)
        check_scale("reward_scale", reward_scale)
        self.horizon = int(horizon)
        self.task_horizon = episode_time_scale(env, task_horizon, self.horizon)
        self.reward_scale = float(reward_scale)
        actions = discrete_actions(env.action_space)
        self._n_actions, self._first_action = int(actions.n), int(actions.start)
        self._inner = InnerParts(env.observation_space, *find_layout(env))
        self._parts = Parts({**self._inner.boxes, **meta_boxes(self._n_actions)}, flatten)
        self._own_start = self._parts.layout["previous_action"].start
        self.observation_space = self._parts.space
        self._has_recorder = records_statistics(env)
        self._task_is_chosen = False
        self._t = self.horizon  # steps since the task began; here: reset is needed
        self._tau = 0  # steps since the episode began
        self._return = 0.0
        self._start_time = 0.0

    @property
    def layout(self) -> Layout:
        """Name of a part -> slice of the flat observation."""
        return self._parts.layout

    def _task_changed(self) -> None:
        self._task_is_chosen = True
        self._t = self.horizon

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start a meta-episode in a new task: one that was set, or the next one drawn."""
        if seed is None and not asks_for_new_task(options) and not self._task_is_chosen:
            options = {**(options or {}), "new_task": True}
        observation, info = self.env.reset(seed=seed, options=options)
        self._task_is_chosen = False
        self._t = self._tau = 0
        self._return = 0.0
        self._start_time = time.perf_counter()
        vector = np.zeros(self._parts.size, np.float32)
        self._inner.write(observation, vector[: self._own_start])
        return self._parts.present(vector), _without_statistics(info)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one step, and restart the inner episode if it ends before the last.

        Raises:
            ResetNeeded: the meta-episode is over or did not begin.
            ValueError: the action is out of range; nothing is stepped then.
        """
        if self._t >= self.horizon:
            raise ResetNeeded(
                f"The meta-episode of {self.horizon} steps is over or has not begun: call reset()."
            )
        i = place_of(action, self._first_action, self._n_actions)
        if i < 0:
            raise ValueError(f"`action` must be in {self.action_space}, got {action!r}.")
        observation, reward, terminated, truncated, info = self.env.step(action)
        reward = float(reward)
        self._t += 1
        self._tau += 1
        self._return += reward
        episode_end = bool(terminated or truncated)
        over = self._t == self.horizon
        info = _without_statistics(info)
        if episode_end and not over:
            last = {"last_observation": observation, "last_info": info}
            observation, restart_info = self.env.reset()
            info = {**_without_statistics(restart_info), **last}
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
        vector[start] = reward / self.reward_scale
        vector[start + 1] = self._tau / self.task_horizon
        vector[start + 2] = self._t / self.horizon
        return self._parts.present(vector), reward, over, False, info


def _without_statistics(info: dict[str, Any]) -> dict[str, Any]:
    """A copy without "episode", which outer recorders would take for the meta-episode's."""
    return {key: value for key, value in info.items() if key != "episode"}
