"""Which actions the environments allow at their present observations.

Two conventions are read, and a `VecEnv` that follows neither allows all actions:

- sb3-contrib's: a method `action_masks()` of the environment says what the present state allows;
- that of Gymnasium's Taxi: `info["action_mask"]` of `reset` and `step` belongs to the observation
  that came with it. Where a step ends an episode, its info is about the last observation of the old
  episode, and the mask of the one that is shown stands in the `VecEnv`'s `reset_infos`.

The method is asked where there is one, and infos are not read then. An environment that gives no
mask, or None, allows all actions, beside others that give masks and at single steps.
"""

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

Masks = npt.NDArray[np.bool_]

_METHOD, _INFO = "action_masks", "action_mask"


class ActionMasks:
    """Reads the action masks of a `VecEnv`: after each reset and each step, before the next action.

    Args:
        env: The environments.

    Warns:
        UserWarning: Environments whose actions are not `Discrete` give masks, which are not used.

    >>> import gymnasium
    >>> from stable_baselines3.common.env_util import make_vec_env
    >>> taxi = "Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3"
    >>> env = make_vec_env(taxi, n_envs=2, seed=0)
    >>> masks, observation = ActionMasks(env), env.reset()
    >>> masks.after_reset().shape
    (2, 6)
    """

    def __init__(self, env: VecEnv) -> None:
        self._env = env
        self._n_actions: int | None = None
        if isinstance(env.action_space, spaces.Discrete):
            self._n_actions = int(env.action_space.n)

    @cached_property
    def _asked(self) -> list[int]:
        """Which environments have the method; some can only be asked after a reset."""
        if self._env.has_attr(_METHOD):
            return list(range(self._env.num_envs)) if self._has_methods else []
        try:
            has = self._env.env_method("has_wrapper_attr", _METHOD)
        except (AttributeError, NotImplementedError):
            return []
        return [i for i, known in enumerate(has) if known]

    @property
    def _has_methods(self) -> bool:
        """Whether methods can be called: some `VecEnv`s give None for every attribute, and none."""
        try:
            return self._env.env_method(_METHOD) is not None
        except NotImplementedError:
            return False

    def after_reset(self) -> Masks | None:
        """Return what is allowed after `env.reset()`.

        Returns:
            Shape (n_envs, n_actions), True where an action is allowed; None if no environment gives
            a mask.

        Raises:
            ValueError: A mask has another shape or other values, or allows no action.
        """
        return self.at(self._env.unwrapped.reset_infos)

    def after_step(
        self, dones: npt.NDArray[np.bool_], infos: Sequence[dict[str, Any]]
    ) -> Masks | None:
        """Return what is allowed after `observation, rewards, dones, infos = env.step(actions)`.

        Args:
            dones: Shape (n_envs,).
            infos: One dictionary for each environment.

        Returns:
            See `after_reset`.

        Raises:
            ValueError: See `after_reset`.
        """
        if not self._asked and np.any(dones):
            starts = self._env.unwrapped.reset_infos
            infos = [starts[i] if dones[i] else info for i, info in enumerate(infos)]
        return self.at(infos)

    def at(self, infos: Sequence[dict[str, Any]]) -> Masks | None:
        """Return what is allowed at the present observations.

        Args:
            infos: One dictionary for each environment, which came with its present observation.

        Returns:
            See `after_reset`.

        Raises:
            ValueError: See `after_reset`.
        """
        given: list[Any] = [None] * self._env.num_envs
        if not self._asked:
            given = [info.get(_INFO) for info in infos]
        elif self._n_actions is not None:
            some = None if len(self._asked) == len(given) else self._asked
            found = self._env.env_method(_METHOD, indices=some)
            if _is_of_all(found):
                given = list(found[0])
            else:
                for i, mask in zip(self._asked, found, strict=True):
                    given[i] = mask
        if self._n_actions is None:
            if self._asked or any(mask is not None for mask in given):
                self._warn()
            return None
        if all(mask is None for mask in given):
            return None
        everything = np.ones(self._n_actions, np.bool_)
        rows = [everything if mask is None else mask for mask in given]
        name = "env.action_masks()" if self._asked else 'info["action_mask"]'
        return as_masks(name, rows, self._env.num_envs, self._n_actions)

    def _warn(self) -> None:
        warnings.warn(
            "`env` gives action masks, which are not used: its actions are "
            f"{self._env.action_space}, and only Discrete ones can be masked.",
            stacklevel=4,
        )


def _is_of_all(found: Sequence[Any]) -> bool:
    """Whether a batched environment answered for all at once; `env_method` repeats its answer."""
    first = found[0]
    return (
        isinstance(first, list | tuple | np.ndarray)
        and all(each is first for each in found)
        and any(np.ndim(row) == 1 for row in first)
    )


def as_masks(name: str, masks: Any, n_rows: int, n_actions: int) -> Masks:
    """Return action masks as bools.

    Args:
        name: Of the argument, for errors.
        masks: Bools, or numbers 0 and 1, of shape (n_rows, n_actions); or (n_actions,) for one row.
        n_rows: How many observations they are for.
        n_actions: Of the action space.

    Returns:
        Shape (n_rows, n_actions).

    Raises:
        ValueError: They have another shape or other values, or one allows no action.
    """
    try:
        array = np.asarray(masks)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.shape == (n_actions,) and n_rows == 1:
        array = array[None]
    if array.shape != (n_rows, n_actions):
        got = [np.shape(row) for row in masks] if array.shape == () else array.shape
        raise ValueError(
            f"`{name}` must have a row of {n_actions} actions for each of {n_rows} observations, "
            f"got the shape {got}. Give one entry for each action, True where it is allowed."
        )
    allowed: Masks = array.astype(np.bool_)
    if array.dtype != np.bool_ and not np.array_equal(array, allowed):
        i = int(np.argmax((array != allowed).any(axis=1)))
        raise ValueError(
            f"`{name}` must hold bools, or 0 and 1, got {array[i].tolist()} in row {i}. Give True "
            "or 1 where an action is allowed."
        )
    if not allowed.any(axis=1).all():
        raise ValueError(
            f"`{name}` must allow an action in every row, got none in row "
            f"{int(np.argmin(allowed.any(axis=1)))}. End the episode where nothing can be done, or "
            "allow an action that does nothing."
        )
    return allowed
