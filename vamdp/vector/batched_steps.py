"""Reading what a batch of environments takes and gives: seeds, actions, ends, infos."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv

from vamdp.inner_env import plain_seed
from vamdp.space_trees import as_array, choose, read_batch, with_rows

Seeds = int | Sequence[int | None] | npt.NDArray[np.integer[Any]] | None
#: What a step of a vector environment returns.
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
            "SyncVectorEnv or AsyncVectorEnv, or it in vector_kwargs of gymnasium.make_vec."
        )


def as_seeds(seed: Seeds, n: int) -> list[int | None]:
    """One seed an environment, as SyncVectorEnv spreads them and as Gymnasium takes them.

    Raises:
        TypeError: it is neither an integer nor a sequence of integers.
        ValueError: a sequence has another length, or a seed is negative.
    """
    if seed is None:
        return [None] * n
    each: Any = seed
    if not hasattr(each, "__len__") or np.shape(each) == ():
        first: Any = plain_seed(each)
        return [first + i for i in range(n)]
    if len(each) != n:
        raise ValueError(f"`seed` must give {n} seeds, got {len(each)}.")
    return [plain_seed(one) for one in each]


def inner_seed(seed: Seeds, seeds: list[int | None]) -> Any:
    """What to pass on of a seed that was read: None and one number spread themselves."""
    return seeds[0] if seed is None or np.shape(seed) == () else seeds  # type: ignore[arg-type]


def action_indices(actions: Any, first: int, n_actions: int, n: int) -> npt.NDArray[np.int64]:
    """Actions (n,) counted from 0.

    Raises:
        ValueError: they have another shape or type, or one is out of range.
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
    """Rewards and ends as arrays (n,); what already is one is not copied.

    Ends may come as numbers 0 and 1, and all as lists or tensors.

    Raises:
        ValueError: a shape or type is another, or an end is neither 0 nor 1.
        TypeError: NumPy cannot read one.
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
    """The observations that the step led to: the final ones where episodes ended.

    Args:
        space: of a single observation.
        infos: those of the step. "final_obs" is an array of objects or a list, one entry an
            environment, or a batch as the observations are.
        ended: in which environments episodes ended, (n,).
        observations: a batch that `read_batch` returned.

    Raises:
        ValueError: the environment restarted episodes without telling their last observations, or
            one is outside its space.
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
    """Action masks from infos, (n, A), and in which environments they are told, (n,).

    A mask that is None is not told.

    Raises:
        ValueError: a mask has another length.
    """
    masks, told = np.ones((n, n_actions), np.bool_), np.zeros(n, np.bool_)
    given = infos.get("action_mask")
    if given is None:
        return masks, told
    told = np.array(infos.get("_action_mask", ~told), np.bool_)
    if isinstance(given, np.ndarray) and given.shape == masks.shape and given.dtype != object:
        masks[told] = given[told]
        return masks, told
    for i in np.flatnonzero(told):
        if given[i] is None:
            told[i] = False
            continue
        row = np.asarray(given[i])
        if row.shape != (n_actions,):
            raise ValueError(f"`action_mask[{i}]` must have shape ({n_actions},), got {row.shape}.")
        masks[i] = row
    return masks, told


def merge_infos(
    infos: dict[str, Any], final: dict[str, Any], ended: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """The last step's infos, row by row: from `final` where an episode ended, else from `infos`.

    A name is left out where no row has it, as SyncVectorEnv does.
    """
    merged: dict[str, Any] = {}
    everywhere = np.ones(ended.shape, np.bool_)
    both = {**infos, **final}
    for name in both:
        if name[:1] == "_" and name[1:] in both:
            continue  # a mask, handled with what it masks
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
    """Rows of `last` where an episode ended, else of `shown`; either may be None."""
    if isinstance(shown, dict) or isinstance(last, dict):
        return merge_infos(shown or {}, last or {}, ended)
    if shown is None or last is None:
        return shown if last is None else last
    if np.shape(shown) != np.shape(last) or np.shape(last)[:1] != ended.shape:
        return last  # not one row an environment: nothing to tell apart
    rows = ended.reshape(-1, *[1] * (np.ndim(shown) - 1))
    return np.where(rows, last, shown)
