"""The algorithms that are compared, one row each; no other code depends on their names.

All are trained by the same PPO. A row defines what the agent sees, which learner estimates the
values, and which network remembers. Environments, films, tables, figures and the command line read
the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rl3_sb3.experiments.errors import InputError


@dataclass(frozen=True)
class Algorithm:
    """What an agent sees and how it remembers.

    Attributes:
        title: Name in tables and figures.
        colour: Colour in figures, in matplotlib's form.
        policy: Name of the policy's class, see `TransformerPPO.policy_aliases`.
        policy_arguments: Arguments that differ from the class's defaults.
        estimator: Learner that estimates values, see `vamdp.ValueAugment`; None: the agent sees no
            values.
        estimator_options: Options that differ from the domain's.
        knows_prior: Whether the learner knows how tasks are distributed, see `Domain.prior`.
        shows_state: Whether the agent sees the state.
        shows_history: Whether the agent sees what `vamdp.MetaEpisode` adds: previous action and
            reward, and the clocks.
    """

    title: str
    colour: str
    policy: str = "TransformerPolicy"
    policy_arguments: Mapping[str, Any] = field(default_factory=dict)
    estimator: str | None = "model-based"
    estimator_options: Mapping[str, Any] = field(default_factory=dict)
    knows_prior: bool = False
    shows_state: bool = True
    shows_history: bool = True


# Okabe and Ito's colours, which colour-blind readers can distinguish, and two of Tol's.
ALGORITHMS: Mapping[str, Algorithm] = {
    "rl2": Algorithm("RL²", "#d55e00", estimator=None),
    "rl3": Algorithm("RL³", "#0072b2"),
    # What Gittins, Thompson sampling and BEB know beforehand, its learner knows too.
    "rl3-prior": Algorithm("RL³ (prior)", "#117733", knows_prior=True),
    # Pairs of neighbouring cells are planned as one state.
    "rl3-coarse": Algorithm("RL³-coarse", "#56b4e9", estimator_options={"cluster_size": 2}),
    # For real-valued states, which RL3's own learner discretizes into bins.
    "rl3-kernel": Algorithm("RL³ (kernel model)", "#332288", estimator="kernel"),
    "rl3-linear": Algorithm(
        "RL³ (linear values)",
        "#999933",
        estimator="linear",
        estimator_options={"features": 24, "width": 1.0, "improve_every": 5},
    ),
    "rl2-lstm": Algorithm("RL² (LSTM)", "#e69f00", policy="LstmPolicy", estimator=None),
    "rl3-lstm": Algorithm("RL³ (LSTM)", "#cc79a7", policy="LstmPolicy"),
    # To measure the effect of memory: only values and counts, and a network without memory.
    "rl3-markov": Algorithm(
        "RL³ (Markov)",
        "#009e73",
        policy="MarkovPolicy",
        shows_state=False,
        shows_history=False,
    ),
}


def algorithm_of(name: str) -> Algorithm:
    """Return the algorithm of this name.

    Raises:
        InputError: There is no algorithm of this name.
    """
    if name not in ALGORITHMS:
        raise InputError(f"`algo` must be one of {', '.join(ALGORITHMS)}, got {name!r}.")
    return ALGORITHMS[name]


def colour_of(title: str, otherwise: str) -> str:
    """Return the colour of the algorithm with this title, or `otherwise` if there is none."""
    return next((row.colour for row in ALGORITHMS.values() if row.title == title), otherwise)
