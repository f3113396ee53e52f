"""The built-in learners by name. A new learner is a file of its own and a row here."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from vamdp.argument_checks import as_options
from vamdp.estimators.dyna_q import DynaQ, DynaQOptions
from vamdp.estimators.kernel.kernel_learner import KernelLearner
from vamdp.estimators.kernel.options import KernelOptions
from vamdp.estimators.linear.linear_learner import LinearLearner
from vamdp.estimators.linear.options import LinearOptions
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator
from vamdp.estimators.model_based.options import EstimatorOptions
from vamdp.estimators.posterior_sampling import PosteriorSampling, PosteriorSamplingOptions
from vamdp.estimators.q_learning import QLearning, QLearningOptions


@dataclass(frozen=True)
class Learner:
    """An object-level learner: a row of the table, or a custom one.

    Attributes:
        name: The built-in's name in `ValueAugment(env, estimator=...)`.
        title: Its name in tables and figures.
        options: The frozen dataclass of its options, which checks them.
        factory: Function from n_tasks, n_actions and all options as keyword arguments to a learner,
            or to a list of learners of one task each.
        has_threads: Whether the factory also takes `threads`, which does not change values.

    Raises:
        TypeError: `options` is not a dataclass, or `factory` is not a function.
    """

    name: str
    title: str
    options: type[Any]
    factory: Callable[..., Any]
    has_threads: bool = False

    def __post_init__(self) -> None:
        """Check what a custom learner may get wrong."""
        if not (isinstance(self.options, type) and is_dataclass(self.options)):
            raise TypeError(
                f"`options` must be a frozen dataclass, got {self.options!r}. Decorate a class "
                "with @dataclass(frozen=True); it may be empty."
            )
        if not callable(self.factory):
            raise TypeError(
                "`factory` must be a function (n_tasks, n_actions, **options) -> learner, got "
                f"{self.factory!r}."
            )

    def make(
        self, n_tasks: int, n_actions: int, task_horizon: int, options: Mapping[str, Any]
    ) -> Any:
        """Return what the factory makes; it gets `task_horizon` if that is one of the options.

        Raises:
            ValueError: An option is out of range.
            TypeError: An option is unknown, or the factory does not take the arguments.
        """
        if "task_horizon" in (field.name for field in fields(self.options)):
            options = {"task_horizon": task_horizon, **options}
        own = {name: o for name, o in options.items() if name != "threads" or not self.has_threads}
        checked = as_options(self.options, own)
        every = {field.name: getattr(checked, field.name) for field in fields(self.options)}
        return made_by(self.factory, n_tasks, n_actions, {**options, **every})


def made_by(
    factory: Callable[..., Any], n_tasks: int, n_actions: int, options: Mapping[str, Any]
) -> Any:
    """Return what a function makes of these arguments; its own errors pass.

    Raises:
        TypeError: It does not take the arguments.
    """
    try:
        inspect.signature(factory).bind(n_tasks, n_actions, **options)
    except ValueError:
        pass  # some compiled functions do not tell their arguments
    except TypeError as error:
        raise TypeError(
            f"`estimator` must be a function ({', '.join(['n_tasks', 'n_actions', *options])}) -> "
            f"learner, got {getattr(factory, '__name__', factory)}: {error}. Pass lambda n_tasks, "
            "n_actions: ... and give it the arguments it needs."
        ) from None
    return factory(n_tasks, n_actions, **options)


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
