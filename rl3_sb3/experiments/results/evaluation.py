"""Evaluation on held-out tasks: the same ones, in the same order, for every agent.

Held-out task i is the first that an environment seeded with 2**31 + i draws; training seeds stay
below. An agent lives through one meta-episode of H steps per task. Its score is the mean of the
total reward over the tasks, with standard error s / sqrt(n); beside it stands its fraction of the
oracle, (sum of its totals) / (sum of the oracle's): a mean of ratios would not exist for a task in
which even the oracle gets nothing. Of tasks that are environments instead of tables nobody knows
what the oracle would get: its totals are nan, and it has no row.

Action masks that environments give are respected by the trained policy. Other agents do not know
them; a warning says so.

A policy plays twice: with sampled actions, as in training, and greedily, taking the most likely
action. Either can be better, and the paper does not say which it reports.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch as th

from rl3_sb3.action_masks import ActionMasks
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.settings.run_config import FIRST_HELD_OUT_SEED, RunConfig, check_integer
from rl3_sb3.sequence_policy import SequencePolicy
from rl3_sb3.vec_env import GymnasiumVecEnv
from vamdp import TabularMDP
from vamdp.baselines import Agent, RandomAgent

N_HELD_OUT_TASKS = 1000
ORACLE = "oracle"

# Tasks that are played at the same time: the attention cache of 250 rows takes 128 MB at H = 500.
_BATCH_OF_TASKS = 250

FloatArray = npt.NDArray[np.float64]


class PolicyAgent:
    """A trained policy; its memory begins anew with each batch of tasks.

    Actions are drawn from torch's generator, which `start` seeds.

    Args:
        policy: Whose actions.
        title: Its name in tables.
        greedy: Take the most likely action instead of sampling one.

    Attributes:
        action_masks: Which actions are allowed where it acts next, (n_tasks, n_actions); None: all.
            To be set by whoever steps the environments.
    """

    sees: ClassVar[Literal["observations"]] = "observations"

    def __init__(self, policy: SequencePolicy, title: str = "", *, greedy: bool = False) -> None:
        self.title = title
        self.play = "greedy" if greedy else "sampled"
        self._greedy = greedy
        self._policy = policy
        self._state = policy.new_state(0)
        self.action_masks: npt.NDArray[np.bool_] | None = None

    def start(self, n_tasks: int, seed: int) -> None:
        """Forget the tasks before."""
        th.manual_seed(seed)
        self._state = self._policy.new_state(n_tasks)

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Choose actions for observations."""
        actions, self._state = self._policy.predict(
            seen, self._state, deterministic=self._greedy, action_masks=self.action_masks
        )
        return actions

    def learn(self, *transition: npt.NDArray[Any]) -> None:
        """Do nothing: the observations hold what the policy remembers."""


@dataclass(frozen=True)
class Score:
    """What one agent got.

    Attributes:
        title: Of the agent.
        play: How a trained policy chose its actions, "sampled" or "greedy"; "" of all others.
        returns: Total reward in each task, shape (n_tasks,).
        by_step: Mean reward over the tasks at each step, shape (horizon,); None where the total
            is an expectation.
    """

    title: str
    play: str
    returns: FloatArray
    by_step: FloatArray | None

    @property
    def label(self) -> str:
        """The agent in a table."""
        return _label(self.title, self.play)


