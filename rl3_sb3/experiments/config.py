"""What defines a training run: `RunConfig`, as it is stored in the run's `config.json`.

One iteration of PPO takes `n_envs * horizon` steps, about 32768 as in the paper: each environment
lives through one meta-episode. Defaults are the paper's (RL3, arXiv 2306.15909, Appendix C); those
that depend on the domain or the horizon are filled in by `RunConfig.of`.

Seeds. Environment i of a run is seeded with s + i, where s is drawn from the run's seed. All of
them are below 2**31; held-out tasks have the seeds from 2**31 on, so no run can have seen one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

import numpy as np

from rl3_sb3.experiments.domains import CANONICAL, Domain, domain_of
from rl3_sb3.experiments.errors import InputError

ALGORITHMS = {
    "rl2": "RL²",
    "rl3": "RL³",
    "rl3-coarse": "RL³-coarse",
    "rl3-markov": "RL³ (Markov)",
}
# Cells that RL3-coarse plans for as one.
COARSE_CLUSTER_SIZE = 2
PAPER_STEPS_PER_ITERATION = 32768
FIRST_HELD_OUT_SEED = 2**31


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """All settings of a run; two runs with equal ones differ by nothing but the hardware.

    Args:
        domain: A name in `DOMAINS`.
        algo: "rl2": the environment as it is. "rl3": with value estimates. "rl3-coarse": with value
            estimates of pairs of neighbouring states. "rl3-markov": value estimates and counts
            alone, for a policy without memory.
        horizon: Steps of a meta-episode, at least 1.
        seed: Of everything random, at least 0.
        n_envs: Environments, at least 1 (2 at horizon 1).
        batch_size: Steps per minibatch, at least 4; whole meta-episodes are taken.
        iterations: PPO iterations in all.
        ent_coef: Entropy coefficient at the beginning.
        final_ent_coef: The same at the end; linear in between.
        learning_rate: Adam's.
        n_epochs: Passes over each iteration's steps.
        gamma: Discount of PPO.
        gae_lambda: See `TransformerPPO`.
        clip_range: See `TransformerPPO`.
        target_kl: See `TransformerPPO`.
        vf_coef: See `TransformerPPO`.
        size: Rows and columns of the tasks, where they are grids; else None.
        variation: Which distribution of tasks: "canonical", or a name in the domain's `variations`.
        cluster_terminals: Let RL3-coarse put terminal states together with others, as the authors'
            released code does; see `vamdp.EstimatorOptions`.
        warm_start: Let value iteration go on from the tables before, see `vamdp.EstimatorOptions`.
        mixed_precision: Compute the networks' matrix products in bfloat16, see `TransformerPolicy`.
        validate_every: Iterations from one measurement of the validation return to the next; 0:
            never. It changes nothing of the training.

    Raises:
        InputError: A value is out of range.
    """

    domain: str
    algo: str
    horizon: int
    seed: int
    n_envs: int
    batch_size: int
    iterations: int
    ent_coef: float
    final_ent_coef: float
    learning_rate: float = 3e-4
    n_epochs: int = 8
    gamma: float = 0.99
    gae_lambda: float = 0.3
    clip_range: float = 0.2
    target_kl: float = 0.01
    vf_coef: float = 0.5
    size: int | None = None
    variation: str = CANONICAL
    cluster_terminals: bool = False
    warm_start: bool = False
    mixed_precision: bool = False
    validate_every: int = 50

    def __post_init__(self) -> None:
        for name in ("domain", "algo", "variation"):
            if not isinstance(getattr(self, name), str):
                raise InputError(f"`{name}` must be a name, got {getattr(self, name)!r}.")
        domain_of(self.domain)
        if self.algo not in ALGORITHMS:
            raise InputError(f"`algo` must be one of {', '.join(ALGORITHMS)}, got {self.algo!r}.")
        least = {"horizon": 1, "seed": 0, "n_envs": 1, "batch_size": 4, "iterations": 1}
        least |= {"n_epochs": 1, "validate_every": 0}
        for name, minimum in least.items():
            check_integer(name, getattr(self, name), minimum)
        for field in fields(self):
            if field.type == "float":
                _check_number(field.name, getattr(self, field.name))
        if self.n_envs * self.horizon < 2:
            raise InputError(
                "`n_envs` must be at least 2 when `horizon` is 1, got 1. "
                "PPO cannot normalise a single advantage."
            )
        self._check_tasks_and_estimates()

    def _check_tasks_and_estimates(self) -> None:
        facts = self.facts
        check_size(facts, self.size)
        facts.check_variation(self.variation)
        for name in ("cluster_terminals", "warm_start", "mixed_precision"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"`{name}` must be true or false, got {getattr(self, name)!r}.")
        if self.algo == "rl3-coarse" and not facts.has_places:
            raise InputError(
                f"`algo` must not be rl3-coarse in the domain {self.domain}: it puts together "
                "neighbours by their row and column, which only gridworld shows. Take rl3."
            )
        if self.cluster_terminals and self.algo != "rl3-coarse":
            raise InputError(
                f"`cluster_terminals` must be left out with {self.algo}, got True: only rl3-coarse "
                "has clusters."
            )
        if self.mixed_precision and self.algo == "rl3-markov":
            raise InputError(
                f"`mixed_precision` must be left out with {self.algo}, got True: only transformers "
                "have it."
            )
        if self.warm_start and (self.algo == "rl2" or facts.gamma == 1.0):
            raise InputError(
                f"`warm_start` must be left out with {self.algo} in the domain {self.domain}, got "
                "True: it needs value estimates, and a discount below 1."
            )

    @classmethod
    def of(
        cls,
        domain: str,
        *,
        algo: str = "rl3",
        horizon: int | None = None,
        seed: int = 0,
        size: int | None = None,
        **options: Any,
    ) -> RunConfig:
        """Make the paper's configuration, except for the options given (None: the paper's).

        Raises:
            InputError: A value is out of range.

        Example:
            >>> RunConfig.of("bandit", horizon=500).n_envs
            65
        """
        facts = domain_of(domain)
        if size is None:
            size = next(iter(facts.horizons))
        check_size(facts, size)
        if horizon is None:
            horizon = facts.horizons[size]
        check_integer("horizon", horizon, 1)
        defaults = {
            "learning_rate": facts.learning_rate,
            "gae_lambda": facts.gae_lambda,
            "n_envs": max(1, PAPER_STEPS_PER_ITERATION // horizon),
            "batch_size": 4096,
            "iterations": facts.iterations,
            "ent_coef": facts.ent_coef,
            "final_ent_coef": facts.final_ent_coef,
        }
        given = {name: value for name, value in options.items() if value is not None}
        return cls(
            domain=domain, algo=algo, horizon=horizon, seed=seed, size=size, **(defaults | given)
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str) -> RunConfig:
        """Make a configuration from what `to_dict` returned.

        Args:
            values: Entries that are no settings are an error.
            source: Where they come from, for the error.

        Raises:
            InputError: An entry is missing, unknown or out of range.
        """
        known = {field.name for field in fields(cls)}
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        wrong = sorted((values.keys() - known) | (needed - values.keys()))
        if wrong:
            raise InputError(
                f"`{source}` must hold the settings of a run, got missing or unknown ones: "
                f"{', '.join(wrong)}. Restore the file, or choose another folder."
            )
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings."""
        return asdict(self)

    @property
    def facts(self) -> Domain:
        """The domain's fixed settings."""
        return domain_of(self.domain)

    @property
    def task_horizon(self) -> int:
        """Steps of the longest episode."""
        return self.facts.task_horizon or self.horizon

    @property
    def title(self) -> str:
        """The algorithm's name in tables and figures."""
        return ALGORITHMS[self.algo]

    @property
    def kind(self) -> str:
        """What the run trains on, in one word for names of folders, as gridworld13-dense."""
        variation = "" if self.variation == CANONICAL else f"-{self.variation}"
        return f"{self.domain}{self.size or ''}{variation}"

    @property
    def sentence(self) -> str:
        """What the run trains on, in words."""
        size = f" of size {self.size}" if self.size else ""
        return (
            f"{self.title} in {self.domain}{size}, {self.variation} tasks, meta-episodes of "
            f"{self.horizon} steps, seed {self.seed}"
        )

    @property
    def steps_per_iteration(self) -> int:
        """Steps of all environments together in one iteration."""
        return self.n_envs * self.horizon

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.iterations * self.steps_per_iteration

    @property
    def environment_seed(self) -> int:
        """The first environment's seed."""
        drawn = np.random.SeedSequence([self.seed, 0]).generate_state(1)[0]
        return int(drawn) % (FIRST_HELD_OUT_SEED - self.n_envs)


def check_size(facts: Domain, size: int | None) -> None:
    """Raise InputError unless the domain has tasks of this size."""
    if not isinstance(size, int | None) or size not in facts.horizons:
        known = " or ".join("left out" if n is None else str(n) for n in facts.horizons)
        raise InputError(f"`size` must be {known} in {facts.title.lower()}, got {size!r}.")


def _check_number(name: str, value: Any) -> None:
    """Raise InputError unless the setting called `name` is a number that `TransformerPPO` takes."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < math.inf:
        raise InputError(f"`{name}` must be a number of at least 0, got {value!r}.")
    if name in ("gamma", "gae_lambda") and value > 1:
        raise InputError(f"`{name}` must be in [0, 1], got {value!r}.")
    if name in ("clip_range", "target_kl") and value == 0:
        raise InputError(f"`{name}` must be above 0, got {value!r}.")


def check_integer(name: str, value: Any, least: int) -> None:
    """Raise InputError unless the setting called `name` is an integer of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"`{name}` must be an integer of at least {least}, got {value!r}.")
