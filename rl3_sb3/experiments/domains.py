"""The task distributions of the experiments, and how to register others.

`rl3` finds a domain as a row of `DOMAINS`; as an object that a package registers with
`register_domain` or through the entry point group "rl3_sb3.domains"; or by `module:attribute`, if
that is a `Domain`, or a function from a random generator to a `vamdp.TabularMDP` or a
`gymnasium.Env`.

The options of value estimates are those of the paper's authors where the text leaves them open
(RL3, arXiv 2306.15909, section 5 and Appendix C). Scales bring the network's inputs roughly into
[0, 1]; those of a prior are smaller, because what matters there is which value is the largest.
Frozen lakes and all later domains are ours, not the paper's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import gymnasium
import numpy as np

from rl3_sb3.experiments import grid_transformations
from rl3_sb3.experiments.domain import CANONICAL as CANONICAL
from rl3_sb3.experiments.domain import Domain as Domain
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.named import attribute_of
from vamdp import StateBins
from vamdp.domains.gridworlds import VARIATIONS

ENTRY_POINTS = "rl3_sb3.domains"


# For real-valued states; each learner uses the options that it has.
_CONTINUOUS = {"gamma": 0.95, "smoothing": 0.01}

DOMAINS: dict[str, Domain] = {
    "bandit": Domain(
        title="Bandits",
        env_id="vamdp/Bandit-v0",
        variations={"ood": {"ood": True}},
        task_horizon=1,
        # Q is then the mean reward of an arm, without smoothing (Appendix A.1).
        estimator_options={"reward_model": "state_action"},
        # Means are uniform on [0, 1], so two rewards of 0.5 come before the first.
        prior={
            "estimator.prior_mean": 0.5,
            "estimator.prior_weight": 2.0,
            "estimator.bonus": 0.4,
            "value_scale": 0.005,
        },
        recipes={
            "paper": {"iterations": 5000, "ent_coef": 0.01},
            "ours": {"iterations": 600, "symmetry_share": 1.0},
        },
        exchangeable_actions=True,
        baselines={
            "random": {},
            "bandit-greedy": {},
            "bandit-eps-greedy": {},
            "thompson": {},
            "optimistic-thompson": {},
            "ucb1": {},
            "gittins-discounted": {},
            "gittins": {},
            "prior-values": {},
        },
    ),
    "random-mdp": Domain(
        title="Random MDPs",
        env_id="vamdp/RandomMDP-v0",
        variations={"ood": {"ood": True}},
        task_horizon=10,
        value_scale=10.0,
        reward_scale=10.0,
        # Mean rewards and their noise are N(1, 1) and N(0, 1), successors Dirichlet(1, ..., 1).
        prior={
            "estimator.prior_mean": 1.0,
            "estimator.prior_weight": 1.0,
            "estimator.smoothing": 1.0,
            "estimator.reward_model": "state_action",
            "estimator.bonus": 1.0,
            "value_scale": 0.3,
        },
        recipes={
            "paper": {"iterations": 10_000, "ent_coef": "0.1:0"},
            # With much entropy and relabelled actions, RL2 never begins to learn here.
            "ours": {"iterations": 1000, "ent_coef": "0.02:0"},
        },
        exchangeable_actions=True,
        baselines={
            "random": {},
            "greedy": {},
            "eps-greedy": {},
            "psrl": {},
            "optimistic-psrl": {},
            "ucrl2": {},
            "beb": {},
            "r-max": {"r_max": 2.0},
            "certainty-equivalent": {},
            "vamdp-bonus": {"bonus": 3.0},
            "prior-values": {},
        },
    ),
    "gridworld": Domain(
        title="Gridworlds",
        env_id="vamdp/GridWorld-v0",
        variations={name: {"variation": name} for name in VARIATIONS},
        horizons={11: 250, 13: 350},
        value_scale=10.0,
        reward_scale=100.0,
        estimator_options={"gamma": 0.95, "smoothing": 0.01},
        # The learner that the informed agent acts on: who follows it explores without entropy. In a
        # turned grid its values are only nearly the turned ones.
        prior={
            "estimator": "vamdp.baselines.grids:GRID_BELIEFS",
            "value_scale": 2.0,
            "ent_coef": "0.05:0",
            "symmetry_share": 0.0,
        },
        recipes={
            "paper": {"iterations": 20_000, "ent_coef": 0.04, "learning_rate": 2e-4},
            # Regrets are ten times as large. If entropy falls early, agents learn to stand still.
            "ours": {
                "iterations": 3000,
                "learning_rate": "6e-4:1e-4",
                # Above 0.9 the return falls while the critic is not yet good.
                "gae_lambda": "0.3:0.9@0.5",
                "ent_coef": "0.3:0",
                "signal_scale": 0.02,
                "critic_sees": "task",
                "batch_size": 500,
                "symmetry_share": 1.0,
                "value_scale": 50.0,
            },
        },
        transformations=grid_transformations.of_gridworlds,
        has_places=True,
        baselines={
            "random": {},
            "certainty-equivalent": {},
            # A goal's 100 for every remaining step would be far too optimistic.
            "r-max": {"r_max": 0.4, "lookahead": 50},
            "informed": {},
        },
        action_names=("stay", "north", "east", "south", "west"),
    ),
    "frozen-lake": Domain(
        title="Frozen lakes",
        env_id="vamdp/FrozenLake-v0",
        variations={"slippery": {"slippery": True}},
        # On Gymnasium's default maps, p = 0.8, random actions reach the goal in 1 of 2300 episodes,
        # so it is a lottery which runs learn. At 0.9 they reach it in 1 of 160.
        arguments={"p": 0.9},
        horizons={8: 200, 4: 100},
        task_horizon=200,
        estimator_options={"gamma": 0.95, "smoothing": 0.01, "tolerance": 0.001},
        # Entropy keeps it exploring, and one success must credit all steps that led to it.
        recipes={"paper": {"iterations": 2000, "ent_coef": "0.1:0.01", "gae_lambda": 0.95}},
        transformations=grid_transformations.of_frozen_lakes,
        baselines={
            "random": {},
            "certainty-equivalent": {},
            "vamdp-bonus": {"bonus": 0.05},
            "r-max": {},
        },
        action_names=("west", "south", "east", "north"),
    ),
    # Where rewards are sparse, one success must credit all the steps that led to it.
    "cartpole": Domain(
        title="Cart-poles",
        env_id="vamdp/CartPole-v0",
        horizons={None: 400},
        task_horizon=100,
        # The pole falls before the cart leaves the track.
        state_bins=StateBins((1, 4, 8, 6), (-2.4, -3, -0.21, -3), (2.4, 3, 0.21, 3)),
        estimator_options={
            **_CONTINUOUS,
            "scales": (1.0, 1.0, 0.1, 1.0),
            "width": 0.5,
            "radius": 0.75,
        },
        recipes={
            "paper": {"iterations": 1000, "gae_lambda": 0.95},
            "ours": {"iterations": 100, "ent_coef": "0.02:0"},
        },
        baselines={"random": {}},
    ),
    "acrobot": Domain(
        title="Acrobots",
        env_id="vamdp/Acrobot-v0",
        horizons={None: 400},
        task_horizon=200,
        value_scale=10.0,
        # Cosines and sines of two angles, and their velocities.
        state_bins=StateBins(4, (-1, -1, -1, -1, -6, -8), (1, 1, 1, 1, 6, 8)),
        estimator_options={
            **_CONTINUOUS,
            "scales": (0.7, 0.7, 0.7, 0.7, 2.0, 3.0),
            "width": 0.6,
            "radius": 0.8,
        },
        recipes={
            "paper": {"iterations": 2000, "ent_coef": "0.05:0.01", "gae_lambda": 0.95},
            "ours": {"iterations": 600, "ent_coef": "0.05:0"},
        },
        baselines={"random": {}},
    ),
    "mountain-car": Domain(
        title="Mountain cars",
        env_id="vamdp/MountainCar-v0",
        horizons={None: 400},
        task_horizon=200,
        value_scale=10.0,
        estimator_options={**_CONTINUOUS, "scales": (0.4, 0.025)},
        recipes={
            "paper": {"iterations": 2000, "ent_coef": "0.05:0.01", "gae_lambda": 0.95},
            "ours": {"iterations": 600, "ent_coef": "0.05:0"},
        },
        baselines={"random": {}},
    ),
    "half-circle": Domain(
        title="Half circles",
        env_id="vamdp/HalfCircle-v0",
        # Random actions find the goal in 1 of 200 meta-episodes at the usual 0.2, 1 of 20 at 0.3.
        arguments={"radius": 0.3},
        variations={"small": {"radius": 0.2}},
        task_horizon=20,
        value_scale=10.0,
        state_bins=StateBins(12, -1.2, 1.2),
        estimator_options={**_CONTINUOUS, "scales": (0.6, 0.6)},
        recipes={
            "paper": {"iterations": 2000, "ent_coef": "0.05:0.01", "gae_lambda": 0.95},
            "ours": {"iterations": 600, "ent_coef": "0.05:0"},
        },
        baselines={"random": {}},
    ),
}


def register_domain(name: str, domain: Domain) -> None:
    """Register a domain under a name for `rl3`.

    A package calls this when it is imported. To make a domain known without an import, declare an
    entry point `name = "module:attribute"` in the group "rl3_sb3.domains" instead.

    Args:
        name: The new name, without a colon.
        domain: The domain.

    Raises:
        ValueError: The name is empty, contains a colon, or belongs to another domain.
        TypeError: `domain` is not a `Domain`.
    """
    if not isinstance(domain, Domain):
        raise TypeError(f"`domain` must be a Domain, got {domain!r}.")
    if ":" in name or not name:
        raise ValueError(f"`name` must be a word without a colon, got {name!r}.")
    if DOMAINS.get(name, domain) is not domain:
        raise ValueError(f"`name` must be new, got {name!r}, the name of {DOMAINS[name].title}.")
    DOMAINS[name] = domain


def domain_of(name: str) -> Domain:
    """Return the domain of this name, or the one that `module:attribute` names.

    Raises:
        InputError: There is no such domain.
    """
    if name in DOMAINS:
        return DOMAINS[name]
    if ":" in name:
        return _as_domain(name, attribute_of("domain", name))
    declared = _declared(name)
    if declared is None:
        raise InputError(
            f"`domain` must be one of {', '.join(DOMAINS)}, or MODULE:NAME of custom tasks, got "
            f"{name!r}."
        )
    return _as_domain(name, declared)


@cache
def _declared(name: str) -> Any:
    """Return the object that an installed package declares under this name; None if none does."""
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        return entry.load()
    return None


def _as_domain(name: str, found: Any) -> Domain:
    if isinstance(found, Domain):
        return found
    if isinstance(found, type) or not callable(found):
        raise InputError(
            f"`domain` must name a Domain, or a function from a generator to a TabularMDP or a "
            f"gymnasium.Env, got {name!r}, which is {found!r}."
        )
    known = _OF_FUNCTIONS.get(name)
    if known is None or found not in (known.tasks, known.environments):
        kind = "environments" if _draws_environments(found) else "tasks"
        known = Domain(title=name.rpartition(":")[2], **{kind: found})
        _OF_FUNCTIONS[name] = known
    return known


# A cache: to find out what a function draws, it must draw a task.
_OF_FUNCTIONS: dict[str, Domain] = {}


def _draws_environments(draw: Callable[[np.random.Generator], Any]) -> bool:
    """Return whether a function draws environments. Other errors are reported when it is used."""
    try:
        drawn = draw(np.random.default_rng(0))
    except Exception:
        return False
    if isinstance(drawn, gymnasium.Env):
        drawn.close()
        return True
    return False
