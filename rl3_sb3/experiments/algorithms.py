"""The algorithms that are compared: one row each, and nobody asks for their names.

All are trained by the same PPO. A row says what the agent is shown, who estimates the values, and
which network remembers. Environments, films, tables, figures and the command line read the row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rl3_sb3.experiments.errors import InputError


@dataclass(frozen=True)
class Algorithm:
    """What an agent is shown and how it remembers.

    Attributes:
        title: Its name in tables and figures.
        colour: In figures, as matplotlib takes it.
        policy: The name of the policy's class, see `TransformerPPO.policy_aliases`.
        policy_arguments: Those that differ from the class's defaults.
        estimator: Who estimates values, see `vamdp.ValueAugment`; None: nobody, the agent sees
            none.
        estimator_options: Those that differ from the domain's.
        shows_state: Whether it sees the state.
        shows_history: Whether it sees what `vamdp.MetaEpisode` adds: previous action and reward,
            and the clocks.
    """

    title: str
    colour: str
    policy: str = "TransformerPolicy"
    policy_arguments: Mapping[str, Any] = field(default_factory=dict)
    estimator: str | None = "model-based"
    estimator_options: Mapping[str, Any] = field(default_factory=dict)
    shows_state: bool = True
    shows_history: bool = True


# Okabe and Ito's colours, told apart by every kind of colour vision, and two of Tol's.
ALGORITHMS: Mapping[str, Algorithm] = {
    "rl2": Algorithm("RL²", "#d55e00", estimator=None),
    "rl3": Algorithm("RL³", "#0072b2"),
    # Pairs of neighbouring tiles are planned for as one.
    "rl3-coarse": Algorithm("RL³-coarse", "#56b4e9", estimator_options={"cluster_size": 2}),
    # For real-valued states, which RL3's learner takes cut into bins.
    "rl3-kernel": Algorithm("RL³ (kernel model)", "#332288", estimator="kernel"),
    "rl3-linear": Algorithm(
        "RL³ (linear values)",
        "#999933",
        estimator="linear",
        estimator_options={"features": 24, "width": 1.0, "improve_every": 5},
    ),
    "rl2-lstm": Algorithm("RL² (LSTM)", "#e69f00", policy="LstmPolicy", estimator=None),
    "rl3-lstm": Algorithm("RL³ (LSTM)", "#cc79a7", policy="LstmPolicy"),
    # How much of a result is memory: values and counts alone, and a network that forgets.
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
        InputError: There is none.
    """
    if name not in ALGORITHMS:
        raise InputError(f"`algo` must be one of {', '.join(ALGORITHMS)}, got {name!r}.")
    return ALGORITHMS[name]


def colour_of(title: str, otherwise: str) -> str:
    """Return the colour of the algorithm with this title, or else the one given."""
    return next((row.colour for row in ALGORITHMS.values() if row.title == title), otherwise)
