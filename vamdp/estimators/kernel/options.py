"""The options of the kernel learner."""

from dataclasses import dataclass

from vamdp.argument_checks import (
    check_discount,
    check_not_negative,
    check_positive_integer,
    check_scale,
)
from vamdp.estimators.scaled_distances import Scaling, check_scales


@dataclass(frozen=True)
class KernelOptions:
    """How the model is learned and planned; symbols are those of `kernel.model`.

    Attributes:
        task_horizon: steps of one episode, the most sweeps of one planning; at least 1.
        gamma: discount factor of the estimates, in [0, 1].
        tolerance: planning stops after a sweep in which no Q moved by this much; at least 0.
        width: tau, the standard deviation of the Gaussian kernels, in units of the scaled distance;
            above 0.
        radius: a state farther than this from all representatives founds a new one; above 0. Half
            of it to all of it is a good width.
        max_representatives: representatives of one task at most; then no more are founded.
        scales: what each coordinate is divided by before distances are taken, above 0. None:
            running standard deviations of the states of the task, where a coordinate without spread
            counts nothing.

    Raises:
        ValueError: an option is out of its range.
    """

    task_horizon: int
    gamma: float = 1.0
    tolerance: float = 0.01
    width: float = 0.25
    radius: float = 0.5
    max_representatives: int = 64
    scales: Scaling = None

    def __post_init__(self) -> None:
        """Check every option."""
        check_positive_integer("task_horizon", self.task_horizon)
        check_discount(self.gamma)
        check_not_negative("tolerance", self.tolerance)
        check_scale("width", self.width)
        check_scale("radius", self.radius)
        check_positive_integer("max_representatives", self.max_representatives)
        check_scales(self.scales)
