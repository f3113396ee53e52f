"""The environments of a run: batched tasks, value estimates if wanted, meta-episodes.

The algorithms differ here and nowhere else, except that the Markov version's network has no memory:
RL2 leaves `ValueAugment` out, RL3-coarse estimates the values of clusters, RL3 (Markov) shows
nothing but what `ValueAugment` adds.
"""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

import vamdp.vector
from rl3_sb3.experiments.config import COARSE_CLUSTER_SIZE, RunConfig

FloatArray = npt.NDArray[np.float32]


class FirstEntries(VectorWrapper[Any, Any, Any, Any, Any]):
    """Shows only the first entries of flat observations.

    Args:
        env: A vector environment with `Box` observations of one axis.
        n_entries: How many to show.
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

    def reset(self, **kwargs: Any) -> tuple[FloatArray, dict[str, Any]]:
        """Reset; see the environment."""
        observations, infos = self.env.reset(**kwargs)
        return observations[:, self._shown], infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step; see the environment."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        if "final_obs" in infos:
            infos = {**infos, "final_obs": infos["final_obs"][:, self._shown]}
        return observations[:, self._shown], rewards, terminated, truncated, infos


def make_envs(
    config: RunConfig, n_envs: int, *, algo: str | None = None, variation: str | None = None
) -> VectorEnv[Any, Any, Any]:
    """Make the environments that an algorithm sees.

    Args:
        config: A run.
        n_envs: How many environments.
        algo: Whose observations, a name in `ALGORITHMS`; None: the run's.
        variation: Which tasks, "canonical" or a name in the domain's `variations`; None: the run's.

    Returns:
        A batch of meta-episodes in step with each other.
    """
    facts, algo = config.facts, algo or config.algo
    envs: VectorEnv[Any, Any, Any] = gymnasium.make_vec(
        facts.env_id,
        num_envs=n_envs,
        vectorization_mode="vector_entry_point",
        **facts.env_arguments(config.size, variation or config.variation),
    )
    n_values = 0
    if algo != "rl2":
        envs = augmented = vamdp.vector.ValueAugment(envs, **value_options(config, algo))
        n_values = augmented.layout["count"].stop
    envs = vamdp.vector.MetaEpisode(
        envs,
        config.horizon,
        task_horizon=config.task_horizon,
        reward_scale=facts.reward_scale,
    )
    return FirstEntries(envs, n_values) if algo == "rl3-markov" else envs


def value_options(config: RunConfig, algo: str) -> dict[str, Any]:
    """Return the arguments of `ValueAugment` for an algorithm that sees values."""
    facts = config.facts
    options: dict[str, Any] = {
        "task_horizon": config.task_horizon,
        "value_scale": facts.value_scale,
        "count_scale": facts.count_scale,
        "show_state": algo != "rl3-markov",
        "gamma": facts.gamma,
        "smoothing": facts.smoothing,
        "tolerance": facts.tolerance,
        "reward_model": facts.reward_model,
        "warm_start": config.warm_start,
    }
    if algo == "rl3-coarse":
        options |= {
            "cluster_size": COARSE_CLUSTER_SIZE,
            "cluster_terminals": config.cluster_terminals,
        }
    return options
