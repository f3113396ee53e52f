"""Simulators that know their task: where the agent is in it, and how many steps are left.

`vamdp.TaskEnv` and `vamdp.TaskVectorEnv` do. An environment of one's own does if it, innermost of
all wrappers, has the attributes that are listed here; its actions are then the task's.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.vector import VectorActionWrapper

from vamdp.inner_env import layers

#: The present `TabularMDP`, the index of the present state, and steps since the episode began.
SINGLE_SEAM = ("task", "state", "elapsed_steps")
#: The same for a batch, a list and two arrays (num_envs,); and the time limit or None.
BATCH_SEAM = ("tasks", "states", "elapsed_steps", "max_episode_steps")

#: Which wrappers `RegretReward` must not have inside, and why.
TRAINING_ONLY = {"RegretReward": "one is enough", "ShowTask": "it goes outermost"}


def find_simulator(env: Any, seam: tuple[str, ...], refused: Mapping[str, str]) -> Any:
    """The innermost environment, which has these attributes.

    Args:
        env: with all its wrappers.
        seam: names of attributes.
        refused: classes of wrappers that must not be there, by name, and why.

    Raises:
        TypeError: it does not know its task, or a wrapper has another notion of it.
        ValueError: a wrapper changes actions, or is refused.
    """
    simulator = env.unwrapped
    for layer in layers(env):
        names = dir(layer)  # asking for a task would raise where none was drawn yet
        if layer is simulator and all(name in names for name in seam):
            return simulator
        if layer is simulator or seam[0] in names:
            raise TypeError(
                f"`env` must know its task as a TabularMDP, got {layer}. vamdp.TaskEnv does, and "
                "for batches vamdp.TaskVectorEnv, which gymnasium.make_vec(..., "
                'vectorization_mode="vector_entry_point") makes; an environment with a transition '
                "table becomes vamdp.TaskEnv(lambda rng: vamdp.TabularMDP.from_gymnasium(env))."
            )
        changes_actions = (
            gymnasium.ActionWrapper,
            VectorActionWrapper,
            gymnasium.wrappers.MaxAndSkipObservation,  # repeats them
        )
        if isinstance(layer, changes_actions):
            raise ValueError(
                f"`env` must take the task's own actions, got {layer}, which changes them. Put it "
                "outside."
            )
        for name in (c.__name__ for c in type(layer).__mro__):
            if name in refused:
                raise ValueError(f"`env` must have no {name} inside, got {env}: {refused[name]}.")
    raise AssertionError("the innermost environment is a layer")


def time_limit(env: gymnasium.Env[Any, Any]) -> int | None:
    """Steps after which a TimeLimit cuts episodes, the first of several; None: none does."""
    limits: list[int] = []
    for layer in layers(env):
        if isinstance(layer, gymnasium.wrappers.TimeLimit):
            limits.append(layer._max_episode_steps)  # gymnasium keeps it under no public name
        elif any(c.__name__ == "MetaEpisode" for c in type(layer).__mro__):
            limits.clear()  # what is around it cuts meta-episodes
    return min(limits, default=None)
