"""Adding values to the observations of a batch of environments."""

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space, iterate

from vamdp.argument_checks import check_scale
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator
from vamdp.inner_env import (
    StateKey,
    asks_for_new_task,
    discrete_actions,
    find_state_key,
    find_state_keys,
    refuse_meta_episodes,
    require_vector,
)
from vamdp.vector.batched_steps import (
    Seeds,
    Step,
    action_indices,
    as_seeds,
    final_observations,
    masks_from,
    plain_seed,
    require_same_step,
)
from vamdp.wrappers.observation import (
    Layout,
    Parts,
    StateEncoder,
    value_boxes,
)
from vamdp.wrappers.task_access import TaskAccess


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
        TypeError: `env` is a single environment.
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
        require_vector(env, "ValueAugment")
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
        self._state_keys = find_state_keys(env, state_key) if self._state_key else None
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
        self._begins_task = np.zeros(env.num_envs, np.bool_)  # a reset into a new one failed

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
        try:
            observations, infos = self.env.reset(seed=seed, options=options and dict(options))
        except (TypeError, ValueError):
            raise  # refused: the present tasks go on
        except BaseException:
            self._begins_task |= fresh  # they may have changed: forget with the next reset
            self._states = None
            raise
        self._states = None  # until all below succeeded
        fresh |= self._begins_task
        if fresh.any():
            self.forget(fresh)
            self._begins_task[:] = False
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
            raise ValueError(f"`reward` must be finite, got {rewards[i]} in number {i}.")
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
        n, last_infos = self.num_envs, infos.get("final_info", {})
        if "action_mask" not in infos and "action_mask" not in last_infos:  # most environments
            return self.estimator.no_masks
        masks, told = masks_from(infos, self._n_actions, n)
        last_masks, last_told = masks_from(last_infos, self._n_actions, n)
        told = np.where(ended, last_told, told)
        if not told.any():
            return self.estimator.no_masks
        masks = np.where(ended[:, None], last_masks, masks)
        if not told.all():
            masks = np.where(told[:, None], masks, self.estimator.allowed_actions(reached))
        return self.estimator.check_masks("action_mask", masks, ~terminated)

    def _states_of(self, observations: Any) -> npt.NDArray[np.float64]:
        """Coordinates of the states, (num_envs, d)."""
        if self._state_key is None:
            space: Any = self._inner_space
            if observations.min() < space.start or observations.max() >= space.start + space.n:
                raise ValueError(f"Observations of `env` must be in {space}, got {observations}.")
            coordinates: npt.NDArray[np.float64] = observations.astype(np.float64)[:, None]
            return coordinates
        if self._state_keys is not None:
            return self.estimator.encode("state_keys(observations)", self._state_keys(observations))
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
