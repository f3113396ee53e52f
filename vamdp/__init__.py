"""Value-augmented MDPs (RL3) for meta-reinforcement learning."""

from vamdp import estimators, vector
from vamdp._version import __version__
from vamdp.domains import SampledEnv, SampledVectorEnv, TaskEnv, TaskVectorEnv
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator
from vamdp.estimators.model_based.dense_view import AbstractState, LearnedModel
from vamdp.estimators.model_based.options import EstimatorOptions
from vamdp.estimators.model_based.value_estimator import ValueEstimator
from vamdp.estimators.state_bins import StateBins
from vamdp.mdp.tabular_mdp import TabularMDP
from vamdp.mdp.value_iteration import ValueIterationResult, value_iteration
from vamdp.wrappers import (
    HoldSeed,
    MetaEpisode,
    RegretReward,
    ShowTask,
    TaskCheck,
    ValueAugment,
    check_tasks,
)

__all__ = [
    "AbstractState",
    "BatchValueEstimator",
    "EstimatorOptions",
    "HoldSeed",
    "LearnedModel",
    "MetaEpisode",
    "RegretReward",
    "SampledEnv",
    "SampledVectorEnv",
    "ShowTask",
    "StateBins",
    "TabularMDP",
    "TaskCheck",
    "TaskEnv",
    "TaskVectorEnv",
    "ValueAugment",
    "ValueEstimator",
    "ValueIterationResult",
    "__version__",
    "check_tasks",
    "estimators",
    "value_iteration",
    "vector",
]
