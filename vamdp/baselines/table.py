"""The table of baselines by name, and how each is built for a task distribution.

A row builds an agent from `TaskFacts`, which holds what is known of the tasks in advance, and the
agent's own options. Constants and priors tuned for one domain belong to the domain, not here. Two
stay: BEB's bonus, which is a function of the horizon and so no plain option, and the epsilon
without which the eps-greedy agent would be the greedy one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vamdp.baselines.agent import Agent
from vamdp.baselines.bandits.epsilon_greedy import EpsilonGreedy
from vamdp.baselines.bandits.epsilon_greedy import Greedy as GreedyOnArms
from vamdp.baselines.bandits.gittins import (
    MOST_DISCOUNTED_STEPS,
    DiscountedGittins,
    FiniteHorizonGittins,
)
from vamdp.baselines.bandits.gittins_indices import MOST_STEPS
from vamdp.baselines.bandits.thompson import OptimisticThompsonSampling, ThompsonSampling
from vamdp.baselines.bandits.ucb1 import UCB1
from vamdp.baselines.grids.informed import InformedAgent
from vamdp.baselines.random_agent import RandomAgent
from vamdp.baselines.tabular.beb import BEB
from vamdp.baselines.tabular.greedy import Greedy
from vamdp.baselines.tabular.psrl import PSRL
from vamdp.baselines.tabular.rmax import RMax
from vamdp.baselines.tabular.ucrl2 import UCRL2
from vamdp.baselines.tabular.value_bonus import ValueBonus
from vamdp.domains.sampled_env import EnvDistribution
from vamdp.domains.task_env import TaskDistribution


@dataclass(frozen=True, kw_only=True)
class TaskFacts:
    """What an agent may know about the tasks before it plays one.

    Attributes:
        n_states: Number of states of each task; 0 if tasks are environments instead of tables.
        n_actions: Number of actions of each task.
        horizon: Steps of a meta-episode, H.
        task_horizon: Steps after which an episode is cut; H if episodes have no time limit.
        distribution: The task distribution, a function from a random generator to a task. An agent
            that uses prior knowledge reads its settings; it never draws the task it plays.
        estimator_options: Options of the estimator that RL3 observes, for agents that use the same.
        prior_options: All options of the model-based estimator that RL3 with a prior observes;
            empty: the tasks have no prior, or another estimator knows it.
    """

    n_states: int
    n_actions: int
    horizon: int
    task_horizon: int
    distribution: TaskDistribution | EnvDistribution
    estimator_options: Mapping[str, Any] = field(default_factory=dict)
    prior_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Baseline:
    """A row of the table.

    Attributes:
        title: The agent's name in tables and figures.
        make: Called with `TaskFacts` and the agent's options by name; returns the agent.
        needs_tables: Whether it plays only tasks that are tables; true of agents that see states.
        most_steps: The longest meta-episode that it plays with its own options, in steps; None: of
            any length.

    Raises:
        TypeError: `make` is not a function.
    """

    title: str
    make: Callable[..., Agent]
    needs_tables: bool = True
    most_steps: int | None = None

    def __post_init__(self) -> None:
        """Refuse an agent in place of the function that makes it."""
        if not callable(self.make):
            raise TypeError(
                f"`make` must be a function TaskFacts -> agent, got {self.make!r}. Pass lambda "
                "facts: ..., which makes the agent."
            )


def _of_arms(agent: Callable[..., Agent], *, with_horizon: bool = False) -> Callable[..., Agent]:
    """Return a function that builds a bandit agent."""

    def make(facts: TaskFacts, **options: Any) -> Agent:
        if facts.n_states != 1:
            raise ValueError(f"it plays only tasks with one state, got {facts.n_states} states.")
        if with_horizon:
            options = {"horizon": facts.horizon, **options}
        return agent(facts.n_actions, **options)

    return make


def _tabular(agent: Callable[..., Agent], **fixed: Any) -> Callable[..., Agent]:
    """Return a function that builds an agent for tabular tasks; `fixed` holds default options."""

    def make(facts: TaskFacts, **options: Any) -> Agent:
        return agent(
            facts.n_states,
            facts.n_actions,
            task_horizon=facts.task_horizon,
            **{**fixed, **options},
        )

    return make


def _beb(facts: TaskFacts, **options: Any) -> Agent:
    """Build BEB with a bonus that grows with the horizon: longer lives repay more exploration.

    The rule was tuned on validation tasks of random MDPs with H = 128 to 1024. A domain that needs
    another bonus sets the option `beta`.
    """
    return _tabular(BEB, beta=math.sqrt(facts.horizon / 512))(facts, **options)


def _on_values(bonus: float) -> Callable[..., Agent]:
    """Return a function that builds an agent acting on the values that RL3 observes."""

    def make(facts: TaskFacts, **options: Any) -> Agent:
        fixed = {"task_horizon": facts.task_horizon, **facts.estimator_options}
        fixed["model_bonus"] = fixed.pop("bonus", 0.0)
        return ValueBonus(facts.n_actions, **{"bonus": bonus, **fixed, **options})

    return make


def _on_prior_values(facts: TaskFacts, **options: Any) -> Agent:
    """Build the agent that acts greedily on the values that RL3 with a prior observes."""
    if not facts.prior_options:
        raise ValueError(
            "it plays only tasks with a prior of the model-based learner, see `Domain.prior`."
        )
    fixed = {**facts.prior_options}
    fixed["model_bonus"] = fixed.pop("bonus", 0.0)
    agent = ValueBonus(facts.n_actions, **{**fixed, **options})
    agent.title = "values with a prior"
    return agent


def _informed(facts: TaskFacts, **options: Any) -> Agent:
    """Build the agent that knows the generator of gridworlds; other tasks raise TypeError."""
    distribution: Any = facts.distribution
    return InformedAgent(distribution, horizon=facts.horizon, **options)


BASELINES: dict[str, Baseline] = {
    "random": Baseline("random", lambda facts: RandomAgent(facts.n_actions), needs_tables=False),
    "bandit-greedy": Baseline("greedy", _of_arms(GreedyOnArms)),
    "bandit-eps-greedy": Baseline("eps-greedy", _of_arms(EpsilonGreedy)),
    "ucb1": Baseline("UCB1", _of_arms(UCB1)),
    "thompson": Baseline("Thompson", _of_arms(ThompsonSampling)),
    "optimistic-thompson": Baseline("optimistic Thompson", _of_arms(OptimisticThompsonSampling)),
    "gittins": Baseline(
        "Gittins", _of_arms(FiniteHorizonGittins, with_horizon=True), most_steps=MOST_STEPS
    ),
    "gittins-discounted": Baseline(
        "Gittins (discounted)",
        _of_arms(DiscountedGittins, with_horizon=True),
        most_steps=MOST_DISCOUNTED_STEPS,
    ),
    "greedy": Baseline("greedy", _tabular(Greedy)),
    # Above 0, or it would be the greedy one; tuned on validation tasks, see docs/evaluation.md.
    "eps-greedy": Baseline("eps-greedy", _tabular(Greedy, epsilon=0.02)),
    "psrl": Baseline("PSRL", _tabular(PSRL)),
    "optimistic-psrl": Baseline("optimistic PSRL", _tabular(PSRL, n_samples=5)),
    "ucrl2": Baseline("UCRL2", _tabular(UCRL2)),
    "beb": Baseline("BEB", _beb),
    "r-max": Baseline("R-MAX", _tabular(RMax)),
    "certainty-equivalent": Baseline("certainty-equivalent", _on_values(bonus=0.0)),
    "vamdp-bonus": Baseline("VAMDP + bonus", _on_values(bonus=1.0)),
    "prior-values": Baseline("values with a prior", _on_prior_values),
    "informed": Baseline("informed", _informed),
}


def register_baseline(name: str, baseline: Baseline) -> None:
    """Add a custom agent, so that a domain or `rl3 baselines --agents` can name it.

    Args:
        name: Lower-case letters, digits, _ and -.
        baseline: The agent's row.

    Raises:
        ValueError: The name has other characters or belongs to another agent.
        TypeError: `baseline` is not a `Baseline`.
    """
    if not isinstance(baseline, Baseline):
        raise TypeError(f"`baseline` must be a Baseline, got {baseline!r}.")
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise ValueError(f"`name` must be lower-case letters, digits, _ and -, got {name!r}.")
    if BASELINES.get(name, baseline) is not baseline:
        raise ValueError(f"`name` must be new, got {name!r}, the name of {BASELINES[name].title}.")
    BASELINES[name] = baseline
