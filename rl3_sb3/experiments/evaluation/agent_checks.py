"""Check agents, which may be the user's own, where they enter an evaluation.

An agent that fits the protocol only in part may play without an error, but not as it was meant: one
that should learn from states, and is shown observations, gets a wrong score.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.spaces import Discrete

from rl3_sb3.experiments.errors import InputError
from vamdp.baselines import Agent, Baseline
from vamdp.vector.batched_steps import action_indices

_SEES = ("states", "observations", "nothing")


def check_agent(agent: Any) -> None:
    """Raise InputError unless this is an agent that can play: see `vamdp.baselines.Agent`."""
    if isinstance(agent, Baseline):
        raise InputError(
            f"An agent must be what a Baseline makes, got the Baseline {agent.title!r} itself. "
            "Pass its `make(task_facts(config, variation))`, or name it to `make_baselines`."
        )
    if isinstance(agent, type):
        raise InputError(f"An agent must be an object, got the class {agent.__name__}. Create one.")
    name = type(agent).__name__
    sees = getattr(agent, "sees", None)
    needed = ["title", "sees", "start", "act", *(["learn"] if sees == "states" else [])]
    missing = [each for each in needed if not hasattr(agent, each)]
    if missing:
        raise InputError(
            f"An agent must have {', '.join(needed)} like vamdp.baselines.Agent, got {name} "
            f"without {', '.join(missing)}."
        )
    if sees not in _SEES:
        raise InputError(f"`{name}.sees` must be one of {', '.join(_SEES)}, got {sees!r}.")


def check_actions(
    agent: Agent, actions: npt.NDArray[np.int64], space: Discrete, n_tasks: int
) -> None:
    """Raise InputError, with the agent's name, unless it chose a known action in every task."""
    try:
        action_indices(actions, int(space.start), int(space.n), n_tasks)
    except ValueError as error:
        raise InputError(
            f"`{type(agent).__name__}.act` must return an action for each task, but in the agent "
            f"{agent.title!r} {error}"
        ) from error
