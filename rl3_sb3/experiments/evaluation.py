"""Evaluation on held-out tasks: the same ones, in the same order, for every agent.

Held-out task i is the first that an environment seeded with 2**31 + i draws; training seeds stay
below. An agent lives through one meta-episode of H steps per task. Its score is the mean of the
total reward over the tasks, with standard error s / sqrt(n); beside it stands its fraction of the
oracle, (sum of its totals) / (sum of the oracle's): a mean of ratios would not exist for a task in
which even the oracle gets nothing.

A policy's actions are sampled, as in training and in the paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch as th
from gymnasium.vector import VectorEnv

from rl3_sb3.experiments.config import FIRST_HELD_OUT_SEED, RunConfig, check_integer
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.sequence_policy import SequencePolicy
from vamdp import TabularMDP
from vamdp.baselines import RandomAgent

N_HELD_OUT_TASKS = 1000

# Tasks that are played at the same time: the attention cache of 250 rows takes 128 MB at H = 500.
_BATCH_OF_TASKS = 250

FloatArray = npt.NDArray[np.float64]


class Agent(Protocol):
    """Acts in a batch of meta-episodes."""

    def start(self, n_tasks: int) -> None:
        """Begin meta-episodes in this many new tasks."""

    def act(self, observations: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return actions, shape (n_tasks,), for observations, shape (n_tasks, C)."""


