r"""Dyna-Q: Q-learning that also learns from a sample model of the task between two steps.

After each transition, its pair (s, a) takes one step of Q-learning (`q_tables`). Then `n_planned`
steps are planned. Each draws a pair uniformly among those tried in this task, draws one of the
pair's remembered outcomes (r, s' or the end) uniformly, and lets Q learn from it in the same way
(Sutton 1990; Sutton and Barto 2018, section 8.2). The model is thus the empirical one, which is
also correct in stochastic tasks; Sutton and Barto's table keeps only the last outcome.

The rate of a pair is learning_rate / n^rate_power, where n counts the pair's steps, real and
planned. With many planned steps per real one, Q approaches the optimum of the empirical model, as
value iteration without smoothing does.

Memory: each pair remembers its last `memory_size` outcomes, 12 bytes each, in a block that doubles
when it is full. Replaced blocks are not reused, so a task takes at most 4 places per transition,
and about 4 * `memory_size` places per pair tried. All tasks of a batch get the largest capacity.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vamdp.argument_checks import as_options, check_count, check_positive_integer
from vamdp.compiled import njit
from vamdp.estimators.arguments import as_transitions
from vamdp.estimators.q_tables import QOptions, QTables, Tables, learn, meet, meet_next
from vamdp.split_mix import draw

# Columns of `sizes` after N_STATES: pairs tried, outcome places in use, size of the largest block.
_N_PAIRS, _N_PLACES, _LARGEST, _N_SIZES = 1, 2, 3, 4

# Columns of `pairs`: steps of Q that the pair took, first place of its block, size of its block.
_N_LEARNED, _BLOCK, _BLOCK_SIZE = range(3)

#: Size of a pair's first block.
FIRST_BLOCK = 2


@dataclass(frozen=True)
class DynaQOptions(QOptions):
    """Options of Dyna-Q.

    Attributes:
        gamma: Discount factor, in [0, 1]. With 1, Q of a task that never ends grows without bound.
        learning_rate: Rate of a pair's first step, in (0, 1].
        rate_power: Exponent by which the rate falls with the pair's steps, real and planned, in
            [0, 1]. 0: constant rate.
        initial_value: Q of untried pairs; optimistic if it is above all reachable values.
        n_planned: Planned steps after each real one, at least 0.
        memory_size: Number of a pair's last outcomes that the model draws from, at least 1;
            without planning (`n_planned` 0) it does not matter.

    Raises:
        ValueError: An option is out of range.
    """

    n_planned: int = 10
    memory_size: int = 1024

    def __post_init__(self) -> None:
        """Check every option."""
        super().__post_init__()
        check_count("n_planned", self.n_planned)
        check_positive_integer("memory_size", self.memory_size)


class DynaQ(QTables):
    """Dyna-Q in n_tasks independent tasks, an `Estimator` with the parts of `q_parts`.

    Each row draws from its own random stream, so it equals a batch of one bit for bit. A seed of
    `begin_tasks` restarts the stream; before the first seed it is arbitrary.

    Args:
        n_tasks: Number of tasks, at least 1.
        n_actions: Number of actions A, at least 1, the same in all tasks.
        **options: The fields of `DynaQOptions`.

    Raises:
        ValueError: An option is out of range.
        TypeError: An option is unknown.

    Example:
        The second transition pays; planning propagates its value to the first transition's pair.

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
        # Pairs by state and action; the pairs tried (s * A + a) in order; and all outcomes, as next
        # state (or END) and reward. The first states allocate them.
        self._pairs = np.zeros((n_tasks, 0, n_actions, 3), np.int64)
        self._tried = np.zeros((n_tasks, 0), np.int64)
        self._following = np.zeros((n_tasks, 0), np.int32)
        self._rewards = np.zeros((n_tasks, 0))

    @property
    def nbytes(self) -> int:
        """Memory of the remembered outcomes of all tasks, in bytes."""
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
            ValueError: An argument has the wrong shape, type or range; nothing is learned.
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
        """Give each task enough places for the largest block that a transition can need."""
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
    """Return a copy with `size` entries along the second axis; new entries are zero."""
    copy = np.zeros((array.shape[0], size, *array.shape[2:]), array.dtype)
    copy[:, : array.shape[1]] = array
    return copy


@njit(cache=True, borrows=True)
def _most_needed(sizes, memory_size):
    """Return the number of places that suffice in every task if its largest block doubles."""
    most = 0
    for i in range(sizes.shape[0]):
        block = min(max(2 * sizes[i, _LARGEST], FIRST_BLOCK), memory_size)
        most = max(most, sizes[i, _N_PLACES] + block)
    return most


@njit(cache=True, inline="always")
def _remember(
    i, s, a, n, reward, s_next, memory_size, n_actions, sizes, pairs, tried, following, kept_rewards
):
    """Store the n-th outcome of a pair; it replaces the oldest one if the memory is full."""
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


@njit(cache=True, borrows=True)
def _learn_each(
    states, actions, rewards, next_states, terminated, allowed,
    gamma, learning_rate, rate_power, initial_value, n_planned, memory_size,
    sizes, random, pairs, tried, following, kept_rewards, keys, hash_table, Q, visits, masked,
):  # fmt: skip
    """Learn one transition of each task, then n_planned steps from its model."""
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
