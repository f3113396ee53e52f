"""`RunConfig`: everything that defines a training run, as stored in the run's `config.json`.

One PPO iteration takes `n_envs * horizon` steps: one meta-episode in each environment.
`RunConfig.of` fills in what is not given from the recipe, the domain, the algorithm, the policy's
class and the estimator. All settings are stored, so that a run never depends on the defaults of
later code.

Seeds: environment i of a run has the seed s + i, where s is drawn from the run's seed. All of these
are below 2**31. Held-out tasks have seeds from 2**31 on, so no run can have seen them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from rl3_sb3.experiments.algorithms import Algorithm, algorithm_of
from rl3_sb3.experiments.domains import CANONICAL, Domain, domain_of
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.learners import has_axes, takes_reals
from rl3_sb3.experiments.settings.filling import (
    TABLES,
    filled_in,
    replaced,
    with_one_entropy,
)
from rl3_sb3.experiments.settings.parts import (
    checked_estimator_options,
    checked_policy_arguments,
    with_oldest_choices,
)
from rl3_sb3.experiments.settings.recipes import RECIPES
from rl3_sb3.experiments.settings.schedules import Schedule
from rl3_sb3.experiments.settings.setting import declared, full_name, setting

FIRST_HELD_OUT_SEED = 2**31
SIGNALS = ("reward", "regret")
CRITIC_SEES = ("history", "task")

# The fields that identify a run within an experiment; all others are settings.
IDENTITY = ("domain", "size", "algo", "horizon", "seed")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All settings of a run. Two runs with equal settings can differ only by their hardware.

    The other fields have a help text; `rl3 train --help` lists them.

    Args:
        domain: A name in `DOMAINS`, or `module:attribute` of custom tasks.
        size: Number of rows and columns of grids; None for other tasks.
        algo: A name in `ALGORITHMS`.
        horizon: Steps of a meta-episode, at least 1.
        seed: Seed of everything random, at least 0.
        policy_arguments: All arguments of the policy's class.
        estimator_options: All options of the estimator; empty without one.

    Raises:
        InputError: A value is out of range.
    """

    domain: str
    algo: str
    size: int | None = None
    horizon: int = setting("steps of a meta-episode", group="task", least=1)
    seed: int = setting("seed of everything random", group="task", least=0, is_large=True)
    variation: str = setting("task distribution to train on", group="task", default=CANONICAL)

    recipe: str = setting(
        "where settings that are not given come from (except those of the task)",
        group="learning",
        choices=(*RECIPES,),
    )
    iterations: int = setting("total number of PPO iterations", group="learning", least=1)
    n_envs: int = setting("environments, one meta-episode each", group="learning", least=1)
    batch_size: int = setting(
        "steps per minibatch, rounded to whole meta-episodes", group="learning", least=4
    )
    n_epochs: int = setting("passes over each iteration's steps", group="learning", least=1)
    learning_rate: float | Schedule = setting("Adam's learning rate", group="learning", least=0)
    gamma: float = setting("PPO's discount factor", group="learning", least=0, most=1)
    gae_lambda: float | Schedule = setting(
        "lambda of PPO's advantage estimates", group="learning", least=0, most=1
    )
    clip_range: float | Schedule = setting(
        "largest change of the probability ratio from 1", group="learning", above=0
    )
    target_kl: float | None = setting(
        "mean KL divergence above which the actor stops until the next iteration",
        group="learning",
        above=0,
    )
    ent_coef: float | Schedule = setting("weight of the entropy", group="learning", least=0)
    vf_coef: float = setting("weight of the critic's loss", group="learning", least=0)
    max_grad_norm: float | None = setting(
        "largest norm of each network's gradient", group="learning", above=0
    )
    normalize_advantage: bool = setting("in each minibatch", group="learning")
    normalize_returns: bool = setting(
        "train the critic in units of each rollout's returns", group="learning"
    )
    signal: str = setting(
        "what PPO maximises: the reward, or minus the expected regret of each action in the true "
        "task (vamdp.RegretReward)",
        group="learning",
        choices=SIGNALS,
    )
    signal_scale: float = setting("factor of the signal", group="learning", above=0)
    critic_sees: str = setting(
        "what the critic sees: only the history, like the actor, or also the true task "
        "(vamdp.ShowTask)",
        group="learning",
        choices=CRITIC_SEES,
    )
    symmetry_share: float = setting(
        "share of sequences that are relabelled; only if the domain knows a symmetry",
        group="learning",
        least=0,
        most=1,
    )
    symmetry_coef: float = setting(
        "weight of the divergence from the relabelled behaviour", group="learning", least=0
    )
    validate_every: int = setting(
        "iterations between two validations; 0: never", group="learning", least=0
    )
    start_from: str | None = setting(
        "folder of a published agent, a run or an exported policy, whose networks it begins with",
        group="learning",
    )
    critic_first: int = setting(
        "iterations at the beginning in which only the critic trains", group="learning", least=0
    )

    value_scale: float = setting("divisor of values", group="observation", above=0)
    count_scale: float = setting("divisor of counts", group="observation", above=0)
    reward_scale: float = setting("divisor of the previous reward", group="observation", above=0)

    policy: str = setting("class of the policy", group="policy")
    policy_arguments: Mapping[str, Any] = field(default_factory=dict)
    estimator: str | None = setting("learner that estimates values", group="estimator")
    estimator_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in _checked_one_by_one(vars(self)).items():
            object.__setattr__(self, name, value)
        algorithm = algorithm_of(self.algo)
        self.facts.check_size(self.size)
        self.facts.check_variation(self.variation)
        if self.n_envs * self.horizon < 2:
            raise InputError(
                "`n_envs` must be at least 2 when `horizon` is 1, got 1. "
                "PPO cannot normalise a single advantage."
            )
        self._check_start()
        self._check_parts(algorithm)

    def _check_start(self) -> None:
        if self.start_from is not None:
            if not self.start_from:
                raise InputError(
                    "`start_from` must be a folder, got ''. Leave it out to start anew."
                )
            object.__setattr__(self, "start_from", str(Path(self.start_from)))  # without a last /
        if self.critic_first >= self.iterations:
            raise InputError(
                f"`critic_first` must be below `iterations`, {self.iterations}, got "
                f"{self.critic_first}: the actor would never train."
            )

    def _check_parts(self, algorithm: Algorithm) -> None:
        for name, usual in (("signal", "reward"), ("critic_sees", "history")):
            if getattr(self, name) != usual and not self.facts.has_tables:
                raise InputError(
                    f"`{name}` must be {usual} in the domain {self.domain}, got "
                    f"{getattr(self, name)}: its tasks are environments, whose optimum is "
                    "unknown. Leave it out, or define the tasks as tables (vamdp.TabularMDP)."
                )
        if (self.estimator is None) != (algorithm.estimator is None):
            needs = "left out" if algorithm.estimator is None else "the name of one"
            raise InputError(
                f"`estimator` must be {needs} with {self.algo}, got {self.estimator!r}."
            )
        options = self.estimator_options
        n_clustered = options.get("cluster_size", 1)
        if n_clustered > 1 and not self.facts.has_places:
            raise InputError(
                f"`estimator.cluster_size` must be 1 in the domain {self.domain}, got "
                f"{n_clustered} ({self.algo}): clusters consist of neighbouring places, and its "
                "states are places only with Domain(has_places=True). Leave it out, and use rl3 "
                "instead of rl3-coarse."
            )
        has_distances = self.facts.has_places or not self.facts.has_tables
        if self.estimator is not None and takes_reals(self.estimator) and not has_distances:
            remedy = "Leave it out" if algorithm.estimator != self.estimator else "Take rl3"
            raise InputError(
                f"`estimator` must be for tables in the domain {self.domain}, got "
                f"{self.estimator!r} ({self.algo}), which needs distances between states: its "
                f"states have them only with Domain(has_places=True). {remedy}."
            )
        if options.get("cluster_terminals") and n_clustered == 1:
            raise InputError(
                "`estimator.cluster_terminals` must be left out without clusters, got True. Take "
                "rl3-coarse."
            )
        if self.symmetry_share > 0:
            self._check_symmetry()

    def _check_symmetry(self) -> None:
        if not self.facts.has_symmetry:
            raise InputError(
                f"`symmetry_share` must be 0 in the domain {self.domain}, got "
                f"{self.symmetry_share}: its actions are not known to be exchangeable, and no "
                "transformations of its tasks are known. Leave it out; for custom tasks see "
                "Domain(exchangeable_actions=..., transformations=...)."
            )
        transforms = bool(self.facts.transformations_of(self.size))
        if transforms and self.estimator is not None and has_axes(self.estimator):
            raise InputError(
                f"`symmetry_share` must be 0 with the estimator {self.estimator} in the domain "
                f"{self.domain}, got {self.symmetry_share}: what it learns of a task that is "
                "turned or mirrored differs from its turned or mirrored values. Set it to 0, or "
                "take another estimator."
            )

    @classmethod
    def of(
        cls,
        domain: str,
        /,  # so that settings may have any name
        *,
        algo: str = "rl3",
        horizon: int | None = None,
        seed: int = 0,
        size: int | None = None,
        **settings: Any,
    ) -> RunConfig:
        """Create a configuration from the settings that differ from the defaults.

        Args:
            domain: See the class.
            algo: See the class.
            horizon: See the class; None: the domain's.
            seed: See the class.
            size: See the class; None: the domain's first.
            **settings: Settings by full or short name, such as `policy.d_model` or `d_model`.

        Raises:
            InputError: A setting is unknown, or a value out of range.

        Example:
            >>> RunConfig.of("bandit", horizon=500).n_envs
            32
            >>> RunConfig.of("bandit", **{"estimator.gamma": 0.9}).estimator_options["gamma"]
            0.9
        """
        facts, algorithm = _domain_and_algorithm(domain, algo)
        size = next(iter(facts.horizons)) if size is None else size
        facts.check_size(size)
        horizon = facts.horizons[size] if horizon is None else horizon
        check_integer("horizon", horizon, 1)
        values = filled_in(facts, algorithm, horizon, settings, _plain_names())
        return cls(domain=domain, algo=algo, horizon=horizon, seed=seed, size=size, **values)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str) -> RunConfig:
        """Create a configuration from the result of `to_dict`.

        Args:
            values: All settings; unknown entries are an error.
            source: Name of the file, for the error.

        Raises:
            InputError: An entry is missing, unknown or out of range.
        """
        if "policy_arguments" not in values:
            return cls._from_first_version(values, source)
        values = {**_CAME_LATER, **values}
        _check_names(values.keys(), {each.name for each in fields(cls)}, source)
        arguments = with_oldest_choices(values["policy"], values["policy_arguments"])
        return cls(**{**values, "policy_arguments": arguments})

    @classmethod
    def _from_first_version(cls, values: Mapping[str, Any], source: str) -> RunConfig:
        """Create a configuration from those of version 0.1, without schedules and tables."""
        _check_names(values.keys(), set(_FIRST_VERSION), source)
        known = with_one_entropy(values)
        for name in ("warm_start", "cluster_terminals", "mixed_precision"):
            if not known[name]:  # not every policy and estimator has them
                del known[name]
        return cls.of(known.pop("domain"), recipe="paper", **known)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values; schedules as text."""
        return _plain(vars(self))

    def flat(self) -> dict[str, Any]:
        """Return all settings as in `to_dict`, those of policy and estimator by full names."""
        return _flat(vars(self))

    def usual(self, *names: str) -> dict[str, Any]:
        """Return `flat` of a run with this one's identity, recipe and settings `names`, no others.

        They need not go together: the run may differ from the usual because they do not.
        """
        given = {name: getattr(self, name) for name in ("recipe", *names)}
        values = filled_in(self.facts, self.algorithm, self.horizon, given, _plain_names())
        identity = {name: getattr(self, name) for name in IDENTITY}
        return _flat(_checked_one_by_one({**identity, "variation": CANONICAL, **values}))

    def resolved(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the given settings by their full names, with the values of `flat`."""
        flat = self.flat()
        return {name: flat[name] for name in (full_name(given, flat) for given in settings)}

    @property
    def facts(self) -> Domain:
        """The domain."""
        return domain_of(self.domain)

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm's row."""
        return algorithm_of(self.algo)

    @property
    def task_horizon(self) -> int:
        """Largest number of steps in an episode."""
        return self.facts.task_horizon or self.horizon

    @property
    def title(self) -> str:
        """The algorithm's name in tables and figures."""
        return self.algorithm.title

    @property
    def prior_options(self) -> dict[str, Any]:
        """The model-based learner's options that are the domain's prior; {} if it has none."""
        if not self.facts.prior or "estimator" in self.facts.prior:
            return {}
        knowing = Algorithm("", "", knows_prior=True)
        values = filled_in(self.facts, knowing, self.horizon, {}, _plain_names())
        options: dict[str, Any] = values["estimator_options"]
        return options

    @property
    def kind(self) -> str:
        """The tasks as one word, for names of folders, such as gridworld13-dense."""
        variation = "" if self.variation == CANONICAL else f"-{self.variation}"
        domain = self.domain.replace(":", "-").replace(".", "-")
        return f"{domain}{self.size or ''}{variation}"

    @property
    def sentence(self) -> str:
        """The run in words."""
        size = f" of size {self.size}" if self.size else ""
        return (
            f"{self.title} in {self.domain}{size}, {self.variation} tasks, meta-episodes of "
            f"{self.horizon} steps, seed {self.seed}"
        )

    @property
    def steps_per_iteration(self) -> int:
        """Number of steps of all environments together in one iteration."""
        return self.n_envs * self.horizon

    @property
    def total_steps(self) -> int:
        """Number of steps of the whole run."""
        return self.iterations * self.steps_per_iteration

    @property
    def environment_seed(self) -> int:
        """The first environment's seed."""
        drawn = np.random.SeedSequence([self.seed, 0]).generate_state(1)[0]
        return int(drawn) % (FIRST_HELD_OUT_SEED - self.n_envs)


