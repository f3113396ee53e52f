"""The setup that the single and the batched `ValueAugment` share."""

from collections.abc import Callable, Mapping
from typing import Any

import gymnasium

from vamdp.argument_checks import check_positive_integer, check_scale
from vamdp.estimators.choice import as_estimator
from vamdp.estimators.estimator import Estimator, Scales
from vamdp.estimators.running_bins import RunningBins
from vamdp.estimators.table import Learner
from vamdp.inner_batch import refuse_meta_episodes
from vamdp.inner_env import StateKey, discrete_actions
from vamdp.wrappers.observation import ActionParts, Layout, Parts, meta_boxes
from vamdp.wrappers.state_encoder import StateEncoder
from vamdp.wrappers.state_source import find_state_source
from vamdp.wrappers.task_access import TaskAccess


class ValueSetup(TaskAccess):
    """Checks the constructor's arguments, creates the learner, and builds the observation.

    Attributes:
        task_horizon: Maximum number of steps in one episode.
        value_scale: Divisor of the values.
        count_scale: Divisor of the counts.
    """

    def _set_up(
        self,
        env: Any,
        n_tasks: int,
        space: gymnasium.Space[Any],
        action_space: gymnasium.Space[Any],
        *,
        task_horizon: int,
        value_scale: float,
        count_scale: float,
        state_key: StateKey | None,
        show_state: bool,
        flatten: bool,
        estimator: Any,
        options: Mapping[str, Any],
        state_keys: Callable[[Any], Any] | None = None,
    ) -> None:
        """Check the constructor's arguments and derive everything that depends on them."""
        refuse_meta_episodes(env)
        check_scale("value_scale", value_scale)
        check_scale("count_scale", count_scale)
        check_positive_integer("task_horizon", task_horizon)
        actions = discrete_actions(action_space)
        self._n_actions, self._first_action = int(actions.n), int(actions.start)
        self.task_horizon = task_horizon
        self.value_scale, self.count_scale = float(value_scale), float(count_scale)
        self._scales = Scales(self.value_scale, self.count_scale)
        learner = as_estimator(estimator, n_tasks, self._n_actions, task_horizon, options)
        self._source = find_state_source(
            env, space, state_key, state_keys, takes_reals=hasattr(learner, "takes_reals")
        )
        bins = self._source.bins
        if bins is not None:
            learners = [learner]
            if n_tasks > 1:
                learners = _one_each(estimator, n_tasks, self._n_actions, task_horizon, options)
            learner = RunningBins(learners, bins)
        self._estimator: Estimator = learner
        self._encoder = StateEncoder(space) if show_state else None
        boxes = {"state": self._encoder.box} if self._encoder else {}
        own = self._estimator.parts()
        for name in ("state", *meta_boxes(1)):
            if name in own:
                raise ValueError(
                    f"`estimator.parts()` must not have a part {name!r}: the wrappers use it."
                )
        self._parts = Parts({**boxes, **own}, flatten)
        start = self._encoder.size if self._encoder else 0
        self._own_part = slice(start, self._parts.size)

    @property
    def layout(self) -> Layout:
        """Name of a part -> its slice of the flat observation."""
        return self._parts.layout

    @property
    def layout_space(self) -> gymnasium.Space[Any]:
        """The space that `layout` describes, of one observation; outer wrappers may change it."""
        return self._parts.space

    @property
    def action_parts(self) -> ActionParts:
        """Names of the parts with one entry per action; None if the estimator declares none."""
        names = getattr(self._estimator, "action_parts", None)
        return None if names is None else tuple(names)


def _one_each(
    estimator: Any, n_tasks: int, n_actions: int, task_horizon: int, options: Mapping[str, Any]
) -> list[Estimator]:
    """Return one learner per task, as required by bins that adapt to the data."""
    if isinstance(estimator, (list, tuple)):
        return [as_estimator(one, 1, n_actions, task_horizon, options) for one in estimator]
    if not (estimator is None or callable(estimator) or isinstance(estimator, str | Learner)):
        raise ValueError(
            f"`estimator` must be a name or a function (n_tasks, n_actions) -> learner where the "
            f"scales of bins are not known, got one {type(estimator).__name__} of {n_tasks} tasks. "
            "Or pass a `state_key`, such as vamdp.StateBins(low=..., high=...)."
        )
    if "threads" in options:
        raise ValueError(
            f"`threads` must be 1 where the scales of bins are not known, got "
            f"{options['threads']!r}: each task then has its own learner. Or pass a `state_key`, "
            "such as vamdp.StateBins(low=..., high=...)."
        )
    return [as_estimator(estimator, 1, n_actions, task_horizon, options) for _ in range(n_tasks)]
