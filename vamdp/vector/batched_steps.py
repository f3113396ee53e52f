"""Read the inputs and outputs of a batch of environments: seeds, actions, ends, infos."""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv

from vamdp.estimators.arguments import as_masks
from vamdp.seeds import Seeds
from vamdp.space_trees import as_array, choose, read_batch, with_rows

#: The return value of `VectorEnv.step`.
Step = tuple[
    Any, npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]
]

_FLOAT, _BOOL = np.dtype(np.float64), np.dtype(np.bool_)


def require_same_step(env: VectorEnv[Any, Any, Any]) -> None:
    """Raise ValueError unless ended episodes restart within the same step."""
    mode = env.metadata.get("autoreset_mode")
    if mode != AutoresetMode.SAME_STEP:
        raise ValueError(
            "`env` must restart ended episodes in the same step, got autoreset_mode = "
            f"{mode}. Pass autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP to "
            "SyncVectorEnv or AsyncVectorEnv, or in vector_kwargs of gymnasium.make_vec."
        )


def inner_seed(seed: Seeds, seeds: list[int | None]) -> Any:
    """Return the seed to pass on; the environments spread None or a single seed themselves."""
    return seeds[0] if seed is None or np.shape(seed) == () else seeds  # type: ignore[arg-type]


def action_indices(actions: Any, first: int, n_actions: int, n: int) -> npt.NDArray[np.int64]:
    """Return the actions (n,) counted from 0.

    Raises:
        ValueError: The actions have another shape or type, or one is out of range.
    """
    array = np.asarray(actions)
    if array.shape != (n,) or array.dtype.kind not in "iu":
        raise ValueError(
            f"`actions` must be integers of shape ({n},), got {array.dtype} of shape {array.shape}."
        )
    indices: npt.NDArray[np.int64] = array.astype(np.int64) - first
    if indices.min() < 0 or indices.max() >= n_actions:
        i = int(np.argmax((indices < 0) | (indices >= n_actions)))
        raise ValueError(
            f"`actions[{i}]` must be in [{first}, {first + n_actions}), got {array[i]}."
        )
    return indices


def read_outcome(
    n: int, rewards: Any, terminated: Any, truncated: Any
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return rewards and ends as arrays (n,), without copying those that have the right type.

    Lists and tensors are accepted, and numbers 0 and 1 for the ends.

    Raises:
        ValueError: A shape or type is wrong, or an end is neither 0 nor 1.
        TypeError: NumPy cannot read a value.
    """
    shape, ends = (n,), [terminated, truncated]
    if type(rewards) is not np.ndarray or rewards.dtype != _FLOAT or rewards.shape != shape:
        array = as_array("`rewards`", rewards)
        if array.shape != shape or array.dtype.kind not in "iufb":
            raise ValueError(
                f"`rewards` must be numbers of shape {shape}, got {array.dtype} of shape "
                f"{array.shape}."
            )
        rewards = array.astype(np.float64)
    for k, name in enumerate(("terminated", "truncated")):
        if type(ends[k]) is not np.ndarray or ends[k].dtype != _BOOL or ends[k].shape != shape:
            ends[k] = _as_ends(name, ends[k], shape)
    return rewards, ends[0], ends[1]


def _as_ends(name: str, ends: Any, shape: tuple[int]) -> npt.NDArray[np.bool_]:
    array = as_array(f"`{name}`", ends)
    if array.shape != shape or array.dtype.kind not in "iufb":
        raise ValueError(
            f"`{name}` must be bools of shape {shape}, got {array.dtype} of shape {array.shape}."
        )
    flags: npt.NDArray[np.bool_] = array.astype(np.bool_)
    if (array != flags).any():
        i = int(np.argmax(array != flags))
        raise ValueError(f"`{name}[{i}]` must be a bool, or 0 or 1, got {array[i]}.")
    return flags


def final_observations(
    space: gymnasium.Space[Any],
    infos: dict[str, Any],
    ended: npt.NDArray[np.bool_],
    observations: Any,
) -> Any:
    """Return the observations that the step led to: the final ones where episodes ended.

    Args:
        space: The space of a single observation.
        infos: The infos of the step. "final_obs" is an object array or a list with one entry per
            environment, or a batch like `observations`.
        ended: True where an episode ended, (n,).
        observations: A batch from `read_batch`.

    Raises:
        ValueError: "final_obs" is missing where an episode ended, or one is outside its space.
    """
    final, n = infos.get("final_obs"), len(ended)
    if isinstance(final, list) or (isinstance(final, np.ndarray) and final.dtype == object):
        where = np.flatnonzero(ended)
        rows = [final[i] for i in where] if len(final) == n else [None]
        if all(row is not None for row in rows):
            return read_batch(space, with_rows(space, observations, rows, where), n)
    elif final is not None:
        if np.count_nonzero(ended) == n:  # as in every step of bandits
            return read_batch(space, final, n)
        final = read_batch(space, final, n, whole=False)
        return read_batch(space, choose(space, ended, final, observations), n)
    raise ValueError(
        'The infos of `env` must have "final_obs" where episodes end, got none: without it the '
        "last transition of an episode is lost."
    )


def masks_from(
    infos: dict[str, Any], n_actions: int, n: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return the action masks (n, A) in infos, and where they are known, (n,).

    None in place of a mask means unknown.

    Raises:
        ValueError: A mask has another length, or holds another value than bools, 0 and 1.
    """
    masks, told = np.ones((n, n_actions), np.bool_), np.zeros(n, np.bool_)
    given = infos.get("action_mask")
    if given is None:
        return masks, told
    told = np.array(infos.get("_action_mask", ~told), np.bool_)
    if isinstance(given, np.ndarray) and given.shape == masks.shape and given.dtype != object:
        masks[told] = as_masks("action_mask", given[told], (int(told.sum()), n_actions))
        return masks, told
    for i in np.flatnonzero(told):
        if given[i] is None:
            told[i] = False
            continue
        masks[i] = as_masks(f"action_mask[{i}]", given[i], (n_actions,))
    return masks, told


def merge_infos(
    infos: dict[str, Any], final: dict[str, Any], ended: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """Merge infos row by row: from `final` where an episode ended, else from `infos`.

    A name that no row has is left out, as in SyncVectorEnv.
    """
    merged: dict[str, Any] = {}
    everywhere = np.ones(ended.shape, np.bool_)
    both = {**infos, **final}
    for name in both:
        if name[:1] == "_" and name[1:] in both:
            continue  # a mask, handled together with its values
        told = np.where(
            ended,
            final.get(f"_{name}", everywhere) if name in final else False,
            infos.get(f"_{name}", everywhere) if name in infos else False,
        )
        if told.any():
            merged[name] = _merge_rows(infos.get(name), final.get(name), ended)
            merged[f"_{name}"] = told
    return merged


def _merge_rows(shown: Any, last: Any, ended: npt.NDArray[np.bool_]) -> Any:
    """Return rows of `last` where an episode ended, else of `shown`; either may be None."""
    if isinstance(shown, dict) or isinstance(last, dict):
        return merge_infos(shown or {}, last or {}, ended)
    if shown is None or last is None:
        return shown if last is None else last
    if np.shape(shown) != np.shape(last) or np.shape(last)[:1] != ended.shape:
        return last  # not one row per environment, so it cannot be merged
    rows = ended.reshape(-1, *[1] * (np.ndim(shown) - 1))
    return np.where(rows, last, shown)
