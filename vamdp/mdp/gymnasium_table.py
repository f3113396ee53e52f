"""Read the transition tables of Gymnasium's toy-text environments.

`env.unwrapped.P[state][action]` is a list of (probability, next state, reward, terminated), and
`env.unwrapped.initial_state_distrib` holds the start distribution. Two entries of a list may lead
to the same state with different rewards: from the start of a slippery CliffWalking, a fall off the
cliff and a bump against the wall both lead back to the start. They remain two outcomes.
"""

from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Discrete

from vamdp.inner_env import REPEATING, layers
from vamdp.mdp.value_iteration import PROBABILITY_TOLERANCE

# These wrappers change observations, actions or rewards, which the table does not reflect.
_CHANGING = (
    gymnasium.ObservationWrapper,
    gymnasium.ActionWrapper,
    gymnasium.RewardWrapper,
    gymnasium.wrappers.NormalizeReward,
    *REPEATING,
)


class TableOutcomes(NamedTuple):
    """The outcomes of a table, row by row as in `TabularMDP`, without the start row.

    Attributes:
        n_outcomes: Number of outcomes of each row, shape (S*A,).
        probability: Probability of each outcome, shape (K,).
        successor: Next state of each outcome, shape (K,), ascending within a row.
        reward: Reward of each outcome, shape (K,).
        ends: Whether each outcome terminates the episode, shape (K,).
        terminal_states: Whether each state is terminal, shape (S,); these have no outcomes.
        start: The environment's start distribution, shape (S,), unchecked.
    """

    n_outcomes: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]
    successor: npt.NDArray[np.int64]
    reward: npt.NDArray[np.float64]
    ends: npt.NDArray[np.bool_]
    terminal_states: npt.NDArray[np.bool_]
    start: npt.NDArray[np.float64]


def read_outcomes(env: gymnasium.Env[Any, Any]) -> TableOutcomes:
    """Read and check the table; `TabularMDP.from_gymnasium` is the public function."""
    table, states, actions, start = _find_table(env)
    n_states = int(states.n)
    outcomes = []  # (s, a, s_next, probability, reward, terminated)
    for s, a in np.ndindex(n_states, int(actions.n)):
        where = f"env.unwrapped.P[{s}][{a}]"
        merged: dict[tuple[int, float, bool], float] = {}
        for probability, s_next, reward, terminated in table[s][a]:
            if not 0 <= s_next < n_states:
                raise ValueError(
                    f"`{where}` must lead to states in [0, {n_states - 1}], got {s_next}."
                )
            if not 0 <= probability <= 1 + PROBABILITY_TOLERANCE:
                raise ValueError(f"`{where}` must have probabilities in [0, 1], got {probability}.")
            if probability > 0:
                kind = int(s_next), float(reward), bool(terminated)
                merged[kind] = merged.get(kind, 0.0) + float(probability)
        # Sorting is stable: outcomes that lead to the same state keep the table's order.
        for kind in sorted(merged, key=lambda kind: kind[0]):
            outcomes.append((s, a, kind[0], merged[kind], *kind[1:]))
    s, a, successor = np.array([row[:3] for row in outcomes], np.int64).reshape(-1, 3).T
    probability, reward = np.array([row[3:5] for row in outcomes], np.float64).reshape(-1, 2).T
    ends = np.array([row[5] for row in outcomes], np.bool_)

    entered_at_end, entered_alive = np.zeros((2, n_states), np.bool_)
    entered_at_end[successor[ends]] = True
    entered_alive[successor[~ends]] = True
    entered_alive |= start > 0.0
    terminal = entered_at_end
    if (entered_at_end & entered_alive).any():
        terminal = np.zeros(n_states, np.bool_)
    kept = ~terminal[s]
    row = s * int(actions.n) + a
    n_rows = n_states * int(actions.n)
    used = np.repeat(~terminal, int(actions.n))
    _check(row[kept], probability[kept], reward[kept], used, int(actions.n))
    return TableOutcomes(
        n_outcomes=np.bincount(row[kept], minlength=n_rows),
        probability=probability[kept],
        successor=successor[kept],
        reward=reward[kept],
        ends=ends[kept],
        terminal_states=terminal,
        start=start,
    )


def _find_table(
    env: gymnasium.Env[Any, Any],
) -> tuple[Any, Discrete, Discrete, npt.NDArray[np.float64]]:
    """Return the table, both spaces and the start distribution if they describe all of `env`."""
    table = getattr(env.unwrapped, "P", None)
    start = getattr(env.unwrapped, "initial_state_distrib", None)
    states, actions = env.observation_space, env.action_space
    if (
        table is None
        or start is None
        or not isinstance(states, Discrete)
        or not isinstance(actions, Discrete)
    ):
        raise TypeError(
            f"`env` must have a transition table `P` and `initial_state_distrib`, as "
            f"FrozenLake, CliffWalking and Taxi have, got {env}. Use TabularMDP.from_dense "
            f"for other tasks."
        )
    if getattr(env.unwrapped, "fickle_passenger", False):
        raise ValueError(
            f"`env` must do what its table says, got {env} with fickle_passenger=True: the table "
            "leaves out that the passenger may change the destination after the first pickup. "
            "Create it with fickle_passenger=False."
        )
    for layer in layers(env):
        if isinstance(layer, _CHANGING):
            raise ValueError(
                f"`env` must do what its table says, got {type(layer).__name__} around it in {env}."
                " Pass env.unwrapped for the table without its wrappers."
            )
    return table, states, actions, np.asarray(start, np.float64)


def _check(
    row: npt.NDArray[np.int64],
    probability: npt.NDArray[np.float64],
    reward: npt.NDArray[np.float64],
    used: npt.NDArray[np.bool_],
    n_actions: int,
) -> None:
    """Raise ValueError if a reward is not finite or a used row does not sum to 1."""
    if not np.isfinite(reward).all():
        k = int(np.argmin(np.isfinite(reward)))
        s, a = divmod(int(row[k]), n_actions)
        raise ValueError(f"`env.unwrapped.P[{s}][{a}]` must have finite rewards, got {reward[k]}.")
    sums = np.bincount(row, probability, minlength=len(used))
    bad = np.flatnonzero(used & ~(np.abs(sums - 1.0) <= PROBABILITY_TOLERANCE))
    if bad.size:
        s, a = divmod(int(bad[0]), n_actions)
        raise ValueError(
            f"`env.unwrapped.P[{s}][{a}]` sums to {sums[bad[0]]:.10g}; every list must sum to 1."
        )
