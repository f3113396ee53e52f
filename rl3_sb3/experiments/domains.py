"""The task distributions of the experiments, and what is the same in every run on them.

The settings of the value estimates are those of the paper's authors where the text leaves them open
(RL3, arXiv 2306.15909, section 5 and Appendix C). Rewards and values are divided by their scales so
that the network's inputs lie about in [0, 1]. Frozen lakes are ours, not the paper's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rl3_sb3.experiments.errors import InputError
from vamdp.domains.gridworlds import VARIATIONS

CANONICAL = "canonical"


@dataclass(frozen=True)
class Domain:
    """Fixed facts of one task distribution.

    Attributes:
        title: Its name in tables and figures.
        env_id: Gymnasium id, with a vector entry point.
        variations: The shifted distributions, by name: arguments of the environment.
        task_horizon: Longest episode; also the sweeps of value iteration. None: H.
        reward_model: The learned model's rewards, see `vamdp.EstimatorOptions`.
        value_scale: Divides Q-estimates in observations.
        reward_scale: Divides the previous reward in observations.
        ent_coef: Entropy coefficient at the beginning.
        final_ent_coef: Entropy coefficient at the end; linear in between.
        iterations: PPO iterations, the paper's where it is the paper's domain.
        horizons: H by size of the tasks; where they have but one size, it is None.
        has_places: Whether states are places with neighbours, which RL3-coarse puts together.
        arguments: The environment's arguments, whatever the variation.
        learning_rate: Adam's.
        gae_lambda: Lambda of PPO's advantage estimates.
        smoothing: Laplace smoothing of the learned transition model.
        tolerance: Stopping threshold of value iteration.
        gamma: Discount of value iteration.
        count_scale: Divides visit counts in observations.
    """

    title: str
    env_id: str
    variations: Mapping[str, Mapping[str, Any]]
    task_horizon: int | None
    reward_model: str
    value_scale: float
    reward_scale: float
    ent_coef: float
    final_ent_coef: float
    iterations: int
    horizons: Mapping[int | None, int] = field(default_factory=lambda: {None: 100})
    has_places: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)
    learning_rate: float = 3e-4
    gae_lambda: float = 0.3
    smoothing: float = 0.1
    tolerance: float = 0.01
    gamma: float = 1.0
    count_scale: float = 10.0

    def env_arguments(self, size: int | None, variation: str) -> dict[str, Any]:
        """Return the environment's arguments for tasks of this size and variation."""
        arguments = dict(self.arguments)
        if size is not None:
            arguments["size"] = size
        return arguments if variation == CANONICAL else arguments | dict(self.variations[variation])

    def check_variation(self, name: str) -> None:
        """Raise InputError unless there is a variation of this name."""
        if name != CANONICAL and name not in self.variations:
            known = ", ".join([CANONICAL, *self.variations])
            raise InputError(f"`variation` must be one of {known}, got {name!r}.")


DOMAINS = {
    "bandit": Domain(
        title="Bandits",
        env_id="vamdp/Bandit-v0",
        variations={"ood": {"ood": True}},
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
        variations={"ood": {"ood": True}},
        task_horizon=10,
        reward_model="transition",
        value_scale=10.0,
        reward_scale=10.0,
        ent_coef=0.1,
        final_ent_coef=0.0,
        iterations=10_000,
    ),
    "gridworld": Domain(
        title="Gridworlds",
        env_id="vamdp/GridWorld-v0",
        variations={name: {"variation": name} for name in VARIATIONS},
        task_horizon=None,
        reward_model="transition",
        value_scale=10.0,
        reward_scale=100.0,
        ent_coef=0.04,
        final_ent_coef=0.04,
        iterations=20_000,
        horizons={11: 250, 13: 350},
        has_places=True,
        learning_rate=2e-4,
        smoothing=0.01,
        gamma=0.95,
    ),
    "frozen-lake": Domain(
        title="Frozen lakes",
        env_id="vamdp/FrozenLake-v0",
        variations={"slippery": {"slippery": True}},
        task_horizon=200,
        reward_model="transition",
        value_scale=1.0,
        reward_scale=1.0,
        # On Gymnasium's default maps, p = 0.8, chance reaches the goal in one of 2300 episodes: who
        # learns anything is a lottery. At 0.9 it is one of 160.
        arguments={"p": 0.9},
        # Entropy keeps it trying, and one success has to speak for all the steps that led to it.
        ent_coef=0.1,
        final_ent_coef=0.01,
        gae_lambda=0.95,
        iterations=2000,
        horizons={8: 200, 4: 100},
        smoothing=0.01,
        tolerance=0.001,
        gamma=0.95,
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
