"""The kernel learner as an `Estimator`; `kernel.model` has the equations."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_limit, as_options
from vamdp.estimators.arguments import as_flags, as_masks, as_new_tasks, as_transitions
from vamdp.estimators.kernel.model import (
    Model,
    allocate,
    grow,
    learn_each,
    plan_each,
    read_each,
)
from vamdp.estimators.kernel.options import KernelOptions
from vamdp.estimators.present_masks import PresentMasks
from vamdp.estimators.q_rows import QRows
from vamdp.estimators.scaled_distances import check_n_scales
from vamdp.estimators.state_arguments import as_coordinates

#: Initial capacity for representatives; it doubles when full.
FIRST_CAPACITY = 8


class KernelLearner(QRows):
    """Kernel-based stochastic factorization in n_tasks independent tasks, an `Estimator`.

    States are d real numbers. Its parts are those of `q_parts`; the counts are soft: real numbers
    that add up to the number of steps. Each row equals a batch of one bit for bit, and nothing is
    random. Memory depends on `max_representatives`, not on the number of transitions.

    Without `scales`, each transition first updates the running scales with both of its states, and
    is then weighted by them. Later changes of the scales do not change what was learned: sums keep
    the weights of their time, and representatives keep their places, even if they are now closer
    together than `radius`. (The states of the first steps are close together, and so are the first
    representatives. Pass `scales` if you know them.)

    A mask holds only for the state it was given for: the advantages and the value of that state use
    the allowed actions. Planning uses all actions.

    Args:
        n_tasks: Number of tasks, at least 1.
        n_actions: Number of actions A, at least 1, the same in all tasks.
        **options: The fields of `KernelOptions`.

    Raises:
        ValueError: An option is out of range.
        TypeError: An option is unknown.

    Example:
        >>> learner = KernelLearner(1, 2, task_horizon=9, gamma=0.5, scales=(1.0,))
        >>> learner.update([[0.0]], [1], [3.0], [[5.0]], [False])
        >>> learner.update([[5.0]], [0], [4.0], [[5.0]], [True])
        >>> learner.q_values([[0.0]]).tolist()  # untried: 0.5 (5 + 4 + 0) / 3
        [[1.5, 5.0]]
    """

    #: States are real-valued observations, see `Estimator`.
    takes_reals = True

    def __init__(self, n_tasks: int, n_actions: int, **options: Any) -> None:
        super().__init__(n_tasks, n_actions)
        self.options = o = as_options(KernelOptions, options)
        self._kernel = (float(o.width), float(o.radius), o.scales is None)
        self._planning = (float(o.gamma), float(o.tolerance), as_limit(o.task_horizon))
        self._n_coordinates: int | None = None  # known from the first state on
        self._masks = PresentMasks(self.n_tasks, self.n_actions)
        self._model: Model | None = None  # allocated when the first state arrives

    @property
    def n_representatives(self) -> npt.NDArray[np.int64]:
        """Number of representatives of each task, shape (n_tasks,)."""
        if self._model is None:
            return np.zeros(self.n_tasks, np.int64)
        return self._model.n_representatives.copy()

    @property
    def nbytes(self) -> int:
        """Memory of the models of all tasks, in bytes."""
        return sum(array.nbytes for array in self._model) if self._model else 0

    def representatives(self, task: int) -> npt.NDArray[np.float64]:
        """Return the representatives of one task in order of creation, shape (m, d)."""
        if not 0 <= task < self.n_tasks:
            raise ValueError(f"`task` must be in [0, {self.n_tasks}), got {task!r}.")
        if self._model is None:
            return np.zeros((0, 0))
        return self._model.representatives[task, : self._model.n_representatives[task]].copy()

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Forget the tasks in `rows`; nothing here is random."""
        self.forget(as_new_tasks(rows, seeds, self.n_tasks))

    def begin_episodes(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.NDArray[np.float64],
        action_masks: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Store the masks of the first states in `rows`."""
        which = as_flags("rows", rows, self.n_tasks)
        coordinates = self._coordinates(states)
        if action_masks is not None:
            masks = as_masks("action_masks", action_masks, (self.n_tasks, self.n_actions))
            self._masks.note(which, coordinates, masks)

    def update(
        self,
        states: npt.ArrayLike,
        actions: npt.ArrayLike,
        rewards: npt.ArrayLike,
        next_states: npt.ArrayLike,
        terminated: npt.ArrayLike,
        next_action_masks: npt.ArrayLike | None = None,
    ) -> None:
        """Learn one transition of each task; the arguments are `BatchValueEstimator.update`'s.

        Raises:
            ValueError: An argument has the wrong shape, type or range; nothing is learned.
        """
        now, taken, paid, then, ends, masks = as_transitions(
            self.n_tasks, self.n_actions, self._n_coordinates,
            states, actions, rewards, next_states, terminated, next_action_masks,
        )  # fmt: skip
        check_n_scales(self.options.scales, now.shape[1])
        self._n_coordinates = now.shape[1]
        model = self._with_room(now.shape[1])
        learn_each(now, taken, paid, then, ends, *self._kernel, *model)
        if masks.size:
            self._masks.note(~ends, then, masks)

    def plan(self) -> None:
        """Update Q of the tasks that have changed since their last planning."""
        if self._model is not None and self._model.is_stale.any():
            plan_each(*self._planning, *self._model)

    def forget(self, tasks: npt.NDArray[np.bool_] | None = None) -> None:
        """Forget the tasks marked in `tasks` (n_tasks,), or all."""
        which = as_flags("tasks", tasks, self.n_tasks)
        self._masks.forget(which)
        if self._model is not None:
            for name in ("n_representatives", "n_seen", "mean", "squares"):
                getattr(self._model, name)[which] = 0
            self._model.has_end[which] = self._model.is_stale[which] = False

    def _coordinates(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        coordinates = as_coordinates("states", states, self.n_tasks, self._n_coordinates)
        check_n_scales(self.options.scales, coordinates.shape[1])
        self._n_coordinates = coordinates.shape[1]
        return coordinates

    def _with_room(self, n_coordinates: int) -> Model:
        """Return the models, with room for two more representatives up to the allowed maximum."""
        most = as_limit(self.options.max_representatives)
        if self._model is None:
            capacity = min(FIRST_CAPACITY, most)
            self._model = allocate(self.n_tasks, self.n_actions, n_coordinates, capacity)
            if self.options.scales is not None:
                self._model.scale[:] = self.options.scales
        capacity = self._model.representatives.shape[1]
        if capacity < most and self._model.n_representatives.max() + 2 > capacity:
            self._model = grow(self._model, min(2 * capacity, most))
        return self._model

    def _look_up(
        self, states: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        coordinates = self._coordinates(states)
        self.plan()
        Q, counts = np.zeros((2, self.n_tasks, self.n_actions))
        if self._model is not None:
            read_each(coordinates, self._kernel[0], *self._model, Q, counts)
        return Q, counts, self._masks.masked(coordinates)
