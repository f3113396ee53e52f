"""The task distributions of the experiments, and what is the same in every run on them.

The settings of the value estimates are those of the paper's authors where the text leaves them open
(RL3, arXiv 2306.15909, section 5 and Appendix C). Rewards and values are divided by their scales so
that the network's inputs lie about in [0, 1].
"""

from dataclasses import dataclass

from rl3_sb3.experiments.errors import InputError


@dataclass(frozen=True)
class Domain:
    """Fixed facts of one task distribution.

    Attributes:
        title: Its name in tables and figures.
        env_id: Gymnasium id; its vector entry point takes `ood`.
        task_horizon: Longest episode; also the sweeps of value iteration.
        reward_model: The learned model's rewards, see `vamdp.EstimatorOptions`.
        value_scale: Divides Q-estimates in observations.
        reward_scale: Divides the previous reward in observations.
        ent_coef: Entropy coefficient at the beginning.
        final_ent_coef: Entropy coefficient at the end; linear in between.
        iterations: PPO iterations of the paper.
        smoothing: Laplace smoothing of the learned transition model.
        tolerance: Stopping threshold of value iteration.
        gamma: Discount of value iteration.
        count_scale: Divides visit counts in observations.
    """

    title: str
    env_id: str
    task_horizon: int
    reward_model: str
    value_scale: float
    reward_scale: float
    ent_coef: float
    final_ent_coef: float
    iterations: int
    smoothing: float = 0.1
    tolerance: float = 0.01
    gamma: float = 1.0
    count_scale: float = 10.0


DOMAINS = {
    "bandit": Domain(
        title="Bandits",
        env_id="vamdp/Bandit-v0",
        task_horizon=1,
        reward_model="state_action",
        value_scale=1.0,
        reward_scale=1.0,
        ent_coef=0.01,
        final_ent_coef=0.01,
        iterations=5000,
    ),
    "random-mdp": Domain(
        title="Random MDPs",
        env_id="vamdp/RandomMDP-v0",
        task_horizon=10,
        reward_model="transition",
        value_scale=10.0,
        reward_scale=10.0,
        ent_coef=0.1,
        final_ent_coef=0.0,
        iterations=10_000,
    ),
}


def domain_of(name: str) -> Domain:
    """Return the domain of this name.

    Raises:
        InputError: There is none.
    """
    if name not in DOMAINS:
        raise InputError(f"`domain` must be one of {', '.join(DOMAINS)}, got {name!r}.")
    return DOMAINS[name]
