"""The RL3 paper's learner for a batch of tasks.

This class owns the storage of the models. `arguments` checks transitions, and the compiled
functions of `kernels` learn and plan.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from vamdp.argument_checks import as_options, check_positive_integer
from vamdp.estimators.arguments import (
    as_flags,
    as_masks,
    as_new_tasks,
    as_transitions,
    check_each,
    check_out,
)
from vamdp.estimators.estimator import Scales
from vamdp.estimators.model_based.dense_view import LearnedModel, as_dense
from vamdp.estimators.model_based.fast_step import FastStep
from vamdp.estimators.model_based.kernels import (
    MOST_THREADS,
    drivers,
    look_up,
    look_up_abstract,
    set_masks,
    write_states,
)
from vamdp.estimators.model_based.open_storage import addresses
from vamdp.estimators.model_based.options import EstimatorOptions
from vamdp.estimators.model_based.saved_storage import check_storage, saved_arrays
from vamdp.estimators.model_based.storage import (
    N_CONCRETE,
    N_STATES,
    N_SWEEPS,
    N_TRIPLES,
    Storage,
    allocate,
    grow,
)
from vamdp.estimators.q_parts import Q_ACTION_PARTS, q_parts
from vamdp.estimators.state_arguments import as_coordinates

#: Initial capacity of a model for states and for transitions; each doubles when full.
FIRST_CAPACITY, FIRST_TRIPLE_CAPACITY = 4, 8


class BatchValueEstimator:
    """Q-estimates of n_tasks independent tasks, each learned from its own transitions.

    It is an `Estimator` (`vamdp.estimators.estimator`) with the parts of `q_parts`, and the batched
    twin of `ValueEstimator`: the first axis of every array is the task, and each row equals a
    separate `ValueEstimator` bit for bit.

    Args:
        n_tasks: Number of tasks, at least 1.
        n_actions: Number of actions A, at least 1, the same in all tasks.
        task_horizon: Steps of one episode and the limit of planning sweeps, at least 1.
        threads: Number of tasks planned in parallel, at most numba's number of threads. Above 1, a
            parallel kernel is compiled.
        **options: The other fields of `EstimatorOptions`.

    Raises:
        ValueError: An option is out of range.
        TypeError: An option is unknown.
    """

    #: Names of the parts with one entry per action, see `Estimator`.
    action_parts = Q_ACTION_PARTS

    def __init__(
        self, n_tasks: int, n_actions: int, *, task_horizon: int, threads: int = 1, **options: Any
    ) -> None:
        check_positive_integer("n_tasks", n_tasks)
        check_positive_integer("n_actions", n_actions)
        check_positive_integer("threads", threads)
        if threads > MOST_THREADS:
            raise ValueError(
                f"`threads` must be at most {MOST_THREADS}, numba's number of threads, got "
                f"{threads}."
            )
        self.n_tasks = int(n_tasks)
        self.n_actions = int(n_actions)
        self.options = as_options(EstimatorOptions, {"task_horizon": task_horizon, **options})
        self._threads = int(threads)
        # With a warm start, planning does not repeat earlier sweeps. With task_horizon 1, doing the
        # sweep costs less than checking whether it can be skipped.
        skips = not self.options.warm_start and task_horizon > 1
        self._n_recorded = int(task_horizon) if skips else 0
        self._options_array = self.options.as_array()
        self._is_stale = False  # whether transitions may have arrived since the last planning
        self.storage: Storage | None  # allocated when the first state arrives
        self.where: npt.NDArray[np.int64]  # the addresses of its arrays, for compiled calls
        self._store(None)

    def __getstate__(self) -> dict[str, Any]:
        # Copies leave out the recorded sweeps: they are large, and no value depends on them.
        self.plan()
        arrays = saved_arrays(self.storage) if self.storage else None
        return {**self.__dict__, "storage": arrays, "where": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        sizes = (self.n_tasks, self.n_actions, self._n_recorded)
        self._store(check_storage(state["storage"], *sizes) if state["storage"] else None)

    @property
    def n_states(self) -> npt.NDArray[np.int64]:
        """Number of abstract states in each model, shape (n_tasks,)."""
        return self._size(N_STATES)

    @property
    def n_sweeps(self) -> npt.NDArray[np.int64]:
        """Number of sweeps of each task's last planning, shape (n_tasks,); 0 before the first.

        Sweeps that were skipped because their result was known count as done.
        """
        self.plan()
        return self._size(N_SWEEPS)

    @property
    def nbytes(self) -> int:
        """Memory of the models of all tasks, in bytes."""
        return sum(array.nbytes for array in self.storage) if self.storage else 0

    def parts(self) -> dict[str, spaces.Box]:
        """Return the parts added to an observation: advantages, value and counts."""
        return q_parts(self.n_actions)

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Forget the tasks in `rows`; nothing here is random."""
        self.forget(as_new_tasks(rows, seeds, self.n_tasks))

    def begin_episodes(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.NDArray[np.float64],
        action_masks: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Store the masks of the first states in `rows`, as `set_action_masks` does."""
        which = as_flags("rows", rows, self.n_tasks)
        if action_masks is not None:
            allowed = as_masks("action_masks", action_masks, (self.n_tasks, self.n_actions))
            self.set_action_masks(states, allowed, which & allowed.any(axis=1))

    def update(
        self,
        states: npt.ArrayLike,
        actions: npt.ArrayLike,
        rewards: npt.ArrayLike,
        next_states: npt.ArrayLike,
        terminated: npt.ArrayLike,
        next_action_masks: npt.ArrayLike | None = None,
    ) -> None:
        """Learn one transition of each task; see `ValueEstimator.update` for when it plans.

        Args:
            states: The states acted in, ints of shape (n_tasks,) or numbers of shape (n_tasks, d).
            actions: The actions taken, ints of shape (n_tasks,) in [0, A).
            rewards: The rewards, finite numbers of shape (n_tasks,).
            next_states: The states reached, like `states`.
            terminated: Whether the task ended the episode, bools of shape (n_tasks,). A truncation
                is an ordinary transition: pass False.
            next_action_masks: The actions that `next_states` allow, bools of shape (n_tasks, A). A
                row without True keeps the last known mask.

        Raises:
            ValueError: An argument has the wrong shape, type or range; nothing is learned.
        """
        transitions = as_transitions(
            self.n_tasks, self.n_actions, self._n_coordinates,
            states, actions, rewards, next_states, terminated, next_action_masks,
        )  # fmt: skip
        self.make_storage(transitions.states.shape[1])
        learn, _ = drivers(self._threads)
        while not learn(self.where, self._options_array, *transitions):
            self.grow()
        self.note_unplanned()

    def write(self, states: npt.ArrayLike, scales: Scales, out: npt.NDArray[np.float32]) -> None:
        """Write advantages, value and counts of one state per task into `out`.

        `out` has shape (n_tasks, 2 A + 1).
        """
        check_out(out, self.n_tasks, 2 * self.n_actions + 1)
        coordinates = self._coordinates(states)
        self.plan()
        self.make_storage(coordinates.shape[1])
        write_states(self.where, coordinates, scales.values, scales.counts, out)

    def fast_step(
        self,
        scales: Scales,
        start: int,
        one_hot: range = range(0),
        state_name: str = "state_key(observation)",
    ) -> FastStep:
        """Return a faster replacement of `update` and `write` for a single environment."""
        return FastStep(self, scales, start, one_hot, state_name=state_name)

    def plan(self) -> None:
        """Update Q and V of the tasks that have changed since their last planning."""
        if self._is_stale:
            _, plan = drivers(self._threads)
            plan(self.where, self._options_array)
            self._is_stale = False

    def note_unplanned(self) -> None:
        """Plan before the next look-up; with a warm start, each update has planned already."""
        self._is_stale = not self.options.warm_start

    def q_values(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the current Q of one state per task, shape (n_tasks, A); 0 for unknown states."""
        self.plan()
        return self._look_up(states)[0]

    def value(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the maximum of Q over the allowed actions of one state per task, (n_tasks,)."""
        self.plan()
        Q_rows, _, allowed = self._look_up(states)
        best: npt.NDArray[np.float64] = np.where(allowed, Q_rows, -np.inf).max(axis=1)
        return best

    def counts(self, states: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return how often each action was taken in one state per task, shape (n_tasks, A)."""
        return self._look_up(states)[1]

    def abstract_states(self, states: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the living abstract state of one state per task, shape (n_tasks,); -1 if none."""
        coordinates, abstract = self._coordinates(states), np.full(self.n_tasks, -1, np.int64)
        if self.storage is not None:
            look_up_abstract(self.where, coordinates, abstract)
        return abstract

    def allowed_actions(self, states: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Return the allowed actions of one state per task, shape (n_tasks, A); True if unknown."""
        return self._look_up(states)[2]

    def set_action_masks(
        self,
        states: npt.ArrayLike,
        action_masks: npt.ArrayLike,
        applies: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Set the masks of states that no transition led to, such as start states.

        `value` and `allowed_actions` of these states follow at once. Q, their own and that of
        states before them, follows with the next `update`, because that is when models are solved.

        Args:
            states: One state per task, as in `update`.
            action_masks: The allowed actions, bools of shape (n_tasks, A).
            applies: The tasks to set masks for, bools of shape (n_tasks,). None: all.

        Raises:
            ValueError: An argument has the wrong shape, type or range, or a mask that applies
                allows no action.
        """
        applies = as_flags("applies", applies, self.n_tasks)
        allowed = as_masks("action_masks", action_masks, (self.n_tasks, self.n_actions))
        some = allowed.any(axis=1) | ~applies
        check_each("action_masks", allowed, some, "a mask that allows an action")
        coordinates = self._coordinates(states)
        self.plan()  # plan earlier transitions first, without the new masks
        self.make_storage(coordinates.shape[1])
        while not set_masks(self.where, coordinates, allowed, applies):
            self.grow()

    def forget(self, tasks: npt.ArrayLike | None = None) -> None:
        """Begin new tasks: clear their models, counts and values.

        Args:
            tasks: The tasks to forget, bools of shape (n_tasks,). None: all.

        Raises:
            ValueError: `tasks` has another shape, or does not hold bools.
        """
        which = as_flags("tasks", tasks, self.n_tasks)
        if self.storage is not None:
            self.storage.sizes[which] = 0
            self.storage.hash_table[which] = 0

    def model(self, task: int) -> LearnedModel:
        """Return the model of one task as dense arrays, whose size is quadratic in its states."""
        if not 0 <= task < self.n_tasks:
            raise ValueError(f"`task` must be in [0, {self.n_tasks}), got {task!r}.")
        if self.storage is None:
            return LearnedModel([], np.zeros((0, self.n_actions, 0)), np.zeros((0, self.n_actions)))
        return as_dense(Storage(*(array[task] for array in self.storage)), self.options)

    def get_state(self) -> dict[str, Any]:
        """Return everything learned as a dict of plain values and copied arrays."""
        self.plan()
        arrays = saved_arrays(self.storage) if self.storage else {}
        return {
            "n_tasks": self.n_tasks,
            "n_actions": self.n_actions,
            "options": asdict(self.options),
            "arrays": arrays,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore a `get_state` of an estimator with the same sizes and options.

        Raises:
            ValueError: `state` is damaged or from another kind of estimator; nothing is changed.
            TypeError: `state` is not a dict.
        """
        if not isinstance(state, dict):
            raise TypeError(f"`state` must be a dict from `get_state`, got {state!r}.")
        mine = {
            "n_tasks": self.n_tasks,
            "n_actions": self.n_actions,
            "options": asdict(self.options),
        }
        for name, value in mine.items():
            if state.get(name) != value:
                raise ValueError(
                    f"`state` must come from an estimator with {name} = {value!r}, "
                    f"got {state.get(name)!r}."
                )
        arrays = state.get("arrays")
        empty = arrays == {}
        sizes = (self.n_tasks, self.n_actions, self._n_recorded)
        self._store(None if empty else check_storage(arrays, *sizes))
        self._is_stale = False

    # Storage

    def make_storage(self, n_coordinates: int) -> Storage:
        """Return the storage; the first call allocates it."""
        if self.storage is None:
            room = (FIRST_CAPACITY, FIRST_TRIPLE_CAPACITY, self._n_recorded)
            self._store(allocate(self.n_tasks, self.n_actions, n_coordinates, *room))
        assert self.storage is not None, "allocated one line above"
        return self.storage

    def grow(self) -> None:
        """Double each capacity that is too small."""
        assert self.storage is not None, "a kernel found the storage too small"
        _, _, capacity = self.storage.blocked.shape
        triple_capacity = self.storage.triple_values.shape[2]
        most = self.storage.sizes.max(axis=0)
        if capacity - max(most[N_STATES], most[N_CONCRETE]) < 2:
            capacity *= 2
        if most[N_TRIPLES] == triple_capacity:
            triple_capacity *= 2
        self._store(grow(self.storage, capacity, triple_capacity, self._n_recorded))

    def _store(self, storage: Storage | None) -> None:
        self.storage = storage
        self.where = addresses(storage) if storage else np.zeros(0, np.int64)

    @property
    def _n_coordinates(self) -> int | None:
        return None if self.storage is None else self.storage.keys.shape[2]

    def _coordinates(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return as_coordinates("states", states, self.n_tasks, self._n_coordinates)

    def _look_up(
        self, states: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        coordinates = self._coordinates(states)
        Q_rows = np.zeros((self.n_tasks, self.n_actions))
        counts, allowed = np.zeros(Q_rows.shape, np.int64), np.ones(Q_rows.shape, np.bool_)
        if self.storage is not None:
            look_up(self.where, coordinates, Q_rows, counts, allowed)
        return Q_rows, counts, allowed

    def _size(self, column: int) -> npt.NDArray[np.int64]:
        if self.storage is None:
            return np.zeros(self.n_tasks, np.int64)
        return self.storage.sizes[:, column].copy()
