"""Add values to the observations of a batch of environments."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space

from vamdp.estimators.arguments import LARGEST_REWARD, as_flags, check_each, reward_error
from vamdp.estimators.choice import check_written, writes_finite
from vamdp.estimators.state_arguments import State, as_coordinates, as_key, state_coordinates
from vamdp.inner_batch import is_refusal, task_marks, task_seeds
from vamdp.inner_env import StateKey, asks_for_new_task, require_vector
from vamdp.seeds import Seeds, seed_of_each
from vamdp.space_trees import read_batch, rows_of
from vamdp.vector.batched_steps import (
    Step,
    action_indices,
    final_observations,
    inner_seed,
    masks_from,
    read_outcome,
    require_same_step,
)
from vamdp.vector_bases import AnyVectorWrapper
from vamdp.wrappers.state_source import OBSERVATION
from vamdp.wrappers.value_setup import ValueSetup


class ValueAugment(ValueSetup, AnyVectorWrapper):
    """The batched `vamdp.ValueAugment`: the same parts, in observations (num_envs, size).

    If an episode ends, infos["final_obs"] has its last observation with all parts: a float32 array
    (num_envs, size), valid where the mask "_final_obs" is True.

    Args:
        env: A vector environment with Discrete actions that restarts episodes in the same step.
        task_horizon: Maximum number of steps in one episode, at least 1. Learners plan that far.
        value_scale: Divisor of the values, above 0.
        count_scale: Divisor of the counts, above 0.
        state_key: Function observation -> key of the state, as in `vamdp.ValueAugment`; called with
            single observations. With None, each environment of a SyncVectorEnv uses its own
            `state_key`; those of an AsyncVectorEnv cannot be called.
        state_keys: A function for the whole batch, instead of `state_key`: observations of all
            environments -> states (num_envs,) or (num_envs, d). It is called once per step.
        show_state: Whether the observations have the part "state".
        flatten: False gives a Dict of the parts instead of one array.
        estimator: The learner, as in `vamdp.ValueAugment`. A custom `Estimator` must have
            n_tasks = num_envs. Pass objects that learn one task each as a list, or a function
            (n_tasks, n_actions) -> list.
        threads: Number of tasks that the model-based learner plans at the same time, at most the
            number of the machine's cores.
        **options: Options of a built-in learner, such as those of `EstimatorOptions`, or of a
            `vamdp.estimators.Learner`.

    Attributes:
        layout: Name of a part -> its slice of the vector.
        action_parts: Names of the parts with one entry per action; None if the learner does not
            declare them.
        estimator: The learner, by default a `BatchValueEstimator`. If the bins adapt to the data,
            a `RunningBins`, whose `learners` are those of the tasks.

    Raises:
        ValueError: An argument is out of range, or `env` restarts episodes in the next step.
        TypeError: `env` is a single environment, `estimator` is not a learner, or an option is
            unknown.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        *,
        task_horizon: int,
        value_scale: float = 1.0,
        count_scale: float = 10.0,
        state_key: StateKey | None = None,
        state_keys: Callable[[Any], Any] | None = None,
        show_state: bool = True,
        flatten: bool = True,
        estimator: Any = None,
        threads: int = 1,
        **options: Any,
    ) -> None:
        require_vector(env, "ValueAugment")
        super().__init__(env)
        require_same_step(env)
        self._inner_space = env.single_observation_space
        if threads != 1:
            options = {"threads": threads, **options}
        self._set_up(
            env, env.num_envs, env.single_observation_space, env.single_action_space,
            task_horizon=task_horizon, value_scale=value_scale, count_scale=count_scale,
            state_key=state_key, state_keys=state_keys, show_state=show_state, flatten=flatten,
            estimator=estimator, options=options,
        )  # fmt: skip
        self.estimator: Any = self._estimator
        self._is_trusted = writes_finite(self._estimator, self._scales)
        self._takes_keys = hasattr(self._estimator, "takes_keys")
        self._n_coordinates: int | None = None  # of every state, set by the first one
        self.single_observation_space = self._parts.space
        self.observation_space = batch_space(self._parts.space, env.num_envs)
        self._states: Any = None
        # True where a reset failed before the learner was told of the new task.
        self._begins_task = np.zeros(env.num_envs, np.bool_)

    def forget(self, tasks: npt.NDArray[np.bool_] | None = None) -> None:
        """Begin new tasks where the mask (num_envs,) is True, or in all environments if None."""
        rows = as_flags("tasks", tasks, self.num_envs)
        self._estimator.begin_tasks(rows, [None] * self.num_envs)

    def _begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        self._begins_task |= rows  # the next reset tries again if the learner raises below
        # Without a seed from the caller, the task's own seed seeds the learner's random numbers.
        if None in seeds:
            of_tasks = task_seeds(self.env)
            seeds = [own if s is None else s for s, own in zip(seeds, of_tasks, strict=True)]
        self._estimator.begin_tasks(rows.copy(), seeds)
        self._begins_task[rows] = False

    def _task_changed(self) -> None:
        self._states = None
        self._begin_tasks(np.ones(self.num_envs, np.bool_), [None] * self.num_envs)

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode everywhere, or where options["reset_mask"] is True.

        The learner forgets where the seed or the options begin a new task. If this raises, no
        episodes are running, unless `env` rejected the options before it changed anything.

        Raises:
            ResetNeeded: The mask leaves out environments, but no episodes are running.
        """
        options = self._with_task_set(options)
        seeds = seed_of_each(seed, self.num_envs)
        fresh = np.array([s is not None for s in seeds])
        fresh |= asks_for_new_task(options)
        started = np.ones(self.num_envs, np.bool_)
        if options and options.get("reset_mask") is not None:
            started = np.array(options["reset_mask"], np.bool_)  # a learner may write into it
            if started.shape != fresh.shape:
                raise ValueError(
                    f"`options['reset_mask']` must have shape {fresh.shape}, got {started.shape}."
                )
            if self._states is None and not started.all():
                raise ResetNeeded(
                    f"Environment {np.argmin(started)} must be reset too, since no episodes are "
                    "running: `reset_mask` leaves it out."
                )
        fresh &= started
        before = task_marks(self.env, options)
        try:
            # A copy, because SyncVectorEnv removes entries from the dict.
            observations, infos = self.env.reset(
                seed=inner_seed(seed, seeds), options=options and dict(options)
            )
        except BaseException as error:
            if not is_refusal(error, options, self.env, before, bool(fresh.any())):
                self._begins_task |= fresh  # tasks may be new: the next reset forgets
                self._states = None
            raise
        self._states = None  # until everything below has succeeded
        observations = read_batch(self._inner_space, observations, self.num_envs)
        fresh |= self._begins_task
        if fresh.any():
            self._begin_tasks(fresh, seeds)
        states = self._states_of(observations)
        self._begin_episodes(infos, states, started)
        vectors = self._show(observations, states)
        self._states = states
        return self._parts.present(vectors), infos

    def step(self, actions: Any) -> Step:
        """Step all environments, learn from the transitions, and show the updated estimates.

        Raises:
            ValueError: An action is out of range (no environment is stepped), or an environment
                returns a reward that is not finite or too large, a `terminated` or `truncated` that
                is not a bool, or an invalid state (nothing is learned, and the episodes are over).
            TypeError: NumPy cannot read a returned value (nothing is learned, and the episodes are
                over).
            ResetNeeded: No episodes are running.
        """
        if self._states is None:
            raise ResetNeeded("No episodes are running: call reset() before step().")
        indices = action_indices(actions, self._first_action, self._n_actions, self.num_envs)
        present, self._states = self._states, None  # until everything below has succeeded
        observations, *outcome, infos = self.env.step(actions)
        infos = dict(infos)
        observations = read_batch(self._inner_space, observations, self.num_envs)
        rewards, terminated, truncated = read_outcome(self.num_envs, *outcome)
        fits = np.abs(rewards) <= LARGEST_REWARD  # False for NaN
        if np.count_nonzero(fits) < self.num_envs:
            i = int(np.argmin(fits))
            raise ValueError(reward_error(f"rewards[{i}]", float(rewards[i])))
        states = self._states_of(observations)
        ended = terminated | truncated
        next_states = states
        if np.count_nonzero(ended):
            final = final_observations(self._inner_space, infos, ended, observations)
            next_states = self._states_of(final)
        masks = self._masks_reached(infos, ended, terminated)
        if self._is_trusted:
            self._estimator.update(present, indices, rewards, next_states, terminated, masks)
        else:  # a custom learner may change its arguments: pass copies
            told = rewards.copy(), next_states, terminated.copy()
            self._estimator.update(present, indices, *told, masks)
        if next_states is not states:
            infos["final_obs"] = self._parts.present(self._show(final, next_states))
            self._begin_episodes(infos, states, ended)
        vectors = self._show(observations, states)
        self._states = states
        return self._parts.present(vectors), rewards, terminated, truncated, infos

    def _begin_episodes(
        self, infos: dict[str, Any], states: Any, started: npt.NDArray[np.bool_]
    ) -> None:
        """Tell the learner where episodes start, and with which masks."""
        if infos.get("action_mask") is None:  # most environments
            self._estimator.begin_episodes(started, states, None)
            return
        masks, told = masks_from(infos, self._n_actions, self.num_envs)
        told &= started
        check_each("action_mask", masks, masks.any(axis=1) | ~told, "a mask that allows an action")
        masks &= told[:, None]
        self._estimator.begin_episodes(started, states, masks if told.any() else None)

    def _masks_reached(
        self,
        infos: dict[str, Any],
        ended: npt.NDArray[np.bool_],
        terminated: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.bool_] | None:
        """Return the masks of the states that the step led to; a row of False is unknown.

        The masks in the outer infos belong to the returned observations, which are those of the
        next episode where an episode ended.
        """
        n, last_infos = self.num_envs, infos.get("final_info", {})
        if "action_mask" not in infos and "action_mask" not in last_infos:  # most environments
            return None
        masks, told = masks_from(infos, self._n_actions, n)
        last_masks, last_told = masks_from(last_infos, self._n_actions, n)
        told = np.where(ended, last_told, told)
        masks = np.where(ended[:, None], last_masks, masks)
        good = masks.any(axis=1) | ~told | terminated
        check_each("action_mask", masks, good, "a mask that allows an action")
        return masks & told[:, None]

    def _states_of(self, observations: Any) -> Any:
        """Return the states: coordinates (num_envs, d), or a list of keys (`takes_keys`)."""
        if self._source.key is None and self._source.keys is None:
            if self._takes_keys:
                return observations.tolist()
            coordinates: npt.NDArray[np.float64] = observations.astype(np.float64)[:, None]
            return coordinates
        if self._source.keys is not None and not (self._takes_keys and self._source.key):
            states = self._source.keys(observations)
            # A copy, because the function may overwrite its array in the next step.
            is_own = self._source.name == OBSERVATION
            name = "observations" if is_own else "state_keys(observations)"
            coordinates = self._encode(name, np.array(states))
            if not self._takes_keys:
                return coordinates
            whole = np.asarray(states).tolist()
            return [tuple(s) if isinstance(s, list) else s for s in whole]
        assert self._source.key is not None, "the constructor makes sure of it"
        rows = rows_of(self._inner_space, observations)
        if self._source.each is None:
            keys = [self._source.key(one) for one in rows]
        else:
            keys = [key(one) for key, one in zip(self._source.each, rows, strict=True)]
        if self._takes_keys:
            return [as_key("state_key(observation)", key) for key in keys]
        try:
            return self._encode("state_key(observation)", np.asarray(keys))
        except ValueError as error:
            # The error is about the batch. Check each key, to report the one that is wrong.
            for key in cast("list[State]", keys):
                with suppress(TypeError):
                    state_coordinates("state_key(observation)", key, None)
            raise ValueError(
                f"`state_key` must return an int or a tuple of numbers, of one length, got {keys}."
            ) from error

    def _encode(self, name: str, states: Any) -> npt.NDArray[np.float64]:
        coordinates = as_coordinates(name, states, self.num_envs, self._n_coordinates)
        self._n_coordinates = coordinates.shape[1]
        return coordinates

    def _show(self, observations: Any, states: Any) -> npt.NDArray[np.float32]:
        """Return new observation vectors, (num_envs, size)."""
        vectors = np.zeros((self.num_envs, self._parts.size), np.float32)
        if self._encoder is not None:
            self._encoder.write_batch(observations, vectors[:, : self._encoder.size])
        out = vectors[:, self._own_part]
        self._estimator.write(states, self._scales, out)
        if not self._is_trusted:
            check_written(self._estimator, out)
        return vectors