class PolicyAgent:
    """A trained policy; its memory begins anew with each batch of tasks.

    Args:
        policy: See there.
    """

    def __init__(self, policy: SequencePolicy) -> None:
        self._policy = policy
        self._state = policy.new_state(0)

    def start(self, n_tasks: int) -> None:
        """Forget the tasks before."""
        self._state = self._policy.new_state(n_tasks)

    def act(self, observations: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Sample actions."""
        actions, self._state = self._policy.predict(observations, self._state)
        return actions


@dataclass(frozen=True)
class Rewards:
    """What one agent got.

    Attributes:
        returns: Total reward in each task, shape (n_tasks,).
        by_step: Mean reward over the tasks at each step, shape (horizon,).
    """

    returns: FloatArray
    by_step: FloatArray


@dataclass(frozen=True)
class Evaluation:
    """What agents got in the same held-out tasks.

    Attributes:
        domain: A name in `DOMAINS`.
        horizon: Steps of a meta-episode.
        variation: Which distribution the tasks come from.
        n_training_steps: Steps the policy was trained for.
        oracle: The oracle's expected total in each task, shape (n_tasks,).
        rewards: Each agent's, by its title.
    """

    domain: str
    horizon: int
    variation: str
    n_training_steps: int
    oracle: FloatArray
    rewards: Mapping[str, Rewards]

    def to_dict(self) -> dict[str, Any]:
        """Return all as plain numbers and lists."""
        return {
            "domain": self.domain,
            "horizon": self.horizon,
            "variation": self.variation,
            "n_training_steps": self.n_training_steps,
            "first_seed": FIRST_HELD_OUT_SEED,
            "oracle": self.oracle.tolist(),
            "rewards": {
                title: {"returns": got.returns.tolist(), "by_step": got.by_step.tolist()}
                for title, got in self.rewards.items()
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Evaluation:
        """Make an evaluation from what `to_dict` returned.

        Raises:
            KeyError: An entry is missing.
        """
        return cls(
            domain=values["domain"],
            horizon=values["horizon"],
            variation=values["variation"],
            n_training_steps=values["n_training_steps"],
            oracle=np.array(values["oracle"]),
            rewards={
                title: Rewards(np.array(got["returns"]), np.array(got["by_step"]))
                for title, got in values["rewards"].items()
            },
        )


def mean_and_error(values: FloatArray) -> tuple[float, float]:
    """Return mean and standard error of independent values; of a single one the error is nan.

    Example:
        >>> mean_and_error(np.array([1.0, 3.0]))
        (2.0, 1.0)
    """
    n = len(values)
    error = float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return float(np.mean(values)), error


def evaluate(
    config: RunConfig,
    policy: SequencePolicy,
    *,
    n_training_steps: int,
    n_tasks: int = N_HELD_OUT_TASKS,
    variation: str | None = None,
) -> Evaluation:
    """Play the held-out tasks with a policy and at random, and solve them for the oracle.

    Args:
        config: The run that trained the policy.
        policy: Must see the observations of that run's environments.
        n_training_steps: Steps it was trained for, to be stored.
        n_tasks: The first so many held-out tasks, at least 1.
        variation: Which distribution the tasks come from; None: the one trained on.

    Returns:
        The same at every call: the actions' random numbers start from a fixed seed, and torch's
        generators are left as they were.

    Raises:
        InputError: There is no task, or no such variation.
    """
    check_integer("tasks", n_tasks, 1)
    variation = variation or config.variation
    config.facts.check_variation(variation)
    with th.random.fork_rng():
        th.manual_seed(FIRST_HELD_OUT_SEED)
        agent = PolicyAgent(policy)
        ours = play(config.algo, config, agent, n_tasks=n_tasks, variation=variation)
    n_actions = int(policy.action_space.n)  # type: ignore[attr-defined] # our tasks are discrete
    random = RandomAgent(n_actions, seed=FIRST_HELD_OUT_SEED)
    oracle = [
        task.optimal_return(config.horizon, config.task_horizon)
        for task in held_out_tasks(config, n_tasks=n_tasks, variation=variation)
    ]
    return Evaluation(
        domain=config.domain,
        horizon=config.horizon,
        variation=variation,
        n_training_steps=n_training_steps,
        oracle=np.array(oracle),
        rewards={
            "random": play("rl2", config, random, n_tasks=n_tasks, variation=variation),
            config.title: ours,
        },
    )


def play(
    algo: str,
    config: RunConfig,
    agent: Agent,
    *,
    n_tasks: int,
    variation: str,
    first_seed: int = FIRST_HELD_OUT_SEED,
) -> Rewards:
    """Let an agent live through the first held-out tasks.

    Args:
        algo: Whose observations it sees, a name in `ALGORITHMS`.
        config: Domain and horizon of the tasks.
        agent: See there.
        n_tasks: How many.
        variation: Which distribution they come from.
        first_seed: Of the first task's environment; the others' follow.
    """
    returns, by_step = [], np.zeros(config.horizon)
    for envs, seeds in _batches(algo, config, n_tasks, variation, first_seed):
        observations, _ = envs.reset(seed=seeds)  # type: ignore[arg-type] # lists are fine
        agent.start(len(seeds))
        rewards = np.zeros((config.horizon, len(seeds)))
        for t in range(config.horizon):
            observations, rewards[t], *_ = envs.step(agent.act(observations))
        returns.append(rewards.sum(axis=0))
        by_step += rewards.sum(axis=1) / n_tasks
    return Rewards(np.concatenate(returns), by_step)


def held_out_tasks(config: RunConfig, *, n_tasks: int, variation: str) -> list[TabularMDP]:
    """Return the first held-out tasks of a run's domain."""
    tasks: list[TabularMDP] = []
    for envs, seeds in _batches("rl2", config, n_tasks, variation):
        envs.reset(seed=seeds)  # type: ignore[arg-type] # lists are fine
        tasks += envs.unwrapped.tasks  # type: ignore[attr-defined] # ours have them
    return tasks


def _batches(
    algo: str,
    config: RunConfig,
    n_tasks: int,
    variation: str,
    first_seed: int = FIRST_HELD_OUT_SEED,
) -> Iterator[tuple[VectorEnv[Any, Any, Any], list[int]]]:
    for start in range(0, n_tasks, _BATCH_OF_TASKS):
        n = min(_BATCH_OF_TASKS, n_tasks - start)
        envs = make_envs(config, n, algo=algo, variation=variation)
        yield envs, [first_seed + i for i in range(start, start + n)]
        envs.close()
