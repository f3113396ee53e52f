"""`ValueAugment` and `MetaEpisode` over a batch of environments that is stepped at once.

Environment i of the batch shows bit for bit what the single wrappers around the environment with
its seed show. (With one exception: where an episode ends in a meta-episode's last step, the
environments below have restarted already and are then reset for the next one. `TaskVectorEnv` keys
each task's randomness anew; foreign environments have drawn one start more.)

The batch restarts ended episodes within the same step (AutoresetMode.SAME_STEP), and
so must the environments below: an autoreset one step later would put a step without an action into
every episode.

The boundaries clear what `vamdp.wrappers` says, for each environment by itself.
"""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space, iterate

from vamdp.batch_value_estimator import BatchValueEstimator
from vamdp.batched_steps import (
    Seeds,
    action_indices,
    as_seeds,
    final_observations,
    masks_from,
    merge_infos,
    plain_seed,
    require_same_step,
)
from vamdp.estimator_options import check_positive_integer
from vamdp.inner_env import (
    StateKey,
    asks_for_new_task,
    discrete_actions,
    episode_time_scale,
    find_layout,
    find_state_key,
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
from vamdp.task_access import TaskAccess

Step = tuple[
    Any, npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]
]


class ValueAugment(TaskAccess, VectorWrapper[Any, Any, Any, Any, Any]):
    """The batched `vamdp.ValueAugment`: the same parts, observations of shape (num_envs, size).

    Where an episode ends, infos["final_obs"] holds its last observation with all parts, a float32
    array (num_envs, size) to be read where the mask "_final_obs" is True.

    Args:
        env: a vector environment with Discrete actions that restarts in the same step.
        task_horizon: see `vamdp.ValueAugment`, as the next five.
        value_scale: see there.
        count_scale: see there.
        state_key: see there; it is called with single observations.
        show_state: see there.
        flatten: see there.
        threads: tasks planned at the same time, see `BatchValueEstimator`.
        **options: the options of the estimator, see `EstimatorOptions`.

    Attributes:
        layout: name of a part -> slice of the vector.
        estimator: the `BatchValueEstimator`.

    Raises:
        ValueError: an argument is out of its range, or `env` restarts in the next step.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        *,
        task_horizon: int,
        value_scale: float = 1.0,
        count_scale: float = 10.0,
        state_key: StateKey | None = None,
        show_state: bool = True,
        flatten: bool = True,
        threads: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(env)
        require_same_step(env)
        refuse_meta_episodes(env)
        check_scale("value_scale", value_scale)
        check_scale("count_scale", count_scale)
        actions = discrete_actions(env.single_action_space)
        self._n_actions, self._first_action = int(actions.n), int(actions.start)
        inner = env.single_observation_space
        self._inner_space = inner
        self._state_key = find_state_key(env, inner, state_key)
        self.task_horizon = task_horizon
        self.value_scale, self.count_scale = float(value_scale), float(count_scale)
        self.estimator = BatchValueEstimator(
            env.num_envs, self._n_actions, task_horizon=task_horizon, threads=threads, **options
        )
        self._encoder = StateEncoder(inner) if show_state else None
        boxes = {"state": self._encoder.box} if self._encoder else {}
        self._parts = Parts({**boxes, **value_boxes(self._n_actions)}, flatten)
        self._values_start = self._parts.layout["advantage"].start
        self.single_observation_space = self._parts.space
        self.observation_space = batch_space(self._parts.space, env.num_envs)
        self._states: npt.NDArray[np.float64] | None = None

    @property
    def layout(self) -> Layout:
        """Name of a part -> slice of the flat observation."""
        return self._parts.layout

    def forget(self, tasks: npt.NDArray[np.bool_] | None = None) -> None:
        """Begin new tasks in the environments of the mask (num_envs,); None: in all."""
        self.estimator.forget(tasks)

    def _task_changed(self) -> None:
        self.forget()
        self._states = None

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode everywhere, or where options["reset_mask"] says; forget new tasks'."""
        fresh = np.array([s is not None for s in as_seeds(seed, self.num_envs)])
        fresh |= asks_for_new_task(options)
        if options and options.get("reset_mask") is not None:
            fresh &= np.asarray(options["reset_mask"], bool)
        # SyncVectorEnv takes entries out of the dict that it is given.
        seed = plain_seed(seed)
        observations, infos = self.env.reset(seed=seed, options=options and dict(options))
        self._states = None  # until all below succeeded
        if fresh.any():
            self.forget(fresh)
        states = self._states_of(observations)
        self._note_masks(infos, states, np.ones(self.num_envs, np.bool_))
        vectors = self._blank(observations)
        self._show(states, vectors)
        self._states = states
        return self._parts.present(vectors), infos

    def step(self, actions: Any) -> Step:
        """Step all environments, learn from the transitions, and show the renewed values.

        Raises:
            ValueError: an action is out of range (nothing is stepped then), or an environment gives
                a reward that is not finite or an impossible state (nothing is learned then, and
                the episodes are over).
            ResetNeeded: no episodes are running.
        """
        if self._states is None:
            raise ResetNeeded("No episodes are running: call reset() before step().")
        indices = action_indices(actions, self._first_action, self._n_actions, self.num_envs)
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        present, self._states = self._states, None  # until all below succeeded
        infos = dict(infos)
        rewards = np.asarray(rewards, np.float64)
        finite = np.isfinite(rewards)
        if not finite.all():
            i = int(np.argmin(finite))
            raise ValueError(f"The reward of `env` must be finite, got {rewards[i]} in number {i}.")
        states = self._states_of(observations)
        ended = np.asarray(terminated | truncated)
        next_states = states
        if ended.any():
            final = final_observations(infos, ended, observations)
            next_states = self._states_of(final)
        allowed = self._masks_reached(infos, next_states, ended, terminated)
        vectors = self._blank(observations)
        self.estimator.learn_and_show(
            present, indices, rewards, next_states, terminated, allowed,
            states, self.value_scale, self.count_scale, self._values_start, vectors,
        )  # fmt: skip
        if next_states is not states:
            final_vectors = self._blank(final)
            self._show(next_states, final_vectors)
            infos["final_obs"] = self._parts.present(final_vectors)
            if self._note_masks(infos, states, ended):
                self._show(states, vectors)
        self._states = states
        return self._parts.present(vectors), rewards, terminated, truncated, infos

    def _note_masks(
        self,
        infos: dict[str, Any],
        states: npt.NDArray[np.float64],
        started: npt.NDArray[np.bool_],
    ) -> bool:
        """Note the masks told of the states in which episodes start; returns whether any was."""
        masks, told = masks_from(infos, self._n_actions, self.num_envs)
        told &= started
        if told.any():
            self.estimator.set_action_masks(states, masks, told)
        return bool(told.any())

    def _masks_reached(
        self,
        infos: dict[str, Any],
        reached: npt.NDArray[np.float64],
        ended: npt.NDArray[np.bool_],
        terminated: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.bool_]:
        """The masks of the states that the step led to, as before where none is told.

        The masks at the top of infos belong to the observations shown: where an episode ended, to
        the next one's start.
        """
        n = self.num_envs
        masks, told = masks_from(infos, self._n_actions, n)
        last_masks, last_told = masks_from(infos.get("final_info", {}), self._n_actions, n)
        told = np.where(ended, last_told, told)
        if not told.any():
            return self.estimator.no_masks
        masks = np.where(ended[:, None], last_masks, masks)
        if not told.all():
            masks = np.where(told[:, None], masks, self.estimator._look_up(reached)[2])
        return self.estimator.check_masks("action_mask", masks, ~terminated)

    def _states_of(self, observations: Any) -> npt.NDArray[np.float64]:
        """Coordinates of the states, (num_envs, d)."""
        if self._state_key is None:
            space: Any = self._inner_space
            if observations.min() < space.start or observations.max() >= space.start + space.n:
                raise ValueError(f"Observations of `env` must be in {space}, got {observations}.")
            coordinates: npt.NDArray[np.float64] = observations.astype(np.float64)[:, None]
            return coordinates
        batched = batch_space(self._inner_space, self.num_envs)
        keys = [self._state_key(one) for one in iterate(batched, observations)]
        try:
            return self.estimator.encode("state_key(observation)", np.asarray(keys))
        except ValueError as error:
            # NumPy and the estimator see the batch; what its author wrote is one key.
            raise ValueError(
                f"`state_key` must return an int or a tuple of numbers, of one length, got {keys}."
            ) from error

    def _blank(self, observations: Any) -> npt.NDArray[np.float32]:
        """New observation vectors, (num_envs, size), of which only the state is written."""
        vectors = np.zeros((self.num_envs, self._parts.size), np.float32)
        if self._encoder is not None:
            self._encoder.write_batch(observations, vectors[:, : self._encoder.size])
        return vectors

    def _show(self, states: npt.NDArray[np.float64], vectors: npt.NDArray[np.float32]) -> None:
        self.estimator.show(states, self.value_scale, self.count_scale, self._values_start, vectors)


