"""Evaluate agents on held-out tasks: the same tasks in the same order for every agent.

Held-out task i is the first task of an environment with seed 2**31 + i; training seeds are smaller.
An agent plays one meta-episode of H steps per task. Its score is the mean total reward over the
tasks, with standard error s / sqrt(n). Its fraction of the oracle is (sum of its totals) / (sum of
the oracle's totals), because a mean of ratios would be undefined for tasks in which the oracle gets
nothing. If tasks are environments instead of tables, the oracle is unknown: its totals are NaN, and
it has no row.

The trained policy and the random agent respect the environments' action masks. An agent without an
attribute `action_masks` does not know them, which causes a warning.

A policy plays twice: with sampled actions, as in training, and greedily, with the most likely
action. Either can be better, and the paper does not say which it reports.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch as th

from rl3_sb3.action_masks import ActionMasks
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.evaluation.agent_checks import check_actions, check_agent
from rl3_sb3.experiments.evaluation.policy_agent import PolicyAgent
from rl3_sb3.experiments.evaluation.scores import (
    ORACLE,
    Evaluation,
    FloatArray,
    Score,
    agent_label,
)
from rl3_sb3.experiments.settings.run_config import FIRST_HELD_OUT_SEED, RunConfig, check_integer
from rl3_sb3.sequence_policy import SequencePolicy
from rl3_sb3.vec_env import GymnasiumVecEnv
from vamdp import TabularMDP
from vamdp.baselines import Agent, RandomAgent
from vamdp.inner_env import discrete_actions

N_HELD_OUT_TASKS = 1000
# Tasks played at the same time: the attention cache of 250 rows takes 128 MB at H = 500.
_BATCH_OF_TASKS = 250


def evaluate(
    config: RunConfig,
    policy: SequencePolicy,
    *,
    n_training_steps: int,
    n_tasks: int = N_HELD_OUT_TASKS,
    variation: str | None = None,
    report: Callable[[str], None] | None = None,
    stepped: Callable[[], None] | None = None,
) -> Evaluation:
    """Evaluate a policy, sampled and greedy, between the random agent and the oracle.

    Args:
        config: The run that trained the policy.
        policy: The policy; its observations must be those of the run's environments.
        n_training_steps: Number of steps for which it was trained; stored with the result.
        n_tasks: Number of held-out tasks, at least 1.
        variation: The task distribution; None: the one trained on.
        report: See `evaluate_agents`.
        stepped: See `evaluate_agents`.

    Returns:
        See `evaluate_agents`.

    Raises:
        InputError: `n_tasks` is below 1, or there is no such variation.
    """
    n_actions = int(policy.action_space.n)  # type: ignore[attr-defined] # our tasks are discrete
    agents: list[Agent] = [
        RandomAgent(n_actions),
        PolicyAgent(policy, config.title),
        PolicyAgent(policy, config.title, greedy=True),
    ]
    return evaluate_agents(
        config,
        agents,
        n_training_steps=n_training_steps,
        n_tasks=n_tasks,
        variation=variation,
        report=report,
        stepped=stepped,
    )


def evaluate_agents(
    config: RunConfig,
    agents: Sequence[Agent],
    *,
    n_training_steps: int = 0,
    n_tasks: int = N_HELD_OUT_TASKS,
    variation: str | None = None,
    report: Callable[[str], None] | None = None,
    stepped: Callable[[], None] | None = None,
) -> Evaluation:
    """Evaluate agents in the same held-out tasks, with the oracle if the tasks are tables.

    Args:
        config: The run that defines the tasks and the observations.
        agents: The agents in the order of their scores; the oracle comes last.
        n_training_steps: See `evaluate`.
        n_tasks: See `evaluate`.
        variation: See `evaluate`.
        report: Called with the label of each agent before it plays, and with the oracle's last.
        stepped: Called before every step of an agent in a batch of tasks, `n_steps_of_play` times
            for each agent except the oracle.

    Returns:
        The evaluation, the same in every call: all random numbers start from fixed seeds, and
        torch's generators are restored afterwards.

    Raises:
        InputError: `n_tasks` is below 1, there is no such variation, or one of the agents does not
            fit the protocol.
    """
    check_integer("tasks", n_tasks, 1)
    variation = variation or config.variation
    config.facts.check_variation(variation)
    for agent in agents:
        check_agent(agent)  # before the first one plays
    scores = []
    with th.random.fork_rng():
        for agent in agents:
            if report is not None:
                report(agent_label(agent.title, getattr(agent, "play", "")))
            score = play(config, agent, n_tasks=n_tasks, variation=variation, stepped=stepped)
            scores.append(score)
    oracle = np.full(n_tasks, np.nan)
    if config.facts.has_tables:
        if report is not None:
            report(ORACLE)
        tasks = held_out_tasks(config, n_tasks=n_tasks, variation=variation)
        totals = [task.optimal_return(config.horizon, config.task_horizon) for task in tasks]
        oracle = np.array(totals)
        scores.append(Score(ORACLE, "", oracle, None))
    return Evaluation(
        domain=config.domain,
        horizon=config.horizon,
        variation=variation,
        n_training_steps=n_training_steps,
        oracle=oracle,
        scores=scores,
    )


def play(
    config: RunConfig,
    agent: Agent,
    *,
    n_tasks: int,
    variation: str,
    first_seed: int = FIRST_HELD_OUT_SEED,
    stepped: Callable[[], None] | None = None,
) -> Score:
    """Let an agent play the first held-out tasks.

    Args:
        config: The run that defines domain, horizon and observations.
        agent: The agent.
        n_tasks: Number of tasks.
        variation: The task distribution.
        first_seed: Seed of the first task's environment; the other seeds follow.
        stepped: See `evaluate_agents`.

    Raises:
        InputError: The agent does not fit the protocol, or does not return actions.
    """
    check_agent(agent)
    returns, by_step = [], np.zeros(config.horizon)
    for seeds in _batches(n_tasks, first_seed):
        rewards = _play_batch(config, agent, seeds, variation, stepped or _do_nothing)
        returns.append(rewards.sum(axis=0))
        by_step += rewards.sum(axis=1) / n_tasks
    return Score(agent.title, getattr(agent, "play", ""), np.concatenate(returns), by_step)


def tasks_per_generator() -> int:
    """Return the number of tasks that draw their sampled actions together.

    A multiple of so many tasks gets the same actions as the first ones of more tasks.
    """
    return _BATCH_OF_TASKS


def n_steps_of_play(config: RunConfig, n_tasks: int) -> int:
    """Return the number of steps of an agent in these tasks, where a batch steps together."""
    return config.horizon * len(list(_batches(n_tasks, FIRST_HELD_OUT_SEED)))


def _do_nothing() -> None:
    """Ignore a step."""


def _play_batch(
    config: RunConfig,
    agent: Agent,
    seeds: list[int],
    variation: str,
    stepped: Callable[[], None],
) -> FloatArray:
    """Return the rewards, shape (horizon, n_tasks)."""
    n, sees_states = len(seeds), agent.sees == "states"
    if agent.sees != "observations":
        envs = config.facts.make_vector_env(n, config.size, variation)
    else:
        envs = make_envs(config, n, variation=variation)
    simulator: Any = envs.unwrapped
    space = discrete_actions(envs.single_action_space)
    observations, infos = envs.reset(seed=seeds)  # type: ignore[arg-type] # lists are fine
    single_envs = GymnasiumVecEnv(envs, info_keys=())
    masks = ActionMasks(single_envs)
    knows_masks = hasattr(agent, "action_masks")
    if not knows_masks and masks.at(single_envs.split(infos)) is not None:
        warnings.warn(
            f"The environments give action masks, which the agent {agent.title!r} does not know: "
            "it may take forbidden actions.",
            stacklevel=2,
        )
    agent.start(n, seeds[0])
    rewards = np.zeros((config.horizon, n))
    for t in range(config.horizon):
        stepped()
        if knows_masks:
            agent.action_masks = masks.at(single_envs.split(infos))  # type: ignore[attr-defined] # it has one
        # An agent that sees nothing ignores the observations.
        seen = simulator.states if sees_states else observations
        actions = agent.act(seen)
        check_actions(agent, actions, space, n)
        observations, rewards[t], terminated, truncated, infos = envs.step(actions)
        if sees_states:
            reached = simulator.reached_states
            agent.learn(seen, actions, rewards[t], reached, terminated, truncated)
    envs.close()
    return rewards


def held_out_tasks(config: RunConfig, *, n_tasks: int, variation: str) -> list[TabularMDP]:
    """Return the first held-out tasks of a run's domain, which must be tables."""
    tasks: list[TabularMDP] = []
    for seeds in _batches(n_tasks, FIRST_HELD_OUT_SEED):
        envs = config.facts.make_vector_env(len(seeds), config.size, variation)
        envs.reset(seed=seeds)  # type: ignore[arg-type] # lists are fine
        tasks += envs.unwrapped.tasks  # type: ignore[attr-defined] # a TaskVectorEnv has them
        envs.close()
    return tasks


def _batches(n_tasks: int, first_seed: int) -> Iterator[list[int]]:
    """Yield the seeds of the tasks in each batch."""
    for start in range(0, n_tasks, _BATCH_OF_TASKS):
        n = min(_BATCH_OF_TASKS, n_tasks - start)
        yield [first_seed + i for i in range(start, start + n)]
