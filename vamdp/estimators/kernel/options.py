"""The options of the kernel learner."""

from dataclasses import dataclass

from vamdp.argument_checks import (
    check_discount,
    check_not_negative,
    check_positive_integer,
    check_squared_scale,
)
from vamdp.estimators.scaled_distances import Scaling, check_scales


@dataclass(frozen=True)
class KernelOptions:
    """Options of the kernel learner; symbols are those of `kernel.model`.

    Attributes:
        task_horizon: Steps of one episode and the limit of planning sweeps, at least 1.
        gamma: Discount factor of the estimates, in [0, 1].
        tolerance: Planning stops after a sweep in which no Q moved by this much; at least 0.
        width: Standard deviation tau of the Gaussian kernels, in units of the scaled distance,
            above 0. A good width is 0.5 to 1 times the radius.
        radius: A state farther than this from all representatives becomes a new one; above 0.
        max_representatives: Largest number of representatives of one task, at least 1.
        scales: Divisor of each coordinate in distances, above 0. None: running standard deviations
            of the task's states; a coordinate without spread is ignored.

    Raises:
        ValueError: An option is out of range.
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
        check_squared_scale("width", self.width)
        check_squared_scale("radius", self.radius)
        check_positive_integer("max_representatives", self.max_representatives)
        check_scales(self.scales)