_FIRST_VERSION = (
    "domain", "algo", "horizon", "seed", "n_envs", "batch_size", "iterations", "ent_coef",
    "final_ent_coef", "learning_rate", "n_epochs", "gamma", "gae_lambda", "clip_range",
    "target_kl", "vf_coef", "size", "variation", "cluster_terminals", "warm_start",
    "mixed_precision", "validate_every",
)  # fmt: skip

# Settings that stored runs may lack, with the values that they had before they could be set.
_CAME_LATER: Mapping[str, Any] = {
    "recipe": "paper",
    "normalize_returns": False,
    "critic_sees": "history",
    "symmetry_share": 0.0,
    "symmetry_coef": 1.0,
    "start_from": None,
    "critic_first": 0,
}


def joined_settings(settings: Mapping[str, Any], by: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings for `RunConfig.of`, with those in `by` replaced.

    Names may be full, short, or those of tables. The result has no tables.
    """
    return replaced(settings, by, _plain_names())


def _plain_names() -> list[str]:
    """Return the names of settings that are fields of their own, without the run's identity."""
    taken = {*IDENTITY, *TABLES.values()}
    return [each.name for each in fields(RunConfig) if each.name not in taken]


def _checked_one_by_one(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a run with their types; whether they go together is not checked."""
    checked = dict(values)
    for each in fields(RunConfig):
        declaration = declared(each)
        if declaration is not None:
            checked[each.name] = declaration.checked(each.name, values[each.name])
    for name in ("domain", "algo"):
        if not isinstance(values[name], str):
            raise InputError(f"`{name}` must be a name, got {values[name]!r}.")
    for name in TABLES.values():
        if not isinstance(values[name], Mapping):
            raise InputError(f"`{name}` must be a table, got {values[name]!r}.")
    arguments = checked_policy_arguments(checked["policy"], values["policy_arguments"])
    options = checked_estimator_options(checked["estimator"], values["estimator_options"])
    return checked | {"policy_arguments": arguments, "estimator_options": options}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a run as plain values."""
    plain = dict(values)
    for name, value in values.items():
        if isinstance(value, Schedule):
            plain[name] = str(value)
        elif isinstance(value, Mapping):
            plain[name] = dict(value)
    return plain


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a run as plain values, without tables."""
    flat = _plain(values)
    for prefix, table in TABLES.items():
        flat |= {prefix + name: value for name, value in flat.pop(table).items()}
    return flat


def _domain_and_algorithm(domain: Any, algo: Any) -> tuple[Domain, Algorithm]:
    for name, value in (("domain", domain), ("algo", algo)):
        if not isinstance(value, str):
            raise InputError(f"`{name}` must be a name, got {value!r}.")
    return domain_of(domain), algorithm_of(algo)


def _check_names(given: Any, known: set[str], source: str) -> None:
    wrong = sorted(known ^ set(given))
    if wrong:
        raise InputError(
            f"`{source}` must hold the settings of a run, got missing or unknown ones: "
            f"{', '.join(wrong)}. Restore the file, or choose another folder."
        )


def check_integer(name: str, value: Any, least: int) -> None:
    """Raise InputError unless the setting `name` is an integer of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"`{name}` must be an integer of at least {least}, got {value!r}.")
