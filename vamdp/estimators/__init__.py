"""Object-level learners: they estimate the action values of a task while an agent acts in it.

`estimator` defines the protocol of all learners, and `table` lists the built-in ones. The default
is `model_based`, the paper's. A new learner is a file here, with a class and a frozen dataclass of
options, and a row of the table. These modules are shared:

- `state_numbers` numbers the states of a task, and `arguments` checks a batch of transitions.
- `q_parts` and `q_rows` write Q-estimates into observations; `q_tables` updates tables of Q.
- `state_bins` discretizes real-valued states, `running_bins` those whose range is unknown;
  `scaled_distances` and `present_masks` serve learners of real-valued states.
"""

from vamdp.estimators.estimator import Estimator, Scales
from vamdp.estimators.table import BUILT_INS, Learner

__all__ = ["BUILT_INS", "Estimator", "Learner", "Scales"]
