r"""Dyna-Q: Q-learning that goes on learning from a sample model of the task between two steps.

After each transition the pair takes one step of Q-learning (`q_tables`). Then the model is asked
`n_planned` times: a pair (s, a) is drawn uniformly among those tried in this task, one of its own
outcomes (r, s' or an end) uniformly among those remembered, and Q learns from it in the same way
(Sutton 1990; Sutton and Barto 2018, section 8.2). The model is thus the empirical one, right in
stochastic tasks too, where Sutton and Barto's table keeps the last outcome alone.

The rate of a pair is learning_rate / n^rate_power, with n the steps that it took, real and planned.
So many planned steps between two real ones carry Q to the optimum of the empirical model, which
value iteration without smoothing would find.

Memory: each pair remembers its last `memory_size` outcomes, 12 bytes each, in a block that doubles
when it is full. What a task takes is thus in proportion to its transitions (at most 4 places for
each, as doubled blocks leave their old ones behind), and ends at about four times `memory_size`
places for each pair tried. All tasks of a batch have the room of the one that needs most.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_options, check_count, check_positive_integer
from vamdp.compiled import njit
from vamdp.estimators.arguments import as_transitions
from vamdp.estimators.q_tables import QOptions, QTables, Tables, learn, meet, meet_next
from vamdp.estimators.split_mix import draw

# Columns of `sizes` after N_STATES: pairs tried, places for outcomes in use, the largest block.
_N_PAIRS, _N_PLACES, _LARGEST, _N_SIZES = 1, 2, 3, 4

# Of each pair: steps that it took, and where its block of outcomes lies and how large it is.
_N_LEARNED, _BLOCK, _BLOCK_SIZE = range(3)

#: Places of a pair's first block.
FIRST_BLOCK = 2


@dataclass(frozen=True)
class DynaQOptions(QOptions):
    """How Q is learned and planned.

    Attributes:
        gamma: discount factor, in [0, 1]. With 1, Q of a task that never ends grows without bound.
        learning_rate: rate of the first step, in (0, 1].
        rate_power: how fast the rate falls with the steps of the pair, real and planned, in
            [0, 1]; 0: it stays.
        initial_value: Q of what was never tried; above what can be reached it is optimistic.
        n_planned: steps of learning from the model after each real one; 0: none.
        memory_size: the last outcomes of a pair that the model draws from, at least 1.

    Raises:
        ValueError: an option is out of its range.
    """

    n_planned: int = 10
    memory_size: int = 1024

    def __post_init__(self) -> None:
        """Check every option."""
        super().__post_init__()
        check_count("n_planned", self.n_planned)
        check_positive_integer("memory_size", self.memory_size)


class DynaQ(QTables):
    """Dyna-Q in n_tasks independent tasks, an `Estimator`; its parts are those of `q_parts`.

    Row i draws from a stream of its own, so that it is bit for bit what a batch of one gives. The
    stream begins anew with a seed of `begin_tasks`; before the first it is arbitrary.

    Args:
        n_tasks: number of tasks, at least 1.
        n_actions: number of actions A, at least 1, the same in all tasks.
        **options: the fields of `DynaQOptions`.

    Raises:
        ValueError: an option is out of its range.
        TypeError: an option is unknown.

    Example:
        The second transition leads to a reward; the first one's pair hears of it while planning.

        >>> learner = DynaQ(1, 1, gamma=0.5, n_planned=50, rate_power=0.0)
        >>> learner.update([0], [0], [0.0], [1], [False])
        >>> learner.update([1], [0], [4.0], [2], [True])
        >>> learner.q_values([0]).tolist(), learner.q_values([1]).tolist()
        ([[2.0]], [[4.0]])
    """

    def __init__(self, n_tasks: int, n_actions: int, **options: Any) -> None:
        self.options = o = as_options(DynaQOptions, options)
        super().__init__(n_tasks, n_actions, o.initial_value, _N_SIZES)
        self._rule = o.rule
        self._n_planned, self._memory_size = int(o.n_planned), int(o.memory_size)
        # Pairs by state and action, those tried (s * A + a) in order, and all outcomes: the next
        # state or END, and the reward. Room comes with the first states.
        self._pairs = np.zeros((n_tasks, 0, n_actions, 3), np.int64)
        self._tried = np.zeros((n_tasks, 0), np.int64)
        self._following = np.zeros((n_tasks, 0), np.int32)
        self._rewards = np.zeros((n_tasks, 0))

    @property
    def nbytes(self) -> int:
        """Bytes that the remembered outcomes of all tasks take."""
        return self._following.nbytes + self._rewards.nbytes

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
            ValueError: an argument has the wrong shape, type or range. Nothing is learned then.
        """
        transitions = as_transitions(
            self.n_tasks, self.n_actions, self._n_coordinates,
            states, actions, rewards, next_states, terminated, next_action_masks,
        )  # fmt: skip
        tables = self._with_room(transitions.states.shape[1])
        if self._n_planned:
            self._make_room_for_an_outcome(tables)
        _learn_each(
            *transitions, *self._rule, self._initial_value, self._n_planned, self._memory_size,
            self._sizes, self._random, self._pairs, self._tried, self._following, self._rewards,
            *tables,
        )  # fmt: skip

    def _make_room_for_an_outcome(self, tables: Tables) -> None:
        """Let each task have places for the largest block that a transition can ask for."""
        capacity = tables.Q.shape[1]
        if capacity > self._pairs.shape[1]:
            self._pairs = _longer(self._pairs, capacity)
            self._tried = _longer(self._tried, capacity * self.n_actions)
        needed = _most_needed(self._sizes, self._memory_size)
        n_places = self._rewards.shape[1]
        if needed > n_places:
            n_places = max(needed, 2 * n_places)
            self._following = _longer(self._following, n_places)
            self._rewards = _longer(self._rewards, n_places)


