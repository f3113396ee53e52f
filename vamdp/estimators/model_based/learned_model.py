r"""The model of one task, estimated from its transitions, in the form that planning reads.

It is computed from the counts N(s, a, s') of the task, with Laplace smoothing alpha over the S
states that the model has at this moment (RL3, arXiv 2306.15909, section 4 and appendix A):

    tried row:    P(s'|s,a) = (N(s,a,s') + alpha) / (N(s,a) + alpha S)
    untried row:  P(s'|s,a) = 1 / S, reward 0
    terminal:     absorbing, reward 0

With G(s,a,s') the sum of the rewards of a triple, the expected reward of a tried row is

    reward_model "transition":    sum_s' P(s'|s,a) G(s,a,s') / N(s,a,s') over the s' observed
    reward_model "state_action":  sum_s' G(s,a,s') / N(s,a).

The first assigns reward 0 to triples never observed, so smoothing shrinks rewards. With a prior of
weight w and mean m, both count for N(s,a) rewards of N(s,a) + w,

    (N(s,a) reward + w m) / (N(s,a) + w),

and an untried row has reward m. To all rows the exploration bonus of MBIE-EB is added,

    bonus / sqrt(1 + N(s,a))

(Strehl and Littman, An analysis of model-based interval estimation for Markov decision processes,
2008, section 3.3), with 1 + N so that untried rows have one too. Smoothing does not affect it.

Planning reads ``base``, ``spread`` and ``weight`` (see `vamdp.mdp.bellman`), which are functions of
the counts and of S. A transition changes one row; only a new state, which changes S, changes all
rows. The tables therefore always equal a rebuild from the counts.
"""

import numpy as np

from vamdp.compiled import njit
from vamdp.estimators.model_based.options import (
    BONUS,
    BY_PAIR,
    GAMMA,
    PRIOR_MEAN,
    PRIOR_WEIGHT,
    SMOOTHING,
)
from vamdp.estimators.model_based.storage import (
    BASE,
    COUNT,
    FIRST_TRIPLE,
    N_STATES,
    N_TRIPLES,
    NEXT,
    REWARD_SUM,
    ROW,
    SEEN,
    SPREAD,
    SUCCESSOR,
    WEIGHT,
)


@njit(cache=True, inline="always")
def count(task, a, s, s_next, reward, model):
    """Count the transition (s, a, s_next) and its reward."""
    row_counts, triples, triple_values = model.row_counts, model.triples, model.triple_values
    row_counts[task, COUNT, a, s] += 1
    k = last = row_counts[task, FIRST_TRIPLE, a, s]
    while k != 0:
        last = k
        if triples[task, SUCCESSOR, k - 1] == s_next:
            triples[task, SEEN, k - 1] += 1
            triple_values[task, REWARD_SUM, k - 1] += reward
            return
        k = triples[task, NEXT, k - 1]
    k = model.sizes[task, N_TRIPLES]
    model.sizes[task, N_TRIPLES] = k + 1
    triples[task, ROW, k] = a * row_counts.shape[3] + s
    triples[task, SUCCESSOR, k] = s_next
    triples[task, SEEN, k] = 1
    triple_values[task, REWARD_SUM, k] = reward
    triples[task, NEXT, k] = 0
    if last == 0:
        row_counts[task, FIRST_TRIPLE, a, s] = k + 1
    else:  # append: sums along the chain then run in the order in which a sweep adds them
        triples[task, NEXT, last - 1] = k + 1


@njit(cache=True, inline="always")
def renew_rows(task, a, s, every, model, options):
    """Update what planning reads of row (s, a), or of `every` row."""
    # Read these once: the compiler cannot know that writing rows does not change them.
    n_states, n_actions = model.sizes[task, N_STATES], model.tables.shape[2]
    gamma, alpha, by_pair = options[GAMMA], options[SMOOTHING], options[BY_PAIR] != 0.0
    bonus, mean, weight = options[BONUS], options[PRIOR_MEAN], options[PRIOR_WEIGHT]
    for b in range(0 if every else a, n_actions if every else a + 1):
        for row_state in range(0 if every else s, n_states if every else s + 1):
            _renew_row(
                task, b, row_state, n_states, model, gamma, alpha, by_pair, bonus, mean, weight
            )


@njit(cache=True, inline="always")
def _renew_row(
    task, a, s, n_states, model, gamma, alpha, by_pair, bonus, prior_mean, prior_weight
):  # fmt: skip
    absorbing = model.absorbing[task, s]
    triples, triple_values = model.triples, model.triple_values
    n = np.float64(model.row_counts[task, COUNT, a, s])
    total = n + alpha * n_states
    base = 0.0
    k = model.row_counts[task, FIRST_TRIPLE, a, s]
    while k != 0:
        seen, reward_sum = triples[task, SEEN, k - 1], triple_values[task, REWARD_SUM, k - 1]
        base += reward_sum / n if by_pair else (seen + alpha) / total * (reward_sum / seen)
        triple_values[task, WEIGHT, k - 1] = 0.0 if absorbing else gamma * seen / total
        k = triples[task, NEXT, k - 1]
    if prior_weight != 0.0:
        base = (n * base + prior_weight * prior_mean) / (n + prior_weight)
    if bonus != 0.0:  # saves a root and a division per row
        base += bonus / np.sqrt(1.0 + n)
    spread = gamma * alpha / total if n > 0.0 else gamma / n_states
    model.tables[task, BASE, a, s] = 0.0 if absorbing else base
    model.tables[task, SPREAD, a, s] = 0.0 if absorbing else spread
