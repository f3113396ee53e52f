"""Read which actions the environments allow at their current observations.

Two conventions are supported; without either, all actions are allowed:

- sb3-contrib: the environment's method `action_masks()` returns the mask of the current state.
- Gymnasium's Taxi: `info["action_mask"]` of `reset` and `step` belongs to the observation returned
  with it. If a step ends an episode, its info belongs to the last observation of that episode, and
  the mask of the next episode's first observation is in the `VecEnv`'s `reset_infos`.

The method takes precedence over infos. A single environment that returns no mask, or None, allows
all actions; it may do so at some steps only.
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
    """Reads the action masks of a `VecEnv` after each reset and step, before the next action.

    Args:
        env: The environments.

    Warns:
        UserWarning: The environments return masks, but their actions are not `Discrete`; the masks
            are ignored.

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
        """Indices of the environments with the method; some can be queried only after a reset."""
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
        """Return the actions allowed after `env.reset()`.

        Returns:
            Shape (n_envs, n_actions), True where an action is allowed; None if no environment
            returns a mask.

        Raises:
            ValueError: A mask has another shape, holds values other than bools, 0 and 1, or allows
                no action.
        """
        return self.at(self._env.unwrapped.reset_infos)

    def after_step(
        self, dones: npt.NDArray[np.bool_], infos: Sequence[dict[str, Any]]
    ) -> Masks | None:
        """Return the actions allowed after `_, _, dones, infos = env.step(actions)`.

        Args:
            dones: True where an episode ended, shape (n_envs,).
            infos: One dictionary per environment.

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
        """Return the actions allowed at the current observations.

        Args:
            infos: The dictionary that came with each environment's current observation.

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
        name: Name of the argument in errors.
        masks: Bools, or numbers 0 and 1, of shape (n_rows, n_actions); or (n_actions,) for one row.
        n_rows: Number of observations.
        n_actions: Number of actions.

    Returns:
        Shape (n_rows, n_actions).

    Raises:
        ValueError: The masks have another shape, hold other values, or one allows no action.
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
            f"got the shape {got}. Give one entry per action, True where it is allowed."
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
            f"{int(np.argmin(allowed.any(axis=1)))}. End the episode where no action is possible, "
            "or allow an action that does nothing."
        )
    return allowed
