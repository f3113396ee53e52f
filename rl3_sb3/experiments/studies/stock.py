"""Train algorithms of other libraries on a run's environments: does a VAMDP help any learner?

They are unchanged classes of Stable-Baselines3 and sb3-contrib, trained on the environments of a
`RunConfig`, with its steps and its learning signal, and evaluated in the same held-out tasks.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch as th
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from rl3_sb3.experiments.evaluation.evaluation import evaluate_agents
from rl3_sb3.experiments.evaluation.scores import PLAYS
from rl3_sb3.experiments.provenance import code_commit, hardware
from rl3_sb3.experiments.results.curves import learning_curve
from rl3_sb3.experiments.runs.learning_env import make_learning_env
from rl3_sb3.experiments.runs.metrics import RETURN, STEPS
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.studies.runs import StudyRun, scores_of
from vamdp.baselines import Agent, RandomAgent


@dataclass(frozen=True, kw_only=True)
class StockAlgorithm:
    """A class of another library, with ordinary settings.

    Attributes:
        name: Name in records.
        title: Name in tables and figures.
        make: The class.
        policy: Its policy.
        settings: Its other arguments.
        share_of_steps: Share of a run's steps for which it is trained.
    """

    name: str
    title: str
    make: type[BaseAlgorithm]
    policy: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    share_of_steps: float = 1.0


class StockAgent:
    """A trained model of another library as an agent of evaluations.

    Args:
        model: The model; its `predict` takes and returns a recurrent state, like SB3's.
        play: "greedy" uses the model's deterministic actions.
        title: Name in tables.
    """

    sees: ClassVar[Literal["observations"]] = "observations"

    def __init__(self, model: BaseAlgorithm, play: str, title: str = "") -> None:
        self.title, self.play = title, play
        self._model = model
        self._state: Any = None
        self._starts = np.ones(0, np.bool_)

    def start(self, n_tasks: int, seed: int) -> None:
        """Forget the previous tasks."""
        th.manual_seed(seed)
        self._model.action_space.seed(seed)  # used by DQN for random actions
        np.random.seed(seed)  # noqa: NPY002  used by DQN to decide whether to explore
        self._state, self._starts = None, np.ones(n_tasks, np.bool_)

    def act(self, seen: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Choose actions for observations."""
        actions, self._state = self._model.predict(
            seen, self._state, self._starts, deterministic=self.play == "greedy"
        )
        self._starts = np.zeros_like(self._starts)
        return np.asarray(actions, np.int64)

    def learn(self, *transition: npt.NDArray[Any]) -> None:
        """Do nothing: the model remembers through its state."""


def train_stock(
    config: RunConfig, algorithm: StockAlgorithm, title: str, variant: str, *, n_tasks: int
) -> StudyRun:
    """Train a stock algorithm on the environments of a run, and evaluate it.

    Args:
        config: The run whose environments, steps, signal and seed are used. Its other settings of
            learning are for our own PPO and are ignored.
        algorithm: The algorithm.
        title: The agent's name in tables.
        variant: Variant in the study's record.
        n_tasks: Number of held-out tasks.

    Returns:
        The run, without a command, as it is repeated by the study's own.
    """
    th.set_num_threads(1)
    began, provenance = time.perf_counter(), {"commit": code_commit(), "hardware": hardware()}
    env = make_learning_env(config, config.n_envs)
    model = algorithm.make(
        algorithm.policy, env, seed=config.environment_seed, device="cpu", **algorithm.settings
    )
    notes = _Returns()
    model.learn(round(config.total_steps * algorithm.share_of_steps), callback=notes)
    env.close()
    seconds = time.perf_counter() - began
    agents: list[Agent] = [RandomAgent(int(env.action_space.n))]  # type: ignore[attr-defined] # Discrete
    agents += [StockAgent(model, play, title) for play in PLAYS]
    evaluation = evaluate_agents(config, agents, n_tasks=n_tasks)
    return StudyRun(
        domain=config.domain,
        size=config.size,
        horizon=config.horizon,
        algo=algorithm.name,
        variant=variant,
        title=title,
        seed=config.seed,
        signal=config.signal,
        n_steps=int(model.num_timesteps),
        seconds=round(seconds),
        command="",
        provenance=[provenance],
        n_tasks=n_tasks,
        scores={config.variation: scores_of(evaluation)},
        curve=np.round(learning_curve(notes.rows), 4).tolist(),
    )


class _Returns(BaseCallback):
    """Records the mean return of the meta-episodes that end together."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[dict[str, float]] = []

    def _on_step(self) -> bool:
        ended = [info["episode"]["r"] for info in self.locals["infos"] if "episode" in info]
        if ended:
            self.rows.append({STEPS: float(self.num_timesteps), RETURN: float(np.mean(ended))})
        return True
