"""Linear values behind the door of `Estimator`; the maths is in `linear.policy_iteration`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_options
from vamdp.estimators.arguments import as_coordinates, as_masks, as_transitions
from vamdp.estimators.linear.features import Features
from vamdp.estimators.linear.options import LinearOptions
from vamdp.estimators.linear.policy_iteration import (
    BY_STEP,
    Fit,
    allocate,
    learn_each,
    read_each,
)
from vamdp.estimators.present_masks import PresentMasks
from vamdp.estimators.q_rows import QRows
from vamdp.estimators.scaled_distances import check_n_scales

#: Transitions that there is room for at first; it doubles when full.
FIRST_CAPACITY = 16


class LinearLearner(QRows):
    """Linear Q of the greedy policy in n_tasks independent tasks, an `Estimator`.

    States are d real numbers. Its parts are those of `q_parts`. Q is shown within what is possible
    after the rewards seen: from min(0, lowest) / (1 - gamma) to max(0, highest) / (1 - gamma). The
    count of an action is that of its past steps, each weighed by the squared cosine between its
    features and those of the state: with one-hot features, the visits.

    All transitions of a task are kept, 16 k + A + 16 bytes each: for thousands of steps, not for
    millions. With the built-in features, row i is bit for bit what a batch of one gives.

    A mask counts in the state that it was told of: there, as the present state, and as the one that
    a transition led to. Elsewhere all actions count as allowed.

    Args:
        n_tasks: number of tasks, at least 1.
        n_actions: number of actions A, at least 1, the same in all tasks.
        **options: the fields of `LinearOptions`.

    Raises:
        ValueError: an option is out of its range.
        TypeError: an option is unknown, or `features` are something else.

    Example:
        >>> learner = LinearLearner(1, 2, gamma=0.5, regularisation=1.0, features=np.ones_like)
        >>> learner.update([[0.0]], [1], [6.0], [[1.0]], [False])
        >>> learner.q_values([[3.0]]).tolist()  # (1 + 1) w = 6: w was 0, and action 0 as good
        [[0.0, 3.0]]
        >>> learner.update([[0.0]], [1], [6.0], [[1.0]], [False])
        >>> learner.q_values([[3.0]]).tolist()  # (2 + 1 - 2 * 0.5) w = 12
        [[0.0, 6.0]]
    """

    #: States come as the real coordinates of the observation.
    takes_reals = True

    def __init__(self, n_tasks: int, n_actions: int, **options: Any) -> None:
        super().__init__(n_tasks, n_actions)
        self.options = o = as_options(LinearOptions, options)
        self._rule = (
            float(o.gamma), float(o.regularisation), int(o.n_improvements), int(o.improve_every),
        )  # fmt: skip
        self._features = Features(o)
        self._n_coordinates: int | None = None  # of every state, once the first was seen
        self._masks = PresentMasks(self.n_tasks, self.n_actions)
        self._fit: Fit | None = None  # allocated when the first features show their number

    def begin_tasks(self, rows: npt.NDArray[np.bool_], seeds: Sequence[int | None]) -> None:
        """Forget the tasks in `rows`; the features are the same in all tasks, whatever the seed."""
        self.forget(rows)

    def begin_episodes(
        self,
        rows: npt.NDArray[np.bool_],
        states: npt.NDArray[np.float64],
        action_masks: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Note what the states allow in which episodes begin."""
        if action_masks is not None:
            masks = as_masks("action_masks", action_masks, (self.n_tasks, self.n_actions))
            self._masks.note(rows, self._coordinates(states), masks)

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
            ValueError: an argument has the wrong shape, type or range, or the features have.
                Nothing is learned then.
        """
        now, taken, paid, then, ends, masks = as_transitions(
            self.n_tasks, self.n_actions, self._n_coordinates,
            states, actions, rewards, next_states, terminated, next_action_masks,
        )  # fmt: skip
        phi, next_phi = self._features(now), self._features(then)
        fit = self._with_room(phi.shape[1])
        self._n_coordinates = now.shape[1]
        learn_each(phi, taken, paid, next_phi, ends, masks, *self._rule, *fit)
        if masks.size:
            self._masks.note(~ends, then, masks)

    def forget(self, tasks: npt.NDArray[np.bool_] | None = None) -> None:
        """Forget the tasks of the mask (n_tasks,), or all."""
        which = self._marked(tasks)
        self._masks.forget(which)
        if self._fit is not None:
            self._fit.n_steps[which] = 0

    def _coordinates(self, states: npt.ArrayLike) -> npt.NDArray[np.float64]:
        coordinates = as_coordinates("states", states, self.n_tasks, self._n_coordinates)
        check_n_scales(self.options.scales, coordinates.shape[1])
        self._n_coordinates = coordinates.shape[1]
        return coordinates

    def _with_room(self, n_features: int) -> Fit:
        """What was learned, with room for one more transition of each task."""
        old = self._fit or allocate(self.n_tasks, self.n_actions, n_features, FIRST_CAPACITY)
        capacity = old.phi.shape[1]
        if old.n_steps.max() == capacity:
            # Only what grows with the steps: the systems of equations are large.
            longer = {}
            for name in BY_STEP:
                array = getattr(old, name)
                longer[name] = np.concatenate([array, np.zeros_like(array)], axis=1)
            old = old._replace(**longer)
        self._fit = old
        return old

    def _look_up(
        self, states: npt.ArrayLike
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        coordinates = self._coordinates(states)
        phi = self._features(coordinates)
        Q, counts = np.zeros((2, self.n_tasks, self.n_actions))
        if self._fit is not None:
            fit = self._fit
            read_each(
                phi, self._rule[0], fit.n_steps, fit.lowest, fit.highest, fit.w, fit.alike,
                Q, counts,
            )  # fmt: skip
        return Q, counts, self._masks.masked(coordinates)
