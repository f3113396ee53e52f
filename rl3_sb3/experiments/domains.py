"""The task distributions of the experiments, and what is the same in every run on them.

A domain is a row of `DOMAINS`, an object that a package registers with `register_domain` or through
the entry point group "rl3_sb3.domains", or, named `module:attribute`, whatever a module holds: a
`Domain`, or a function from a random generator to a `vamdp.TabularMDP`.

The settings of the value estimates are those of the paper's authors where the text leaves them open
(RL3, arXiv 2306.15909, section 5 and Appendix C). Rewards and values are divided by their scales so
that the network's inputs lie about in [0, 1]. Frozen lakes are ours, not the paper's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.named import attribute_of
from rl3_sb3.experiments.settings.recipes import RECIPES
from vamdp.domains import TaskDistribution, TaskEnv, TaskVectorEnv
from vamdp.domains.gridworlds import VARIATIONS

CANONICAL = "canonical"
ENTRY_POINTS = "rl3_sb3.domains"


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One task distribution, with the settings that suit it.

    Args:
        title: Its name in tables and figures.
        env_id: A Gymnasium id whose vector entry point makes a `vamdp.TaskVectorEnv`, or None where
            `tasks` is given.
        tasks: A function from a NumPy generator to a `vamdp.TabularMDP`, or None where `env_id` is.
        variations: The shifted distributions, by name: arguments of the environment, or another
            function in the place of `tasks`.
        arguments: The environment's arguments, whatever the variation.
        feature_scale: Of `tasks` whose states are shown as coordinates, see `vamdp.TaskEnv`.
        horizons: H by size of the tasks; where they have but one size, it is None.
        task_horizon: Longest episode, which is cut there; also the sweeps of value iteration.
            None: H, and nothing is cut.
        value_scale: Divides Q-estimates in observations.
        reward_scale: Divides the previous reward in observations.
        count_scale: Divides visit counts in observations.
        estimator_options: Of the estimator, where they differ from its defaults. Another estimator
            than the model-based takes those that it knows.
        settings: Other settings of a run that suit the domain, by their names in `RunConfig`. Its
            usual recipe is one.
        recipes: Those that suit it in one recipe, by the recipe's name.
        exchangeable_actions: Whether, in each variation, a task and the same task with its actions
            renamed are equally likely.
        has_places: Whether states are places with neighbours, which RL3-coarse puts together.
        baselines: The classical agents that its tasks are compared with, by their names in
            `vamdp.baselines.BASELINES`, each with the options that suit the tasks.
        action_names: One per action, where the tasks have pictures; none: there is nothing to film.

    Raises:
        ValueError: Not exactly one of `env_id` and `tasks` is given, or something else does not fit
            it.

    Example:
        >>> from vamdp.domains import Bandits
        >>> domain = Domain(title="Two arms", tasks=Bandits(n_arms=2), task_horizon=1)
        >>> domain.make_vector_env(3, None, CANONICAL).single_action_space
        Discrete(2)
    """

    title: str
    env_id: str | None = None
    tasks: TaskDistribution | None = None
    variations: Mapping[str, Mapping[str, Any] | TaskDistribution] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    feature_scale: float | None = None
    horizons: Mapping[int | None, int] = field(default_factory=lambda: {None: 100})
    task_horizon: int | None = None
    value_scale: float = 1.0
    reward_scale: float = 1.0
    count_scale: float = 10.0
    estimator_options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    exchangeable_actions: bool = False
    has_places: bool = False
    baselines: Mapping[str, Mapping[str, Any]] = field(
        default_factory=lambda: {"random": {}, "certainty-equivalent": {}, "vamdp-bonus": {}}
    )
    action_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what can be checked without a task."""
        if (self.env_id is None) == (self.tasks is None):
            raise ValueError(
                f"A domain must have either `env_id` or `tasks`, got {self.env_id!r} and "
                f"{self.tasks!r}."
            )
        if not self.horizons or (self.tasks is not None and set(self.horizons) != {None}):
            raise ValueError(
                f"`horizons` must be {{None: H}} for `tasks`, which have one size, got "
                f"{dict(self.horizons)!r}."
            )
        if self.task_horizon is not None and not self.task_horizon >= 1:
            raise ValueError(f"`task_horizon` must be at least 1, got {self.task_horizon!r}.")
        for name in self.recipes:
            if name not in RECIPES:
                raise ValueError(f"`recipes` must be of {', '.join(RECIPES)}, got {name!r}.")
            if "recipe" in self.recipes[name]:
                raise ValueError(
                    f"`recipes` must hold settings of one recipe, got a `recipe` in {name!r}. Say "
                    'in `settings` which is the usual one: {"recipe": ...}.'
                )
        for name, variation in self.variations.items():
            if not re.fullmatch(r"[\w-]+", name) or name == CANONICAL:
                raise ValueError(
                    "`variations` must have names of letters, digits, _ and -, and not "
                    f"{CANONICAL}, got {name!r}: results are stored under them."
                )
            if callable(variation) != (self.tasks is not None):
                wanted = "the environment's arguments" if self.tasks is None else "a function"
                raise ValueError(f"`variations[{name!r}]` must be {wanted}, got {variation!r}.")

    def make_vector_env(
        self, n_envs: int, size: int | None, variation: str
    ) -> VectorEnv[Any, Any, Any]:
        """Make a batch of environments with tasks of this size and variation."""
        if self.env_id is None:
            return TaskVectorEnv(
                self._tasks(variation),
                n_envs,
                feature_scale=self.feature_scale,
                max_episode_steps=self.task_horizon,
            )
        envs = gymnasium.make_vec(
            self.env_id,
            num_envs=n_envs,
            vectorization_mode="vector_entry_point",
            **self._env_arguments(size, variation),
        )
        if not isinstance(envs.unwrapped, TaskVectorEnv):
            raise TypeError(
                f"`env_id` must have a vector entry point that makes a vamdp.TaskVectorEnv, got "
                f"{self.env_id}, which makes a {type(envs.unwrapped).__name__}."
            )
        return envs

    def make_env(
        self, size: int | None, variation: str, render_mode: str | None = None
    ) -> gymnasium.Env[Any, Any]:
        """Make one environment that equals the first of a batch."""
        if self.env_id is None:
            env = TaskEnv(
                self._tasks(variation), feature_scale=self.feature_scale, render_mode=render_mode
            )
            limit = self.task_horizon
            return env if limit is None else gymnasium.wrappers.TimeLimit(env, limit)
        arguments = self._env_arguments(size, variation)
        return gymnasium.make(self.env_id, render_mode=render_mode, **arguments)

    def _tasks(self, variation: str) -> TaskDistribution:
        tasks = self.tasks if variation == CANONICAL else self.variations[variation]
        assert callable(tasks), "a domain's tasks are functions"
        return tasks

    def _env_arguments(self, size: int | None, variation: str) -> dict[str, Any]:
        arguments = dict(self.arguments)
        if size is not None:
            arguments["size"] = size
        if variation != CANONICAL:
            shifted = self.variations[variation]
            assert not callable(shifted), "an environment's variations are arguments"
            arguments |= shifted
        return arguments

    def check_variation(self, name: str) -> None:
        """Raise InputError unless there is a variation of this name."""
        if name != CANONICAL and name not in self.variations:
            known = ", ".join([CANONICAL, *self.variations])
            raise InputError(f"`variation` must be one of {known}, got {name!r}.")

    def check_size(self, size: int | None) -> None:
        """Raise InputError unless there are tasks of this size."""
        if not isinstance(size, int | None) or size not in self.horizons:
            known = " or ".join("left out" if n is None else str(n) for n in self.horizons)
            raise InputError(f"`size` must be {known} in {self.title.lower()}, got {size!r}.")


DOMAINS: dict[str, Domain] = {
    "bandit": Domain(
        title="Bandits",
        env_id="vamdp/Bandit-v0",
        variations={"ood": {"ood": True}},
        task_horizon=1,
        # Q is then the mean reward of an arm, untouched by smoothing (Appendix A.1).
        estimator_options={"reward_model": "state_action"},
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
        },
    ),
    "random-mdp": Domain(
        title="Random MDPs",
        env_id="vamdp/RandomMDP-v0",
        variations={"ood": {"ood": True}},
        task_horizon=10,
        value_scale=10.0,
        reward_scale=10.0,
        recipes={
            "paper": {"iterations": 10_000, "ent_coef": "0.1:0"},
            # Much entropy and renamed actions keep RL2 from ever beginning to learn here.
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
        recipes={
            "paper": {"iterations": 20_000, "ent_coef": 0.04, "learning_rate": 2e-4},
            # Regrets are ten times as large. Agents whose entropy falls early stand still for ever.
            "ours": {
                "iterations": 3000,
                "learning_rate": "6e-4:1e-4",
                "gae_lambda": "0.3:1@0.5",
                "ent_coef": "0.3:0",
                "signal_scale": 0.02,
            },
        },
        has_places=True,
        baselines={
            "random": {},
            "certainty-equivalent": {},
            # A goal's 100 at every step that is left would be far too daring.
            "r-max": {"r_max": 0.4, "lookahead": 50},
            "informed": {},
        },
        action_names=("stay", "north", "east", "south", "west"),
    ),
    "frozen-lake": Domain(
        title="Frozen lakes",
        env_id="vamdp/FrozenLake-v0",
        variations={"slippery": {"slippery": True}},
        # On Gymnasium's default maps, p = 0.8, chance reaches the goal in one of 2300 episodes: who
        # learns anything is a lottery. At 0.9 it is one of 160.
        arguments={"p": 0.9},
        horizons={8: 200, 4: 100},
        task_horizon=200,
        estimator_options={"gamma": 0.95, "smoothing": 0.01, "tolerance": 0.001},
        # Entropy keeps it trying, and one success has to speak for all the steps that led to it.
        recipes={"paper": {"iterations": 2000, "ent_coef": "0.1:0.01", "gae_lambda": 0.95}},
        baselines={
            "random": {},
            "certainty-equivalent": {},
            "vamdp-bonus": {"bonus": 0.05},
            "r-max": {},
        },
        action_names=("west", "south", "east", "north"),
    ),
}


def register_domain(name: str, domain: Domain) -> None:
    """Let `rl3` know a domain by this name.

    A package calls this when it is imported. For a domain that `rl3` shall know without importing
    the package by name, declare an entry point `name = "module:attribute"` in the group
    "rl3_sb3.domains" instead.

    Args:
        name: Without a colon.
        domain: Its settings.

    Raises:
        ValueError: The name holds a colon, or another domain has it.
        TypeError: `domain` is no `Domain`.
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
        InputError: There is none.
    """
    if name in DOMAINS:
        return DOMAINS[name]
    if ":" in name:
        return _as_domain(name, attribute_of("domain", name))
    declared = _declared(name)
    if declared is None:
        raise InputError(
            f"`domain` must be one of {', '.join(DOMAINS)}, or MODULE:NAME of your own tasks, got "
            f"{name!r}."
        )
    return _as_domain(name, declared)


@cache
def _declared(name: str) -> Any:
    """Return what an installed package declares under this name; None if none does."""
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        return entry.load()
    return None


def _as_domain(name: str, found: Any) -> Domain:
    if isinstance(found, Domain):
        return found
    if isinstance(found, type) or not callable(found):
        raise InputError(
            f"`domain` must name a Domain, or a function from a generator to a TabularMDP, got "
            f"{name!r}, which is {found!r}."
        )
    return Domain(title=name.rpartition(":")[2], tasks=found)
