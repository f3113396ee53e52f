"""The environments of a run: batched tasks, value estimates if wanted, meta-episodes.

RL2, RL3 and RL3 (Markov) differ here and nowhere else, except that the Markov version's network has
no memory: RL2 leaves `ValueAugment` out, RL3 (Markov) shows nothing but what `ValueAugment` adds.
"""

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space

import vamdp.vector
from rl3_sb3.experiments.domains import Domain

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
    facts: Domain, algo: str, horizon: int, n_envs: int, *, ood: bool = False
) -> VectorEnv[Any, Any, Any]:
    """Make the environments that an algorithm sees.

    Args:
        facts: The domain.
        algo: A name in `ALGORITHMS`.
        horizon: Steps of a meta-episode.
        n_envs: How many environments.
        ood: Tasks from the shifted distribution.

    Returns:
        A batch of meta-episodes in step with each other.
    """
    envs: VectorEnv[Any, Any, Any] = gymnasium.make_vec(
        facts.env_id, num_envs=n_envs, vectorization_mode="vector_entry_point", ood=ood
    )
    n_values = 0
    if algo != "rl2":
        envs = augmented = vamdp.vector.ValueAugment(
            envs,
            task_horizon=facts.task_horizon,
            value_scale=facts.value_scale,
            count_scale=facts.count_scale,
            show_state=algo == "rl3",
            gamma=facts.gamma,
            smoothing=facts.smoothing,
            tolerance=facts.tolerance,
            reward_model=facts.reward_model,
        )
        n_values = augmented.layout["count"].stop
    envs = vamdp.vector.MetaEpisode(
        envs, horizon, task_horizon=facts.task_horizon, reward_scale=facts.reward_scale
    )
    return FirstEntries(envs, n_values) if algo == "rl3-markov" else envs