class MetaEpisode(TaskAccess, VectorWrapper[Any, Any, Any, Any, Any]):
    """The batched `vamdp.MetaEpisode`; all meta-episodes are in step.

    At step `horizon` terminated is True everywhere, the observation is the next meta-episodes'
    first, and infos carry "final_obs", a float32 array (num_envs, size), and "final_info", both
    with their masks. Ends of inner episodes appear only as "episode_end" (num_envs,) and, where it
    is True before the last step, "last_observation" with its mask.

    Args:
        env: a vector environment with Discrete actions that restarts in the same step.
        horizon: see `vamdp.MetaEpisode`, as the others.
        task_horizon: see there.
        reward_scale: see there.
        flatten: see there.

    Attributes:
        horizon: H.
        layout: name of a part -> slice of the vector.

    Raises:
        ValueError: an argument is out of its range, or `env` restarts in the next step.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        horizon: int,
        *,
        task_horizon: int | None = None,
        reward_scale: float = 1.0,
        flatten: bool = True,
    ) -> None:
        super().__init__(env)
        require_same_step(env)
        refuse_meta_episodes(env)
        check_positive_integer("horizon", horizon)
        check_scale("reward_scale", reward_scale)
        self.horizon = int(horizon)
        self.task_horizon = episode_time_scale(env, task_horizon, self.horizon)
        self.reward_scale = float(reward_scale)
        actions = discrete_actions(env.single_action_space)
        self._n_actions, self._first_action = int(actions.n), int(actions.start)
        self._inner = InnerParts(env.single_observation_space, *find_layout(env))
        self._parts = Parts({**self._inner.boxes, **meta_boxes(self._n_actions)}, flatten)
        self._own_start = self._parts.layout["previous_action"].start
        self.single_observation_space = self._parts.space
        self.observation_space = batch_space(self._parts.space, env.num_envs)
        self._has_recorder = records_statistics(env)
        self._task_is_chosen = False
        self._t = self.horizon  # steps since the tasks began; here: reset is needed
        self._tau = np.zeros(env.num_envs, np.int64)  # steps since the episodes began
        self._returns = np.zeros(env.num_envs)
        self._start_time = 0.0

    @property
    def layout(self) -> Layout:
        """Name of a part -> slice of the flat observation."""
        return self._parts.layout

    def _task_changed(self) -> None:
        self._task_is_chosen = True
        self._t = self.horizon

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start meta-episodes in new tasks, as `vamdp.MetaEpisode.reset`.

        Raises:
            ValueError: options have a "reset_mask": the meta-episodes would fall out of step.
        """
        if options and options.get("reset_mask") is not None:
            raise ValueError(
                "`options['reset_mask']` must be left out: all meta-episodes begin together."
            )
        some_unseeded = any(s is None for s in as_seeds(seed, self.num_envs))
        if some_unseeded and not asks_for_new_task(options) and not self._task_is_chosen:
            options = {**(options or {}), "new_task": True}
        observations, infos = self.env.reset(seed=plain_seed(seed), options=options)
        self._task_is_chosen = False
        self._t = 0
        self._tau[:] = 0
        self._returns[:] = 0
        self._start_time = time.perf_counter()
        vectors = np.zeros((self.num_envs, self._parts.size), np.float32)
        self._inner.write_batch(observations, vectors[:, : self._own_start])
        return self._parts.present(vectors), _without_statistics(infos)

    def step(self, actions: Any) -> Step:
        """Take one step everywhere; at step `horizon`, begin the next meta-episodes.

        Raises:
            ResetNeeded: `reset` was not called, or the task was changed since.
            ValueError: an action is out of range; nothing is stepped then.
        """
        if self._t >= self.horizon:
            raise ResetNeeded("No meta-episodes are running: call reset() before step().")
        n = self.num_envs
        indices = action_indices(actions, self._first_action, self._n_actions, n)
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        infos = dict(infos)
        self._t += 1
        self._tau += 1
        self._returns += rewards
        ended = np.asarray(terminated | truncated)
        over = self._t == self.horizon
        last = final_observations(infos, ended, observations) if ended.any() else observations
        inner_final = infos.pop("final_info", {})
        infos = _without_statistics(infos)
        for name in ("final_obs", "_final_obs", "_final_info"):
            infos.pop(name, None)
        if over:
            observations = last
        else:
            infos["episode_end"], infos["_episode_end"] = ended, np.ones(n, np.bool_)
            self._tau[ended] = 0
            if ended.any():
                infos["last_observation"], infos["_last_observation"] = last, ended.copy()
        vectors = np.zeros((n, self._parts.size), np.float32)
        start = self._own_start
        self._inner.write_batch(observations, vectors[:, :start])
        vectors[np.arange(n), start + indices] = 1
        start += self._n_actions
        vectors[:, start] = rewards / self.reward_scale
        vectors[:, start + 1] = self._tau / self.task_horizon
        vectors[:, start + 2] = self._t / self.horizon
        shown = self._parts.present(vectors)
        meta_ends = np.full(n, over)
        if over:
            shown, infos = self._begin_next(shown, infos, inner_final, ended)
        return shown, rewards, meta_ends, np.zeros(n, np.bool_), infos

    def _begin_next(
        self,
        final: Any,
        infos: dict[str, Any],
        inner_final: dict[str, Any],
        ended: npt.NDArray[np.bool_],
    ) -> tuple[Any, dict[str, Any]]:
        """Reset after the last step; its observation and infos become the final ones."""
        everywhere = np.ones(self.num_envs, np.bool_)
        # Where an inner episode ended in the last step, the infos at the top are its restart's.
        inner_final = _without_statistics(inner_final)
        final_info = merge_infos(infos, inner_final, ended)
        final_info["episode_end"], final_info["_episode_end"] = ended, everywhere.copy()
        if self._has_recorder:
            seconds = round(time.perf_counter() - self._start_time, 6)
            final_info["episode"] = {
                "r": self._returns.copy(),
                "l": np.full(self.num_envs, self.horizon),
                "t": np.full(self.num_envs, seconds),
            }
            final_info["_episode"] = everywhere.copy()
        observations, infos = self.reset()
        infos = {
            **infos,
            "final_obs": final,
            "_final_obs": everywhere,
            "final_info": final_info,
            "_final_info": everywhere.copy(),
        }
        return observations, infos


def _without_statistics(infos: dict[str, Any]) -> dict[str, Any]:
    """A copy without "episode", which outer recorders would take for the meta-episodes'."""
    return {name: value for name, value in infos.items() if name not in ("episode", "_episode")}
