"""Create the environments of a run: batched tasks, value estimates if wanted, meta-episodes.

The algorithm's row decides what is shown: RL2 has no `ValueAugment`, and RL3 (Markov) shows only
what `ValueAugment` adds.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.spaces.utils import flatdim, flatten
from gymnasium.vector import VectorEnv
from gymnasium.vector.utils import batch_space, iterate

import vamdp.vector
from rl3_sb3.action_masks import ActionMasks
from rl3_sb3.experiments.learners import estimator_arguments, takes_reals
from rl3_sb3.experiments.settings.run_config import FIRST_HELD_OUT_SEED, RunConfig
from rl3_sb3.vec_env import GymnasiumVecEnv
from vamdp.inner_env import discrete_actions, find_owner
from vamdp.vector_bases import AnyVectorWrapper

FloatArray = npt.NDArray[np.float32]

# The walk that tests what an environment does: this many random actions, each for this many steps.
# Repeated actions lead further, perhaps to rewards.
_WALK, _HELD = 128, 8


class FirstEntries(AnyVectorWrapper):
    """Shows only the first entries of flat observations.

    Args:
        env: A vector environment with `Box` observations of one axis, and a `layout`.
        n_entries: Number of entries to show.

    Attributes:
        layout: Name of a shown part -> its slice.
        layout_space: The space of a single observation.
        action_parts: Names of the shown parts with one entry per action.
    """

    def __init__(self, env: VectorEnv[Any, Any, Any], n_entries: int) -> None:
        super().__init__(env)
        box = env.single_observation_space
        assert isinstance(box, gymnasium.spaces.Box), f"flat observations expected, got {box}"
        shown = slice(0, n_entries)
        self._shown = shown
        self.single_observation_space = gymnasium.spaces.Box(
            box.low[shown], box.high[shown], dtype=np.float32
        )
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        owner: Any = find_owner(env, "layout")
        self.layout = {name: part for name, part in owner.layout.items() if part.stop <= n_entries}
        self.layout_space = self.single_observation_space
        self.action_parts = tuple(name for name in owner.action_parts if name in self.layout)

    def reset(self, **kwargs: Any) -> tuple[FloatArray, dict[str, Any]]:
        """Reset the environments, and show the first entries."""
        observations, infos = self.env.reset(**kwargs)
        return observations[:, self._shown], infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step the environments, and show the first entries."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        if "final_obs" in infos:
            infos = {**infos, "final_obs": infos["final_obs"][:, self._shown]}
        return observations[:, self._shown], rewards, terminated, truncated, infos


def make_envs(
    config: RunConfig, n_envs: int, *, variation: str | None = None
) -> VectorEnv[Any, Any, Any]:
    """Make the environments for a run's agent.

    Args:
        config: The run.
        n_envs: Number of environments.
        variation: Task distribution, "canonical" or a name in the domain's `variations`; None: the
            run's.

    Returns:
        A batch of meta-episodes that begin and end together.
    """
    envs = config.facts.make_vector_env(n_envs, config.size, variation or config.variation)
    if config.estimator is not None:
        envs = vamdp.vector.ValueAugment(envs, **value_arguments(config))
    n_entries = flatdim(envs.single_observation_space)
    envs = vamdp.vector.MetaEpisode(envs, config.horizon, **meta_arguments(config))
    return envs if config.algorithm.shows_history else FirstEntries(envs, n_entries)


def fingerprint(config: RunConfig) -> str:
    """Return a digest of a run's first held-out task, which shows whether changed code changed it.

    For a table the digest covers all its numbers, for an environment a random walk of allowed
    actions; differences that the walk does not meet go unnoticed. Numbers are rounded first,
    because processors differ in the last bits.

    A table's noise and features have a digest of their own, after a "-": runs of earlier versions
    stored only what precedes it, see `is_of_fingerprint`.
    """
    envs = config.facts.make_vector_env(1, config.size, config.variation)
    start, infos = envs.reset(seed=[FIRST_HELD_OUT_SEED])  # type: ignore[arg-type] # lists are fine
    if config.facts.has_tables:
        task = envs.unwrapped.tasks[0]  # type: ignore[attr-defined] # ours have them
        sizes = (task.n_states, task.n_actions, config.task_horizon)
        arrays = [task.rows, task.successor, task.ends, task.probability, task.reward]
        noise, features = task.reward_noise, task.features
        noise = noise if noise is None or isinstance(noise, str) else round(float(noise), 6)
        more = f"-{_digest((noise,), [] if features is None else [features])}"
    else:
        space, actions = envs.single_observation_space, discrete_actions(envs.single_action_space)
        sizes = (flatdim(space), int(actions.n), config.task_horizon)
        more = ""
        arrays = [flatten(space, one) for one in iterate(envs.observation_space, start)]
        walk = actions.start + np.random.default_rng(0).integers(actions.n, size=_WALK)
        single_envs = GymnasiumVecEnv(envs, info_keys=())
        masks = ActionMasks(single_envs)
        for action in np.repeat(walk, _HELD):
            allowed = masks.at(single_envs.split(infos))
            if allowed is not None:  # the next one that is
                first = int(action - actions.start)
                further = int(np.argmax(np.roll(allowed[0], -first)))
                action = actions.start + (first + further) % actions.n
            observations, *outcome, infos = envs.step(action[None])
            arrays += [flatten(space, one) for one in iterate(envs.observation_space, observations)]
            arrays += outcome
        # Adding 0.0 turns -0.0, which rounding may give, into 0.0.
        arrays = [np.round(np.asarray(array, np.float64), 6) + 0.0 for array in arrays]
    envs.close()
    return _digest(sizes, arrays) + more


def is_of_fingerprint(stored: str, found: str) -> bool:
    """Return whether a run's stored fingerprint, maybe of an earlier version, is that of its tasks.

    Example:
        >>> [is_of_fingerprint(stored, "ab-cd") for stored in ("ab-cd", "ab", "ab-ef", "a")]
        [True, True, False, False]
    """
    return stored in (found, found.partition("-")[0])


def _digest(values: tuple[object, ...], arrays: Iterable[npt.ArrayLike]) -> str:
    digest = hashlib.sha256(repr(values).encode())
    for array in arrays:
        digest.update(np.round(np.asarray(array, np.float64), 6).tobytes())
    return digest.hexdigest()[:16]


def value_arguments(config: RunConfig) -> dict[str, Any]:
    """Return the arguments of `ValueAugment`, single or batched."""
    assert config.estimator is not None, "RL2 has no values"
    own_states = takes_reals(config.estimator)
    return {
        "state_key": None if own_states else config.facts.state_bins,
        "task_horizon": config.task_horizon,
        "value_scale": config.value_scale,
        "count_scale": config.count_scale,
        "show_state": config.algorithm.shows_state,
        **estimator_arguments(config.estimator, config.estimator_options),
    }


def meta_arguments(config: RunConfig) -> dict[str, Any]:
    """Return the arguments of `MetaEpisode`, single or batched."""
    return {"task_horizon": config.task_horizon, "reward_scale": config.reward_scale}
