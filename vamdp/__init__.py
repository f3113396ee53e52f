"""Value-augmented MDPs for meta-reinforcement learning with discrete tasks."""

from vamdp._version import __version__
from vamdp.batch_value_estimator import BatchValueEstimator
from vamdp.dense_model import AbstractState, LearnedModel
from vamdp.estimator_options import EstimatorOptions
from vamdp.value_estimator import ValueEstimator
from vamdp.value_iteration import ValueIterationResult, value_iteration

__all__ = [
    "AbstractState",
    "BatchValueEstimator",
    "EstimatorOptions",
    "LearnedModel",
    "ValueEstimator",
    "ValueIterationResult",
    "__version__",
    "value_iteration",
]
