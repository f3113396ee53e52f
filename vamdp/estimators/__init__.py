"""What is learned of a task while an agent lives in it: values of its states and actions.

`estimator` is the door that all learners stand behind, `table` has a row for each that is built in;
the paper's, `model_based`, is the default. A new learner is a file here, with a class and a frozen
dataclass of its options, and a row of the table. `state_numbers` numbers states of any kind for it,
`arguments` checks what comes in, `q_rows` and `q_parts` show Q-estimates, `q_tables` steps tables
of Q towards transitions, and `split_mix` draws random numbers in compiled code. `state_bins` cuts
real-valued states into bins, `running_bins` does so where their range is not known;
`scaled_distances` and `present_masks` are for learners of such states.
"""

from vamdp.estimators.estimator import Estimator, Scales
from vamdp.estimators.table import BUILT_INS, Learner

__all__ = ["BUILT_INS", "Estimator", "Learner", "Scales"]
