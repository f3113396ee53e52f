"""Create the classical agents that a domain's trained agents are compared with."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from rl3_sb3.experiments.domains import Domain
from rl3_sb3.experiments.errors import InputError, RunWarning
from rl3_sb3.experiments.evaluation.scores import ORACLE
from rl3_sb3.experiments.named import attribute_of
from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp.baselines import BASELINES, Agent, Baseline, TaskFacts
from vamdp.inner_env import discrete_actions


def make_baselines(
    config: RunConfig, variation: str, names: Sequence[str] | None = None
) -> list[Agent]:
    """Create classical agents for a run's tasks.

    Args:
        config: The run, which defines the tasks and H.
        variation: The task distribution.
        names: Names of agents, see `baseline_of`, or titles of the domain's agents. None: all of
            the domain's that fit; those that need tables are left out if the tasks are
            environments. The domain's agents get the domain's options, others their defaults.

    Warns:
        RunWarning: An agent of the domain plays only shorter meta-episodes; it is left out.

    Raises:
        InputError: A name is unknown or occurs twice, or an agent does not fit the tasks.
    """
    domain = config.facts
    facts = task_facts(config, variation)
    source = "--agents"
    if names is None:
        source = "Domain.baselines"
        names = _fitting(domain, config.horizon)
    names = [_row_of(name, domain) for name in names if name != ORACLE]  # it is always included
    if "" in names:
        raise InputError("`--agents` must be names with commas between them, got an empty name.")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"`{source}` must name each agent once, got {name} twice.")
    agents = []
    for name in names:
        baseline, options = baseline_of(name, source), domain.baselines.get(name, {})
        if baseline.needs_tables and not domain.has_tables:
            raise InputError(
                f"`{source}` must fit {domain.title.lower()}, got {name}: it sees the states of "
                "tables, and these tasks are environments. Leave it out, or define it with "
                "Baseline(needs_tables=False) if it works without."
            )
        try:
            agent = baseline.make(facts, **options)
        except (TypeError, ValueError) as error:
            raise InputError(
                f"`{source}` must fit {domain.title.lower()}, got {name}: {error}"
            ) from error
        if not callable(getattr(agent, "act", None)):
            raise InputError(
                f"`{source}` must make a vamdp.baselines.Agent, got {name}, whose `make` returns "
                f"{agent!r}."
            )
        if getattr(agent, "title", None) != baseline.title:  # of a class that other agents have too
            with suppress(AttributeError):
                agent.title = baseline.title  # type: ignore[misc] # most can be given another
        agents.append(agent)
    titles = [agent.title for agent in agents]
    for title in titles:
        if titles.count(title) > 1 or title == ORACLE:
            raise InputError(
                f"`{source}` must have different titles, got {title!r} twice or the oracle's."
            )
    return agents


def _fitting(domain: Domain, horizon: int) -> list[str]:
    """Return the names of a domain's agents that play its tasks for so many steps."""
    fitting = []
    for name in domain.baselines:
        baseline = baseline_of(name, "Domain.baselines")
        if baseline.needs_tables and not domain.has_tables:
            continue
        if baseline.most_steps is not None and horizon > baseline.most_steps:
            warnings.warn(
                f"{name} is left out: `horizon` must be at most {baseline.most_steps} for it, got "
                f"{horizon}.",
                RunWarning,
                stacklevel=3,
            )
            continue
        fitting.append(name)
    return fitting


def _row_of(name: str, domain: Domain) -> str:
    """Return the name of the domain's agent with this title, or else `name` itself."""
    titles = {BASELINES[row].title.lower(): row for row in domain.baselines if row in BASELINES}
    return titles.get(name.lower(), name)


def baseline_of(name: str, source: str = "--agents") -> Baseline:
    """Return the agent of this name, or the one that `module:attribute` names.

    Args:
        name: The name.
        source: Where it was given, for the error.

    Raises:
        InputError: There is no such agent.
    """
    if name in BASELINES:
        return BASELINES[name]
    if ":" not in name:
        near = difflib.get_close_matches(name, BASELINES, n=1)
        raise InputError(
            f"`{source}` must name some of {', '.join(BASELINES)}, or MODULE:NAME of a "
            f"vamdp.baselines.Baseline, got {name!r}."
            + (f" Did you mean {near[0]}?" if near else "")
        )
    if name.partition(":")[0] in BASELINES:
        raise InputError(
            f"`{source}` must name an agent without options, got {name!r}: its constants are in "
            "`Domain.baselines`, or in a vamdp.baselines.Baseline of yours, as MODULE:NAME."
        )
    found = attribute_of(source, name)
    if not isinstance(found, Baseline):
        raise InputError(
            f"`{source}` must name a vamdp.baselines.Baseline, got {name!r}, which is {found!r}."
        )
    return found


def task_facts(config: RunConfig, variation: str) -> TaskFacts:
    """Return what classical agents may know about a run's tasks."""
    envs = config.facts.make_vector_env(1, config.size, variation)
    envs.reset(seed=0)
    simulator: Any = envs.unwrapped
    (task,) = simulator.tasks
    envs.close()
    has_tables = config.facts.has_tables
    return TaskFacts(
        n_states=task.n_states if has_tables else 0,
        n_actions=int(discrete_actions(envs.single_action_space).n),
        horizon=config.horizon,
        task_horizon=min(config.task_horizon, config.horizon),
        distribution=simulator.task_distribution if has_tables else simulator.env_distribution,
        estimator_options=config.facts.estimator_options,
        prior_options=config.prior_options,
    )
