"""Reading what a batch of environments takes and gives: seeds, actions, ends, infos."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv

Seeds = int | Sequence[int | None] | None


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
        return np.where(ended.reshape(-1, *[1] * (observations.ndim - 1)), final, observations)
    merged_array = observations.copy()
    for i in np.flatnonzero(ended):
        merged_array[i] = final[i]
    return merged_array


def stack_masks(masks: Any, present: Any, n_actions: int) -> npt.NDArray[np.bool_]:
    """Action masks from infos, (num_envs, A); all True where an environment gave none."""
    rows = [np.ones(n_actions) if m is None else m for m in masks]
    stacked: npt.NDArray[np.bool_] = np.asarray(rows).astype(np.bool_)
    if present is not None:
        stacked[~np.asarray(present, bool)] = True
    return stacked


def merge_infos(
    infos: dict[str, Any], final: dict[str, Any], ended: npt.NDArray[np.bool_]
) -> dict[str, Any]:
    """The last step's infos: from `final` where an episode ended, from `infos` elsewhere."""
    merged = {name: value for name, value in final.items() if name not in ("episode", "_episode")}
    merged["episode_end"], merged["_episode_end"] = infos["episode_end"], infos["_episode_end"]
    return merged if ended.all() else {**infos, **merged}
