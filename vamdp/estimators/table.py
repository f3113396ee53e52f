"""The built-in learners by name. A new learner is a file of its own and a row here."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

from vamdp.argument_checks import as_options
from vamdp.estimators.dyna_q import DynaQ, DynaQOptions
from vamdp.estimators.estimator import Estimator
from vamdp.estimators.kernel.kernel_learner import KernelLearner
from vamdp.estimators.kernel.options import KernelOptions
from vamdp.estimators.linear.linear_learner import LinearLearner
from vamdp.estimators.linear.options import LinearOptions
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator
from vamdp.estimators.model_based.options import EstimatorOptions
from vamdp.estimators.posterior_sampling import PosteriorSampling, PosteriorSamplingOptions
from vamdp.estimators.q_learning import QLearning, QLearningOptions


class Learner(NamedTuple):
    """An object-level learner: a row of the table, or a custom one.

    Attributes:
        name: The built-in's name in `ValueAugment(env, estimator=...)`.
        title: Its name in tables and figures.
        options: The frozen dataclass of its options, which checks them.
        factory: Function from n_tasks, n_actions and the options as keyword arguments to a learner.
        has_threads: Whether the factory also takes `threads`, which does not change values.
    """

    name: str
    title: str
    options: type[Any]
    factory: Callable[..., Estimator]
    has_threads: bool = False

    def make(
        self, n_tasks: int, n_actions: int, task_horizon: int, options: Mapping[str, Any]
    ) -> Estimator:
        """Build a learner; `task_horizon` is passed on if the learner has such an option.

        Raises:
            ValueError: An option is out of range.
            TypeError: An option is unknown.
        """
        if "task_horizon" in (field.name for field in fields(self.options)):
            options = {"task_horizon": task_horizon, **options}
        own = {name: o for name, o in options.items() if name != "threads" or not self.has_threads}
        as_options(self.options, own)
        return self.factory(n_tasks, n_actions, **options)


#: The name of the default learner.
DEFAULT = "model-based"

BUILT_INS = {
    row.name: row
    for row in (
        Learner(DEFAULT, "value iteration on counts", EstimatorOptions, BatchValueEstimator, True),
        Learner("q-learning", "Q-learning", QLearningOptions, QLearning),
        Learner("dyna-q", "Dyna-Q", DynaQOptions, DynaQ),
        Learner(
            "posterior-sampling", "posterior sampling", PosteriorSamplingOptions, PosteriorSampling
        ),
        Learner("kernel", "kernel model", KernelOptions, KernelLearner),
        Learner("linear", "linear values", LinearOptions, LinearLearner),
    )
}