@dataclass(frozen=True)
class Evaluation:
    """What agents got in the same held-out tasks.

    Attributes:
        domain: Where the tasks come from, as in the run's settings.
        horizon: Steps of a meta-episode.
        variation: Which distribution the tasks come from.
        n_training_steps: Steps the policy was trained for.
        oracle: The oracle's expected total in each task, shape (n_tasks,); nan where it is not
            known.
        scores: Of all agents, in the order in which they were given.
    """

    domain: str
    horizon: int
    variation: str
    n_training_steps: int
    oracle: FloatArray
    scores: Sequence[Score]

    @property
    def telling(self) -> FloatArray:
        """What tells its tasks from others: the oracle's totals, else the first untrained agent's.

        Whoever learns nothing beforehand and starts from a fixed seed gets the same in the same
        tasks.
        """
        untrained = (score.returns for score in self.scores if not score.play)
        return next(untrained, self.oracle) if np.isnan(self.oracle).all() else self.oracle

    def score_of(self, play: str) -> Score:
        """Return the trained policy's score, with sampled or greedy actions."""
        return next(score for score in self.scores if score.play == play)

    def to_dict(self) -> dict[str, Any]:
        """Return all as plain numbers and lists."""
        return {
            "domain": self.domain,
            "horizon": self.horizon,
            "variation": self.variation,
            "n_training_steps": self.n_training_steps,
            "first_seed": FIRST_HELD_OUT_SEED,
            # JSON has no nan.
            "oracle": [None if np.isnan(total) else total for total in self.oracle.tolist()],
            "scores": [
                {
                    "title": score.title,
                    "play": score.play,
                    "returns": score.returns.tolist(),
                    "by_step": None if score.by_step is None else score.by_step.tolist(),
                }
                for score in self.scores
            ],
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
            oracle=np.array(values["oracle"], np.float64),
            scores=[
                Score(
                    score["title"],
                    score["play"],
                    np.array(score["returns"]),
                    None if score["by_step"] is None else np.array(score["by_step"]),
                )
                for score in values["scores"]
            ],
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
    report: Callable[[str], None] | None = None,
    stepped: Callable[[], None] | None = None,
) -> Evaluation:
    """Let a policy play the held-out tasks, sampled and greedily, between random and oracle.

    Args:
        config: The run that trained the policy.
        policy: Must see the observations of that run's environments.
        n_training_steps: Steps it was trained for, to be stored.
        n_tasks: The first so many held-out tasks, at least 1.
        variation: Which distribution the tasks come from; None: the one trained on.
        report: See `evaluate_agents`.
        stepped: See `evaluate_agents`.

    Returns:
        See `evaluate_agents`.

    Raises:
        InputError: There is no task, or no such variation.
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
    """Let agents play the same held-out tasks, and solve them for the oracle if they are tables.

    Args:
        config: The run whose tasks they are, and whose observations agents see that see any.
        agents: In the order of the scores; the oracle's, where it is known, comes last.
        n_training_steps: See `evaluate`.
        n_tasks: See `evaluate`.
        variation: See `evaluate`.
        report: Called with the label of each agent that is about to play, the oracle's last.
        stepped: Called before every step of an agent in a batch of tasks, `n_steps_of_play` times
            for each agent but the oracle.

    Returns:
        The same at every call: all random numbers start from fixed seeds, and torch's generators
        are left as they were.

    Raises:
        InputError: There is no task, or no such variation.
    """
    check_integer("tasks", n_tasks, 1)
    variation = variation or config.variation
    config.facts.check_variation(variation)
    scores = []
    with th.random.fork_rng():
        for agent in agents:
            if report is not None:
                report(_label(agent.title, _how(agent)))
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
    """Let an agent live through the first held-out tasks.

    Args:
        config: Domain and horizon of the tasks, and what is shown of them.
        agent: Who plays.
        n_tasks: How many.
        variation: Which distribution they come from.
        first_seed: Of the first task's environment; the others' follow.
        stepped: See `evaluate_agents`.
    """
    returns, by_step = [], np.zeros(config.horizon)
    for seeds in _batches(n_tasks, first_seed):
        rewards = _play_batch(config, agent, seeds, variation, stepped or _do_nothing)
        returns.append(rewards.sum(axis=0))
        by_step += rewards.sum(axis=1) / n_tasks
    return Score(agent.title, _how(agent), np.concatenate(returns), by_step)


def _how(agent: Agent) -> str:
    """Return how a trained policy chooses its actions; "" of all others."""
    return agent.play if isinstance(agent, PolicyAgent) else ""


def _label(title: str, how: str) -> str:
    return f"{title}, {how}" if how else title


def n_steps_of_play(config: RunConfig, n_tasks: int) -> int:
    """Return how many steps an agent takes in tasks, those of a batch together."""
    return config.horizon * len(list(_batches(n_tasks, FIRST_HELD_OUT_SEED)))


def _do_nothing() -> None:
    """Nobody wants to know of steps."""


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
    observations, infos = envs.reset(seed=seeds)  # type: ignore[arg-type] # lists are fine
    single_envs = GymnasiumVecEnv(envs, info_keys=())
    masks = ActionMasks(single_envs)
    if not isinstance(agent, PolicyAgent) and masks.at(single_envs.split(infos)) is not None:
        warnings.warn(
            f"The environments give action masks, which the agent {agent.title!r} does not know: "
            "it may take forbidden actions.",
            stacklevel=2,
        )
    agent.start(n, seeds[0])
    rewards = np.zeros((config.horizon, n))
    for t in range(config.horizon):
        stepped()
        if isinstance(agent, PolicyAgent):
            agent.action_masks = masks.at(single_envs.split(infos))
        if not sees_states:  # those that see nothing do not look at them
            observations, rewards[t], _, _, infos = envs.step(agent.act(observations))
            continue
        states = simulator.states
        actions = agent.act(states)
        _, rewards[t], terminated, truncated, _ = envs.step(actions)
        reached = simulator.reached_states
        agent.learn(states, actions, rewards[t], reached, terminated, truncated)
    envs.close()
    return rewards


def held_out_tasks(config: RunConfig, *, n_tasks: int, variation: str) -> list[TabularMDP]:
    """Return the first held-out tasks of a run's domain, which are tables."""
    tasks: list[TabularMDP] = []
    for seeds in _batches(n_tasks, FIRST_HELD_OUT_SEED):
        envs = config.facts.make_vector_env(len(seeds), config.size, variation)
        envs.reset(seed=seeds)  # type: ignore[arg-type] # lists are fine
        tasks += envs.unwrapped.tasks  # type: ignore[attr-defined] # ours have them
        envs.close()
    return tasks


def _batches(n_tasks: int, first_seed: int) -> Iterator[list[int]]:
    """Yield the seeds of the tasks that are played at the same time."""
    for start in range(0, n_tasks, _BATCH_OF_TASKS):
        n = min(_BATCH_OF_TASKS, n_tasks - start)
        yield [first_seed + i for i in range(start, start + n)]
