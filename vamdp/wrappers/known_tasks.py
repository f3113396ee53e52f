"""Find the simulator that knows its task: the task, the agent's state and the elapsed steps.

`vamdp.TaskEnv` and `vamdp.TaskVectorEnv` do. A custom environment does if it is the innermost one
and has the attributes listed here; its actions must be those of the task.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.vector import VectorActionWrapper

from vamdp.inner_env import REPEATING, layers

#: The current `TabularMDP`, the index of the current state, and steps since the episode began.
SINGLE_SEAM = ("task", "state", "elapsed_steps")
#: The same for a batch: a list and two arrays (num_envs,); and the time limit or None.
BATCH_SEAM = ("tasks", "states", "elapsed_steps", "max_episode_steps")

#: The wrappers that `RegretReward` must not have inside, and the reason.
TRAINING_ONLY = {"RegretReward": "one is enough", "ShowTask": "it goes outermost"}


def find_simulator(env: Any, seam: tuple[str, ...], refused: Mapping[str, str]) -> Any:
    """Return the innermost environment, which must have the attributes `seam`.

    Args:
        env: The environment with all its wrappers.
        seam: Names of the attributes.
        refused: Class name of a wrapper that is not allowed inside -> reason.

    Raises:
        TypeError: The environment does not know its task, or a wrapper has a task of its own.
        ValueError: A wrapper changes actions, or is in `refused`.
    """
    simulator = env.unwrapped
    for layer in layers(env):
        names = dir(layer)  # unlike hasattr, this works before a task is drawn
        if layer is simulator and all(name in names for name in seam):
            return simulator
        if layer is simulator or seam[0] in names:
            raise TypeError(
                f"`env` must know its task as a TabularMDP, got {layer}. Use vamdp.TaskEnv, or for "
                "batches vamdp.TaskVectorEnv, which gymnasium.make_vec(..., "
                'vectorization_mode="vector_entry_point") makes. Wrap an environment with a '
                "transition table as "
                "vamdp.TaskEnv(lambda rng: vamdp.TabularMDP.from_gymnasium(env))."
            )
        changes_actions = (
            gymnasium.ActionWrapper,
            VectorActionWrapper,
            *REPEATING,
        )
        if isinstance(layer, changes_actions):
            raise ValueError(
                f"`env` must take the task's own actions, got {layer}, which changes them. Put "
                "that wrapper outside."
            )
        for name in (c.__name__ for c in type(layer).__mro__):
            if name in refused:
                raise ValueError(f"`env` must have no {name} inside, got {env}: {refused[name]}.")
    raise AssertionError("the last layer is the innermost environment")


def time_limit(env: gymnasium.Env[Any, Any]) -> int | None:
    """Return the shortest TimeLimit on episodes, in steps; None if there is none."""
    limits: list[int] = []
    for layer in layers(env):
        if isinstance(layer, gymnasium.wrappers.TimeLimit):
            limits.append(layer._max_episode_steps)  # Gymnasium has no public name for it
        elif any(c.__name__ == "MetaEpisode" for c in type(layer).__mro__):
            limits.clear()  # a TimeLimit around it would cut meta-episodes
    return min(limits, default=None)
