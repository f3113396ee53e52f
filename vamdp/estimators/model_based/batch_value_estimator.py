"""The paper's learner for many tasks at once.

The room for the models is kept here; `arguments` checks what comes in, and the compiled calls of
`kernels` do the work.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from vamdp.argument_checks import as_options, check_positive_integer
from vamdp.estimators.arguments import as_coordinates, as_masks, as_transitions, check_each
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

#: Room that a model starts with, in states and in transitions; it doubles when full.
FIRST_CAPACITY, FIRST_TRIPLE_CAPACITY = 4, 8


class BatchValueEstimator:
    """Q-estimates of n_tasks independent tasks, each learned from its own transitions.

    An `Estimator` (`vamdp.estimators.estimator`); its parts are those of `q_parts`.

    The batched twin of `ValueEstimator`: the first axis of every array is the task, and row i is
    bit for bit what a `ValueEstimator` of its own would give.

    Args:
        n_tasks: number of tasks, at least 1.
        n_actions: number of actions A, at least 1, the same in all tasks.
        task_horizon: see `EstimatorOptions`.
        threads: tasks planned at the same time, at most the machine's cores. Above 1 a parallel
            kernel is compiled.
        **options: the other fields of `EstimatorOptions`.

    Raises:
        ValueError: an option is out of its range.
        TypeError: an option is unknown.
    """

    #: See `Estimator`.
    action_parts = Q_ACTION_PARTS

    def __init__(
        self, n_tasks: int, n_actions: int, *, task_horizon: int, threads: int = 1, **options: Any
    ) -> None:
        check_positive_integer("n_tasks", n_tasks)
        check_positive_integer("n_actions", n_actions)
        check_positive_integer("threads", threads)
        if threads > MOST_THREADS:
            raise ValueError(
                f"`threads` must be at most {MOST_THREADS}, the threads that "
                f"numba has here, got {threads}."
            )
        self.n_tasks = int(n_tasks)
        self.n_actions = int(n_actions)
        self.options = as_options(EstimatorOptions, {"task_horizon": task_horizon, **options})
        self._threads = int(threads)
        # Starting from the last tables, no planning repeats the sweeps of the one before. And a
        # single sweep costs less than to find out that it can be skipped.
        skips = not self.options.warm_start and task_horizon > 1
        self._n_recorded = int(task_horizon) if skips else 0
        self._options_array = self.options.as_array()
        self._is_stale = False  # whether transitions may have come in that no planning has seen
        self.storage: Storage | None  # allocated when the first state shows its length
        self.where: npt.NDArray[np.int64]  # where it lies, for compiled calls
        self._store(None)

    def __getstate__(self) -> dict[str, Any]:
        # Copies do without the sweeps that are kept: they are large, and no value depends on them.
        self.plan()
        arrays = saved_arrays(self.storage) if self.storage else None
        return {**self.__dict__, "storage": arrays, "where": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        sizes = (self.n_tasks, self.n_actions, self._n_recorded)
        self._store(check_storage(state["storage"], *sizes) if state["storage"] else None)

    @property
    def n_states(self) -> npt.NDArray[np.int64]:
        """Abstract states in each model, shape (n_tasks,)."""
        return self._size(N_STATES)

    @property
    def n_sweeps(self) -> npt.NDArray[np.int64]:
        """Sweeps of each task's last planning, shape (n_tasks,); 0 before the first.

        Sweeps that were skipped because they could not have changed count as done.
        """
        self.plan()
        return self._size(N_SWEEPS)

    @property
    def nbytes(self) -> int:
        """Bytes that the models of all tasks take."""
        return sum(array.nbytes for array in self.storage) if self.storage else 0

    def parts(self) -> dict[str, spaces.Box]:
        """The parts that it adds to an observation: advantages, value and counts."""
        return q_parts(self.n_actions)

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Forget the tasks in `rows`; nothing here is random."""
        self.forget(rows)

    def begin_episodes(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.NDArray[np.float64],
        action_masks: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Note what the states allow in which episodes begin."""
        if action_masks is not None:
            self.set_action_masks(states, action_masks, rows & action_masks.any(axis=1))

    def update(
        self,
        states: npt.ArrayLike,
        actions: npt.ArrayLike,
        rewards: npt.ArrayLike,
        next_states: npt.ArrayLike,
        terminated: npt.ArrayLike,
        next_action_masks: npt.ArrayLike | None = None,
    ) -> None:
        """Take in one transition of each task; see `ValueEstimator.update` for when it plans.

        Args:
            states: (n_tasks,) ints or (n_tasks, d) numbers, the states acted in.
            actions: (n_tasks,) ints in [0, A).
            rewards: (n_tasks,) finite.
            next_states: as `states`.
            terminated: (n_tasks,) bools, whether the task's own end was reached. A truncation is
                an ordinary transition: pass False.
            next_action_masks: (n_tasks, A) bools, the actions that `next_states` allow; a row
                without any leaves them as they were.

        Raises:
            ValueError: an argument has the wrong shape, type or range. Nothing is learned then.
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
        """Advantages, value and counts of one state per task into `out` (n_tasks, 2 A + 1)."""
        coordinates = self._coordinates(states)
        self.plan()
        self.make_storage(coordinates.shape[1])
        write_states(self.where, coordinates, scales.values, scales.counts, out)

    def fast_step(self, scales: Scales, start: int) -> FastStep:
        """What a wrapper around one environment steps instead of `update` and `write`."""
        return FastStep(self, scales, start)

    def plan(self) -> None:
        """Renew Q and V of the tasks that learned something since they were planned for."""
        if self._is_stale:
            _, plan = drivers(self._threads)
            plan(self.where, self._options_array)
            self._is_stale = False

    def note_unplanned(self) -> None:
        """Plan before the next look: transitions have come in; with a warm start that is done."""
        self._is_stale = not self.options.warm_start

    def q_values(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The newest Q of one state per task, shape (n_tasks, A); zeros for unknown states."""
        self.plan()
        return self._look_up(states)[0]

    def value(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The maximum of Q over the allowed actions of one state per task, shape (n_tasks,)."""
        self.plan()
        Q_rows, _, allowed = self._look_up(states)
        best: npt.NDArray[np.float64] = np.where(allowed, Q_rows, -np.inf).max(axis=1)
        return best

    def counts(self, states: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """How often each action was taken in one state per task, shape (n_tasks, A)."""
        return self._look_up(states)[1]

    def abstract_states(self, states: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """The abstract state that one state per task lives in, shape (n_tasks,); -1: none yet."""
        coordinates, abstract = self._coordinates(states), np.full(self.n_tasks, -1, np.int64)
        if self.storage is not None:
            look_up_abstract(self.where, coordinates, abstract)
        return abstract

    def allowed_actions(self, states: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """The actions that one state per task allows, as far as was told, shape (n_tasks, A)."""
        return self._look_up(states)[2]

    def set_action_masks(
        self,
        states: npt.ArrayLike,
        action_masks: npt.ArrayLike,
        applies: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Tell which actions states allow, where no transition leads to them (an episode's start).

        Args:
            states: one state per task, as in `update`.
            action_masks: (n_tasks, A) bools.
            applies: (n_tasks,) bools, the tasks that this is for; None: all.
        """
        if applies is None:
            applies = np.ones(self.n_tasks, np.bool_)
        allowed = as_masks("action_masks", action_masks, (self.n_tasks, self.n_actions))
        some = allowed.any(axis=1) | ~applies
        check_each("action_masks", allowed, some, "a mask that allows an action")
        coordinates = self._coordinates(states)
        self.plan()  # what was learned before is planned for without them
        self.make_storage(coordinates.shape[1])
        while not set_masks(self.where, coordinates, allowed, applies):
            self.grow()

    def forget(self, tasks: npt.ArrayLike | None = None) -> None:
        """Begin new tasks: empty their models, counts and values.

        Args:
            tasks: (n_tasks,) bools, the tasks to forget; None: all.
        """
        which: Any = slice(None) if tasks is None else np.asarray(tasks, dtype=np.bool_)
        if tasks is not None and which.shape != (self.n_tasks,):
            raise ValueError(f"`tasks` must have shape ({self.n_tasks},), got {which.shape}.")
        if self.storage is not None:
            self.storage.sizes[which] = 0
            self.storage.hash_table[which] = 0

    def model(self, task: int) -> LearnedModel:
        """The model of one task as dense arrays; memory grows with the square of its states."""
        if not 0 <= task < self.n_tasks:
            raise ValueError(f"`task` must be in [0, {self.n_tasks}), got {task!r}.")
        if self.storage is None:
            return LearnedModel([], np.zeros((0, self.n_actions, 0)), np.zeros((0, self.n_actions)))
        return as_dense(Storage(*(array[task] for array in self.storage)), self.options)

    def get_state(self) -> dict[str, Any]:
        """All that was learned, as a dict of arrays and plain values; copies, safe to keep."""
        self.plan()
        arrays = saved_arrays(self.storage) if self.storage else {}
        return {
            "n_tasks": self.n_tasks,
            "n_actions": self.n_actions,
            "options": asdict(self.options),
            "arrays": arrays,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a `get_state` of an estimator with the same sizes and options.

        Raises:
            ValueError: `state` is of another estimator, or damaged. Nothing is changed then.
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

    # Room

    def make_storage(self, n_coordinates: int) -> Storage:
        """The storage, allocated at the first state."""
        if self.storage is None:
            room = (FIRST_CAPACITY, FIRST_TRIPLE_CAPACITY, self._n_recorded)
            self._store(allocate(self.n_tasks, self.n_actions, n_coordinates, *room))
        assert self.storage is not None, "allocated one line above"
        return self.storage

    def grow(self) -> None:
        """Double the room that is short."""
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
