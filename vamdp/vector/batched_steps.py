"""Reading what a batch of environments takes and gives: seeds, actions, ends, infos."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv

Seeds = int | Sequence[int | None] | None
#: What a step of a vector environment returns.
Step = tuple[
    Any, npt.NDArray[np.float64], npt.NDArray[np.bool_], npt.NDArray[np.bool_], dict[str, Any]
]


def require_same_step(env: VectorEnv[Any, Any, Any]) -> None:
    """Raise ValueError unless ended episodes restart within the same step."""
    mode = env.metadata.get("autoreset_mode")
    if mode != AutoresetMode.SAME_STEP:
        raise ValueError(
            "`env` must restart ended episodes in the same step, got autoreset_mode = "
            f"{mode}. Pass autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP to "
            "SyncVectorEnv or AsyncVectorEnv, or it in vector_kwargs of gymnasium.make_vec."
        )


def as_seeds(seed: Seeds, n: int) -> Sequence[int | None]:
    """One seed an environment, as SyncVectorEnv spreads them.

    Raises:
        ValueError: a sequence has another length.
    """
    if seed is None:
        return [None] * n
    if isinstance(seed, (int, np.integer)):
        return [int(seed) + i for i in range(n)]
    if len(seed) != n:
        raise ValueError(f"`seed` must give {n} seeds, got {len(seed)}.")
    return seed


def plain_seed(seed: Seeds) -> Seeds:
    """The seed as vector environments take it: SyncVectorEnv knows no NumPy integer."""
    return int(seed) if isinstance(seed, np.integer) else seed


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


def final_observations(
    infos: dict[str, Any], ended: npt.NDArray[np.bool_], observations: Any
) -> Any:
    """The observations that the step led to: the final ones where episodes ended.

    Raises:
        ValueError: the environment restarted episodes without telling their last observations.
    """
    final = infos.get("final_obs")
    if final is None:
        raise ValueError(
            'The infos of `env` must have "final_obs" where episodes end, got none: without it the '
            "last transition of an episode is lost."
        )
    if isinstance(observations, dict):
        merged = {name: part.copy() for name, part in observations.items()}
        for i in np.flatnonzero(ended):
            for name, part in merged.items():
                part[i] = final[name][i] if isinstance(final, dict) else final[i][name]
        return merged
    if isinstance(observations, tuple):  # a batch of a Tuple space
        merged_parts = tuple(part.copy() for part in observations)
        for i in np.flatnonzero(ended):
            for part, value in zip(merged_parts, final[i], strict=True):
                part[i] = value
        return merged_parts
    if final.dtype != object:
        if ended.all():  # as in every step of bandits
            return final
        return np.where(ended.reshape(-1, *[1] * (observations.ndim - 1)), final, observations)
    merged_array = observations.copy()
    for i in np.flatnonzero(ended):
        merged_array[i] = final[i]
    return merged_array


def masks_from(
    infos: dict[str, Any], n_actions: int, n: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Action masks from infos, (n, A), and in which environments they are told, (n,).

    Raises:
        ValueError: a mask has another length.
    """
    masks, told = np.ones((n, n_actions), np.bool_), np.zeros(n, np.bool_)
    if "action_mask" in infos:
        told = np.array(infos.get("_action_mask", ~told), np.bool_)
        for i in np.flatnonzero(told):
            row = np.asarray(infos["action_mask"][i])
            if row.shape != (n_actions,):
                raise ValueError(
                    f"`action_mask[{i}]` must have shape ({n_actions},), got {row.shape}."
                )
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