def _longer(array: npt.NDArray[Any], size: int) -> npt.NDArray[Any]:
    """A copy with `size` entries along the second axis, the new ones zero."""
    copy = np.zeros((array.shape[0], size, *array.shape[2:]), array.dtype)
    copy[:, : array.shape[1]] = array
    return copy


@njit(cache=True)
def _most_needed(sizes, memory_size):
    """Places that suffice in each task if its largest block has to double."""
    most = 0
    for i in range(sizes.shape[0]):
        block = min(max(2 * sizes[i, _LARGEST], FIRST_BLOCK), memory_size)
        most = max(most, sizes[i, _N_PLACES] + block)
    return most


@njit(cache=True, inline="always")
def _remember(
    i, s, a, n, reward, s_next, memory_size, n_actions, sizes, pairs, tried, following, kept_rewards
):
    """Keep the n-th outcome of a pair, in the place of its oldest one if all places are taken."""
    pair = pairs[i, s, a]
    if n == 1:
        tried[i, sizes[i, _N_PAIRS]] = s * n_actions + a
        sizes[i, _N_PAIRS] += 1
        pair[_BLOCK_SIZE] = 0
    size = pair[_BLOCK_SIZE]
    if n > size and size < memory_size:
        block, new_block = pair[_BLOCK], sizes[i, _N_PLACES]
        for k in range(size):
            following[i, new_block + k] = following[i, block + k]
            kept_rewards[i, new_block + k] = kept_rewards[i, block + k]
        size = min(max(2 * size, FIRST_BLOCK), memory_size)
        pair[_BLOCK], pair[_BLOCK_SIZE] = new_block, size
        sizes[i, _N_PLACES] += size
        sizes[i, _LARGEST] = max(sizes[i, _LARGEST], size)
    place = pair[_BLOCK] + (n - 1) % size
    following[i, place], kept_rewards[i, place] = s_next, reward


@njit(cache=True)
def _learn_each(
    states, actions, rewards, next_states, terminated, allowed,
    gamma, learning_rate, rate_power, initial_value, n_planned, memory_size,
    sizes, random, pairs, tried, following, kept_rewards, keys, hash_table, Q, visits, masked,
):  # fmt: skip
    """One transition of each task, and then as many steps from its model as are to be planned."""
    state_keys, next_keys = states.view(np.uint64), next_states.view(np.uint64)
    n_actions = Q.shape[2]
    for i in range(actions.size):
        a = actions[i]
        s = meet(i, state_keys[i], initial_value, sizes, keys, hash_table, Q, visits, masked)
        s_next = meet_next(
            i, next_keys[i], terminated[i], allowed[i],
            initial_value, sizes, keys, hash_table, Q, visits, masked,
        )  # fmt: skip
        visits[i, s, a] += 1
        n = visits[i, s, a]
        if n_planned == 0:
            learn(i, s, a, rewards[i], s_next, n, gamma, learning_rate, rate_power, Q, masked)
            continue
        _remember(
            i, s, a, n, rewards[i], s_next, memory_size, n_actions,
            sizes, pairs, tried, following, kept_rewards,
        )  # fmt: skip
        pairs[i, s, a, _N_LEARNED] = 1 if n == 1 else pairs[i, s, a, _N_LEARNED] + 1
        learn(
            i, s, a, rewards[i], s_next, pairs[i, s, a, _N_LEARNED],
            gamma, learning_rate, rate_power, Q, masked,
        )  # fmt: skip
        for _ in range(n_planned):
            c, b = divmod(tried[i, draw(i, sizes[i, _N_PAIRS], random)], n_actions)
            k = pairs[i, c, b, _BLOCK] + draw(i, min(visits[i, c, b], memory_size), random)
            pairs[i, c, b, _N_LEARNED] += 1
            learn(
                i, c, b, kept_rewards[i, k], following[i, k], pairs[i, c, b, _N_LEARNED],
                gamma, learning_rate, rate_power, Q, masked,
            )  # fmt: skip
