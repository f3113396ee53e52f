"""What a wrapper finds out about the environments below it, single or vectorised."""

from collections.abc import Callable, Hashable
from typing import Any

import gymnasium
from gymnasium import spaces

from vamdp.estimator_options import check_positive_integer

StateKey = Callable[[Any], Hashable]


def find_attribute(env: Any, name: str) -> Any:
    """An attribute of the environment or of one below it, the outermost; None if there is none."""
    while True:
        if hasattr(env, name):
            return getattr(env, name)
        if not hasattr(env, "env"):
            return None
        env = env.env


def asks_for_new_task(options: dict[str, Any] | None) -> bool:
    """Whether reset options draw or set a task."""
    return options is not None and (
        options.get("task") is not None or bool(options.get("new_task"))
    )


def find_state_key(
    env: Any, space: gymnasium.Space[Any], state_key: StateKey | None
) -> StateKey | None:
    """The function from an observation to its state; None where a Discrete one is its own.

    Raises:
        ValueError: there is none.
    """
    if state_key is not None:
        if not callable(state_key):
            raise ValueError(f"`state_key` must be callable, got {state_key!r}.")
        return state_key
    if isinstance(space, spaces.Discrete):
        return None
    found: StateKey | None = find_attribute(env, "state_key")
    if found is None:
        raise ValueError(
            f"`state_key` must map observations to states, got None, but the observation space is "
            f"{space}. Pass for example state_key=lambda observation: tuple(observation), or put "
            "gymnasium.wrappers.DiscretizeObservation inside."
        )
    return found


def episode_time_scale(env: Any, task_horizon: int | None, horizon: int) -> int:
    """What episode_time is divided by."""
    if task_horizon is not None:
        check_positive_integer("task_horizon", task_horizon)
        return int(task_horizon)
    found = find_attribute(env, "task_horizon")
    if found is None and getattr(env, "spec", None) is not None:
        found = env.spec.max_episode_steps
    return horizon if found is None else int(found)


def records_statistics(env: Any) -> bool:
    """Whether a wrapper below records episodes (SB3's Monitor, RecordEpisodeStatistics)."""
    while env is not None:
        if any(c.__name__ in ("Monitor", "RecordEpisodeStatistics") for c in type(env).__mro__):
            return True
        env = env.__dict__.get("env")
    return False


def discrete_actions(space: gymnasium.Space[Any]) -> spaces.Discrete:
    """The action space, if values can be learned for it.

    Raises:
        ValueError: it is not Discrete.
    """
    if not isinstance(space, spaces.Discrete):
        raise ValueError(
            f"`env.action_space` must be Discrete, got {space}. Wrap continuous actions in "
            "gymnasium.wrappers.DiscretizeAction(env, bins) first."
        )
    return space
