"""What agents got in the same held-out tasks, see `evaluation`, as runs store it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rl3_sb3.experiments.settings.run_config import FIRST_HELD_OUT_SEED

ORACLE = "oracle"
RANDOM = "random"

#: How a trained policy chooses its actions.
PLAYS = ("sampled", "greedy")

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """The result of one agent.

    Attributes:
        title: The agent's title.
        play: How a trained agent chose its actions, its attribute `play`, "sampled" or "greedy"; ""
            for agents that have none.
        returns: Total reward in each task, shape (n_tasks,).
        by_step: Mean reward over the tasks at each step, shape (horizon,); None if `returns` are
            expectations.
    """

    title: str
    play: str
    returns: FloatArray
    by_step: FloatArray | None

    @property
    def label(self) -> str:
        """The agent's name in a table."""
        return agent_label(self.title, self.play)


@dataclass(frozen=True)
class Evaluation:
    """The results of several agents in the same held-out tasks.

    Attributes:
        domain: The domain, as in the run's settings.
        horizon: Steps of a meta-episode.
        variation: The task distribution.
        n_training_steps: Number of steps for which the policy was trained.
        oracle: The oracle's expected total in each task, shape (n_tasks,); NaN if it is unknown.
        scores: The scores of all agents, in the given order.
    """

    domain: str
    horizon: int
    variation: str
    n_training_steps: int
    oracle: FloatArray
    scores: Sequence[Score]

    @property
    def telling(self) -> FloatArray:
        """Numbers that identify the tasks: the oracle's totals, else the first untrained agent's.

        An agent that learns nothing beforehand and starts from a fixed seed gets the same totals in
        the same tasks.
        """
        untrained = (score.returns for score in self.scores if not score.play)
        return next(untrained, self.oracle) if np.isnan(self.oracle).all() else self.oracle

    def score_of(self, play: str) -> Score:
        """Return the trained policy's score, with sampled or greedy actions."""
        return next(score for score in self.scores if score.play == play)

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as plain numbers and lists."""
        return {
            "domain": self.domain,
            "horizon": self.horizon,
            "variation": self.variation,
            "n_training_steps": self.n_training_steps,
            "first_seed": FIRST_HELD_OUT_SEED,
            # JSON has no NaN.
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
        """Create an evaluation from the result of `to_dict`.

        Raises:
            KeyError: An entry is missing.
            TypeError: An entry is of another kind.
            ValueError: There are no tasks or no scores, or an agent's are of other tasks.
        """
        oracle = np.array(values["oracle"], np.float64)
        scores = [
            Score(
                score["title"],
                score["play"],
                np.array(score["returns"], np.float64),
                None if score["by_step"] is None else np.array(score["by_step"], np.float64),
            )
            for score in values["scores"]
        ]
        if oracle.ndim != 1 or not oracle.size or not scores:
            raise ValueError("`oracle` must list a total for each task, and `scores` the agents")
        for score in scores:
            if score.returns.shape != oracle.shape:
                raise ValueError(f"`returns` of {score.title!r} must be of {len(oracle)} tasks")
        return cls(
            domain=values["domain"],
            horizon=int(values["horizon"]),
            variation=values["variation"],
            n_training_steps=int(values["n_training_steps"]),
            oracle=oracle,
            scores=scores,
        )


def mean_and_error(values: FloatArray) -> tuple[float, float]:
    """Return mean and standard error of independent values; for a single value the error is NaN.

    Example:
        >>> mean_and_error(np.array([1.0, 3.0]))
        (2.0, 1.0)
    """
    n = len(values)
    error = float(np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return float(np.mean(values)), error


def agent_label(title: str, how: str) -> str:
    """Return the name of an agent in a table, with how it chose its actions, "" if it has none."""
    return f"{title}, {how}" if how else title
