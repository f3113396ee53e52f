"""Use a Gymnasium vector environment as an SB3 `VecEnv`.

Both interfaces step many environments at once. They differ at the end of an episode. SB3 expects
the first observation of the next episode in the same step, and the last observation of the old one
in `info["terminal_observation"]`. Gymnasium's `AutoresetMode.SAME_STEP` does the same, and with
`DISABLED` this class resets the ended environments itself. The default, `NEXT_STEP`, adds a step to
each episode whose action is ignored. A learner must not see it, so this mode raises an error.

A batched environment need not consist of single ones, so an attribute or method can belong to the
whole batch: see `get_attr` and `env_method`.
"""

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import Wrapper
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from stable_baselines3.common.env_util import is_wrapped
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)

# Not part of a step's info: these describe the episode that ended.
_FINAL_KEYS = ("final_obs", "final_info")

# Always passed on, because SB3's statistics and the policy read them.
_ALWAYS = ("episode", "action_mask")


class GymnasiumVecEnv(VecEnv):
    """Lets SB3 train on a `gymnasium.vector.VectorEnv`.

    Observations are copies, because an environment may reuse its buffers. If an episode ends, the
    environment's info dictionary is that of the last step (all of `final_info`), with
    `terminal_observation` and `TimeLimit.truncated`; the reset info of the next episode is in
    `reset_infos`. In other steps `TimeLimit.truncated` is left out (SB3 reads it as False).

    Args:
        vector_env: The environment. Its `metadata["autoreset_mode"]` must be SAME_STEP or DISABLED.
        info_keys: The entries of each step's infos to pass on; None passes on all. Splitting a
            batch into dictionaries takes some tenths of a microsecond per entry and environment, so
            pass `()` if you do not need them. `final_info`, "episode" and "action_mask" are always
            passed on.

    Raises:
        TypeError: `vector_env` is not a vector environment.
        ValueError: The autoreset mode is another one, or not declared.

    >>> from gymnasium import make_vec
    >>> same_step = {"autoreset_mode": AutoresetMode.SAME_STEP}
    >>> vector_env = make_vec("CartPole-v1", 3, vectorization_mode="sync", vector_kwargs=same_step)
    >>> GymnasiumVecEnv(vector_env).reset().shape
    (3, 4)
    """

    def __init__(
        self, vector_env: VectorEnv[Any, Any, Any], *, info_keys: Sequence[str] | None = None
    ) -> None:
        if not isinstance(vector_env, VectorEnv):
            raise TypeError(
                f"`vector_env` must be a gymnasium.vector.VectorEnv, got {type(vector_env)}. "
                "Pass a single environment to SB3 without this class."
            )
        mode = vector_env.metadata.get("autoreset_mode")
        if mode not in (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED):
            raise ValueError(
                f"`vector_env` must reset within the same step, got autoreset mode {mode}. Pass "
                "autoreset_mode=AutoresetMode.SAME_STEP to SyncVectorEnv or AsyncVectorEnv, or "
                'vectorization_mode="sync" and vector_kwargs={"autoreset_mode": '
                "AutoresetMode.SAME_STEP} to gymnasium.make_vec."
            )
        self.vector_env = vector_env
        self._resets_itself = mode == AutoresetMode.SAME_STEP
        self._info_keys = None if info_keys is None else frozenset(info_keys)
        self._actions: npt.NDArray[Any] | None = None
        super().__init__(
            vector_env.num_envs,
            vector_env.single_observation_space,
            vector_env.single_action_space,
        )
        if "render_fps" in vector_env.metadata:  # VecVideoRecorder asks for it
            self.metadata["render_fps"] = vector_env.metadata["render_fps"]

    # ---------------------------------------------------------------- reset and step

    def reset(self) -> VecEnvObs:
        """Reset all environments with the seeds and options set before, which are used once."""
        seeded = any(seed is not None for seed in self._seeds)
        obs, infos = self.vector_env.reset(
            seed=list(self._seeds) if seeded else None,  # type: ignore[arg-type] # lists are fine
            options=self._common_options(),
        )
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = self._rows(infos, range(self.num_envs))
        copied: VecEnvObs = _copy(obs)
        return copied

    def _common_options(self) -> dict[str, Any] | None:
        first = self._options[0]
        if any(options != first for options in self._options):
            raise ValueError(
                "`options` must be the same for all environments of a vector environment, got "
                f"{self._options}. Pass one dictionary to set_options."
            )
        return deepcopy(first) or None

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Store the actions for `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Step all environments; if an episode ends, the next one starts in the same step."""
        assert self._actions is not None, "call step_async first"
        obs, rewards, terminated, truncated, infos = self.vector_env.step(self._actions)
        dones = np.logical_or(terminated, truncated)
        step_infos = self.split(infos)
        if dones.any():
            # SB3 bootstraps from the final value only after a time limit.
            timeouts = np.logical_and(truncated, np.logical_not(terminated))
            final_obs, final_infos = self._final(obs, infos, dones)
            if not self._resets_itself:
                final_obs = _copy(final_obs)  # the reset may write into the same buffer
                obs, infos = self.vector_env.reset(options={"reset_mask": dones.copy()})
            ended = np.flatnonzero(dones).tolist()
            told = zip(ended, self._rows(infos, ended), self._rows(final_infos, ended), strict=True)
            for i, reset_info, final_info in told:
                self.reset_infos[i] = reset_info
                step_infos[i] = {
                    **final_info,
                    "terminal_observation": _copy(_at(final_obs, i)),
                    "TimeLimit.truncated": bool(timeouts[i]),
                }
        return _copy(obs), np.array(rewards, dtype=np.float32), dones, step_infos

    def _final(
        self, obs: Any, infos: dict[str, Any], dones: npt.NDArray[np.bool_]
    ) -> tuple[Any, dict[str, Any]]:
        """Return batches of final observations and infos, valid at least where `dones`."""
        if not self._resets_itself:
            return obs, infos
        if "final_obs" not in infos or not np.all(infos.get("_final_obs", dones)[dones]):
            raise ValueError(
                '`vector_env` must put last observations into infos["final_obs"] when it resets '
                f"within the step, got infos {sorted(infos)}. Correct the environment."
            )
        final_info = dict(infos.get("final_info", {}))
        # A statistics wrapper around the autoreset puts "episode" beside final_info, not into it.
        if "episode" in infos:
            final_info.setdefault("episode", infos["episode"])
        return infos["final_obs"], final_info

    # ---------------------------------------------------------------- infos

    def split(self, infos: dict[str, Any]) -> list[dict[str, Any]]:
        """Return a batch's infos as one dictionary per environment, without the final ones.

        Args:
            infos: The infos that the vector environment's `reset` or `step` returned.
        """
        split: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        for key, values in infos.items():
            if not self._hands_on(key):
                continue
            self._require_one_each(key, values)
            mask = infos.get(f"_{key}")
            if isinstance(values, dict) or (mask is not None and not np.all(mask)):
                for i in range(self.num_envs) if mask is None else np.flatnonzero(mask):
                    split[i][key] = _info_at(values, i)
            else:
                for info, value in zip(split, values, strict=True):
                    info[key] = value
        return split

    def _hands_on(self, key: str) -> bool:
        if key.startswith("_") or key in _FINAL_KEYS:
            return False
        return self._info_keys is None or key in self._info_keys or key in _ALWAYS

    def _rows(self, infos: dict[str, Any], rows: Iterable[int]) -> list[dict[str, Any]]:
        """Return all entries of these environments but the final ones."""
        told = {key: values for key, values in infos.items() if key not in _FINAL_KEYS}
        for key, values in told.items():
            self._require_one_each(key, values)
        return [_info_at(told, i) for i in rows]

    def _require_one_each(self, key: str, values: Any) -> None:
        """Raise ValueError unless an entry of a batch's infos has one value per environment."""
        if isinstance(values, dict):
            for name, inner in values.items():
                self._require_one_each(f"{key}.{name}", inner)
            return
        try:
            n_values = None if isinstance(values, str) else len(values)
        except TypeError:  # a single number
            n_values = None
        if n_values != self.num_envs:
            raise ValueError(
                f"`vector_env` must return infos with one value for each of {self.num_envs} "
                f"environments, got {key} = {values!r}. Return a list or an array of them, or "
                "leave the entry out."
            )

    # ---------------------------------------------------------------- attributes and methods

    def _levels(self) -> Iterator[VectorEnv[Any, Any, Any]]:
        """Yield the wrappers of the vector environment, outermost first, and then itself."""
        level = self.vector_env
        while isinstance(level, VectorWrapper):
            yield level
            level = level.env
        yield level

    def _owner(
        self, name: str, rows: Sequence[int] | None = None
    ) -> VectorEnv[Any, Any, Any] | None:
        """Return the level that has this attribute for the batch; None if single ones have it.

        If single environments can be queried separately, only `rows` need it; otherwise all do.

        Attributes that every vector environment has (spec, metadata, render_mode, ...) are read
        from the single environments if there are any: a SyncVectorEnv's own `spec` is None.
        """
        if not hasattr(VectorEnv, name):
            for level in self._levels():
                if hasattr(level, name):
                    return level
        base = self.vector_env.unwrapped
        if hasattr(base, "call"):
            has = base.call("has_wrapper_attr", name)
            if rows is not None and hasattr(base, "envs"):
                has = [has[i] for i in rows]
            if all(has):
                return None
        if hasattr(base, name):
            return self.vector_env
        raise AttributeError(f"Neither {self.vector_env} nor its environments have `{name}`.")

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of the environments, one value per index.

        An attribute of the vector environment itself (or of a wrapper around it) is returned once
        per index. The spaces are those of the single environments.

        Raises:
            AttributeError: There is no such attribute.
        """
        rows = list(self._get_indices(indices))
        base = self.vector_env.unwrapped
        if attr_name in ("observation_space", "action_space"):
            if getattr(base, "observation_mode", "same") != "same":
                spaces = base.call(attr_name)  # type: ignore[attr-defined] # Sync or Async
                return [spaces[i] for i in rows]
            return [getattr(self, attr_name)] * len(rows)
        owner = self._owner(attr_name, rows)
        if owner is not None:
            return [getattr(owner, attr_name)] * len(rows)
        if hasattr(base, "envs"):
            return [base.envs[i].get_wrapper_attr(attr_name) for i in rows]
        values = base.call(attr_name)  # type: ignore[attr-defined] # an AsyncVectorEnv
        return [values[i] for i in rows]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute where `get_attr` would find it, in all environments or in `indices`.

        Raises:
            AttributeError: There is no such attribute.
            ValueError: `indices` selects some environments, but the whole batch has one value.
        """
        owner = self._owner(attr_name)
        if owner is not None:
            self._require_all(attr_name, indices)
            setattr(owner, attr_name, value)
            return
        values = self.get_attr(attr_name)
        for i in self._get_indices(indices):
            values[i] = value
        self.vector_env.unwrapped.set_attr(attr_name, values)  # type: ignore[attr-defined]

    def env_method(
        self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any
    ) -> list[Any]:
        """Call a method of the environments and return one result per index.

        A method of the vector environment itself runs once for the whole batch, and its result is
        returned once per index.

        Raises:
            AttributeError: There is no such method.
            ValueError: `indices` selects some environments, but the method runs for all together.
        """
        owner = self._owner(method_name)
        if owner is not None:
            self._require_all(method_name, indices)
            return [getattr(owner, method_name)(*args, **kwargs)] * self.num_envs
        base = self.vector_env.unwrapped
        if hasattr(base, "envs"):
            rows = self._get_indices(indices)
            return [base.envs[i].get_wrapper_attr(method_name)(*args, **kwargs) for i in rows]
        self._require_all(method_name, indices)
        return list(base.call(method_name, *args, **kwargs))  # type: ignore[attr-defined]

    def _require_all(self, name: str, indices: VecEnvIndices) -> None:
        rows = list(self._get_indices(indices))
        if rows != list(range(self.num_envs)):
            raise ValueError(
                f"`indices` must be None for `{name}`, which exists once for the whole batch, "
                f"got {rows}. Leave `indices` out."
            )

    def env_is_wrapped(
        self, wrapper_class: type[Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Return for each index whether its environment, or the batch, is wrapped in this class.

        For environments inside an AsyncVectorEnv this is unknown and returned as False.
        """
        rows = list(self._get_indices(indices))
        if any(isinstance(level, wrapper_class) for level in self._levels()):
            return [True] * len(rows)
        envs = getattr(self.vector_env.unwrapped, "envs", None)
        return [envs is not None and is_wrapped(envs[i], wrapper_class) for i in rows]

    def get_images(self) -> Sequence[npt.NDArray[Any] | None]:
        """Return one image per environment, from the vector environment's `render`."""
        images = self.vector_env.render()
        return [None] * self.num_envs if images is None else list(images)  # type: ignore[arg-type]

    def close(self) -> None:
        """Close the vector environment."""
        self.vector_env.close()


def _copy(obs: Any) -> Any:
    if isinstance(obs, dict):
        return {key: np.array(value) for key, value in obs.items()}
    return np.array(obs)


def _at(batch: Any, i: int | np.intp) -> Any:
    # An object array and a (n_envs, ...) array are indexed in the same way. A batch of dictionaries
    # may also be a dictionary of batches.
    if isinstance(batch, dict):
        return {key: value[i] for key, value in batch.items()}
    return batch[i]


def _info_at(values: Any, i: int | np.intp) -> Any:
    """Return environment i's part of a vector info, without entries masked out for it."""
    if not isinstance(values, dict):
        return values[i]
    return {
        key: _info_at(value, i)
        for key, value in values.items()
        if not key.startswith("_") and (f"_{key}" not in values or values[f"_{key}"][i])
    }
