"""What is learned of a task while an agent lives in it: values of its states and actions.

`estimator` is the door that all learners stand behind, `table` those that have a name. The paper's,
`model_based`, is the default.
"""

from vamdp.estimators.estimator import Estimator, Scales
from vamdp.estimators.table import BUILT_INS

__all__ = ["BUILT_INS", "Estimator", "Scales"]
