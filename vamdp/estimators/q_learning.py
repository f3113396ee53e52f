r"""Tabular Q-learning, optionally with experience replay.

After each transition (s, a, r, s') its pair takes one step (`q_tables`), at the rate

    rate(s, a) = learning_rate / N(s, a)^rate_power,

where N(s, a) counts the visits of the pair, including this one. Then `n_replayed` of the last
`memory_size` transitions are drawn with replacement and learned from in the same way (Lin, 1992),
at the current rates. N counts real visits only.

With rate_power in (1/2, 1] and every pair tried infinitely often, Q converges to the optimum of the
task (Watkins and Dayan, 1992). With rate_power = 0, the newest transitions weigh most.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_options, check_count, check_positive_integer
from vamdp.compiled import njit
from vamdp.estimators.arguments import as_transitions
from vamdp.estimators.q_tables import QOptions, QTables, learn, meet, meet_next
from vamdp.split_mix import draw

# Column of `sizes` after N_STATES: transitions since the task began.
_N_STEPS, _N_SIZES = 1, 2

# Columns of a remembered transition; the next state is END if it terminated.
_STATE, _ACTION, _NEXT = range(3)


@dataclass(frozen=True)
class QLearningOptions(QOptions):
    """Options of Q-learning.

    Attributes:
        gamma: Discount factor, in [0, 1]. With 1, Q of a task that never ends grows without bound.
        learning_rate: Rate of a pair's first step, in (0, 1].
        rate_power: Exponent by which the rate falls with the pair's visits, in [0, 1]. 0: constant
            rate.
        initial_value: Q of untried pairs; optimistic if it is above all reachable values.
        n_replayed: Transitions replayed after each step, at least 0.
        memory_size: Number of last transitions that the replay draws from, at least 1; without
            replay (`n_replayed` 0) nothing is kept, and it does not matter.

    Raises:
        ValueError: An option is out of range.
    """

    n_replayed: int = 0
    memory_size: int = 256

    def __post_init__(self) -> None:
        """Check every option."""
        super().__post_init__()
        check_count("n_replayed", self.n_replayed)
        check_positive_integer("memory_size", self.memory_size)


class _Memory(NamedTuple):
    """The last transitions of each task, in a ring buffer."""

    moves: npt.NDArray[np.int32]  # (n_tasks, memory_size, 3) state, action, next state or END
    rewards: npt.NDArray[np.float64]  # (n_tasks, memory_size)


class QLearning(QTables):
    """Q-learning in n_tasks independent tasks, an `Estimator` with the parts of `q_parts`.

    Each row draws from its own random stream, so it equals a batch of one bit for bit. A seed of
    `begin_tasks` restarts the stream; before the first seed it is arbitrary.

    Args:
        n_tasks: Number of tasks, at least 1.
        n_actions: Number of actions A, at least 1, the same in all tasks.
        **options: The fields of `QLearningOptions`.

    Raises:
        ValueError: An option is out of range.
        TypeError: An option is unknown.

    Example:
        >>> learner = QLearning(1, 2, gamma=0.5, rate_power=0.0)
        >>> learner.update([0], [1], [3.0], [1], [False])
        >>> learner.update([1], [0], [4.0], [0], [False])  # 4 + 0.5 max Q(0, .)
        >>> learner.q_values([0]).tolist(), learner.q_values([1]).tolist()
        ([[0.0, 3.0]], [[5.5, 0.0]])
    """

    def __init__(self, n_tasks: int, n_actions: int, **options: Any) -> None:
        self.options = o = as_options(QLearningOptions, options)
        super().__init__(n_tasks, n_actions, o.initial_value, _N_SIZES)
        self._rule, self._n_replayed = o.rule, int(o.n_replayed)
        size = int(o.memory_size) if o.n_replayed else 0
        self._memory = _Memory(np.zeros((n_tasks, size, 3), np.int32), np.zeros((n_tasks, size)))

    def update(
        self,
        states: npt.ArrayLike,
        actions: npt.ArrayLike,
        rewards: npt.ArrayLike,
        next_states: npt.ArrayLike,
        terminated: npt.ArrayLike,
        next_action_masks: npt.ArrayLike | None = None,
    ) -> None:
        """Learn one transition of each task; the arguments are `BatchValueEstimator.update`'s.

        Raises:
            ValueError: An argument has the wrong shape, type or range; nothing is learned.
        """
        transitions = as_transitions(
            self.n_tasks, self.n_actions, self._n_coordinates,
            states, actions, rewards, next_states, terminated, next_action_masks,
        )  # fmt: skip
        tables = self._with_room(transitions.states.shape[1])
        _learn_each(
            *transitions, *self._rule, self._initial_value, self._n_replayed,
            self._sizes, self._random, *self._memory, *tables,
        )  # fmt: skip


@njit(cache=True, borrows=True)
def _learn_each(
    states, actions, rewards, next_states, terminated, allowed,
    gamma, learning_rate, rate_power, initial_value, n_replayed,
    sizes, random, moves, kept_rewards, keys, hash_table, Q, visits, masked,
):  # fmt: skip
    """Learn one transition of each task, then n_replayed transitions from its memory."""
    state_keys, next_keys = states.view(np.uint64), next_states.view(np.uint64)
    size = moves.shape[1]
    for i in range(actions.size):
        a = actions[i]
        s = meet(i, state_keys[i], initial_value, sizes, keys, hash_table, Q, visits, masked)
        s_next = meet_next(
            i, next_keys[i], terminated[i], allowed[i],
            initial_value, sizes, keys, hash_table, Q, visits, masked,
        )  # fmt: skip
        visits[i, s, a] += 1
        learn(
            i, s, a, rewards[i], s_next, visits[i, s, a],
            gamma, learning_rate, rate_power, Q, masked,
        )  # fmt: skip
        if n_replayed == 0:
            continue
        k = sizes[i, _N_STEPS] % size
        sizes[i, _N_STEPS] += 1
        moves[i, k, _STATE], moves[i, k, _ACTION], moves[i, k, _NEXT] = s, a, s_next
        kept_rewards[i, k] = rewards[i]
        for _ in range(n_replayed):
            k = draw(i, min(sizes[i, _N_STEPS], size), random)
            c, b = moves[i, k, _STATE], moves[i, k, _ACTION]
            learn(
                i, c, b, kept_rewards[i, k], moves[i, k, _NEXT], visits[i, c, b],
                gamma, learning_rate, rate_power, Q, masked,
            )  # fmt: skip
