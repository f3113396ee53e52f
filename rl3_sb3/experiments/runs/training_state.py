"""Everything besides the model that a run needs to resume as if it had never stopped.

A checkpoint is taken between iterations, where all meta-episodes begin. Five things determine what
happens from there on:

    the model            parameters, optimizer and counters, as SB3 saves them
    tasks streams        the environments' random generators of tasks
    random state         the process's random generators, see `random_state`
    pending metrics      logged after the last row was written; part of the next row
    metrics              all rows so far, so that a resumed run drops later ones

On several ranks, the process's generators have the same state on all of them, so one state is
enough. The tasks streams are distributed again, over the number of ranks at that time.

Schedules follow from the counters. The dynamics streams need not be stored: each is seeded again
with the task, from its tasks stream.

**Which states of the tasks streams.** The environments begin the next tasks in the last step of an
iteration, so between iterations the current tasks are already drawn. Therefore the states before
that are stored; resetting the environments then draws the same tasks again. Nothing else draws from
a tasks stream between two resets (tasks never depend on actions), so the states before the reset at
an iteration's end are those at its beginning.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from rl3_sb3.experiments.runs.metrics import plain_number
from rl3_sb3.experiments.runs.random_state import get_random_state, set_random_state
from rl3_sb3.ppo import TransformerPPO
from rl3_sb3.ranks import own_share

# The state of one NumPy bit generator, from its `state` attribute: integers by name.
Stream = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """The state of a run between two iterations, without its model.

    Attributes:
        tasks_streams: See the module; one per environment of all ranks.
        random_state: See `get_random_state`.
        pending_metrics: Metrics by SB3's names.
        metrics: The text of `metrics.csv`.
        best_return: The best validation return so far; None before the first.
        seconds: How long the run has trained; 0 in states of earlier versions.
    """

    tasks_streams: Sequence[Stream]
    random_state: Mapping[str, Any]
    pending_metrics: Mapping[str, float]
    metrics: str
    best_return: float | None
    seconds: float = 0.0

    @classmethod
    def of(
        cls,
        model: TransformerPPO,
        *,
        tasks_streams: Sequence[Stream],
        metrics: str,
        best_return: float | None,
        seconds: float,
    ) -> TrainingState:
        """Take the state of a model between two iterations.

        Args:
            model: The model, with the run's logger.
            tasks_streams: The result of `get_tasks_streams` at the beginning of the last iteration,
                of all ranks in order.
            metrics: The text of `metrics.csv`.
            best_return: See the class.
            seconds: See the class.
        """
        logger = model.logger
        return cls(
            tasks_streams=tasks_streams,
            random_state=get_random_state(model.device),
            pending_metrics={
                name: plain_number(value)
                for name, value in logger.name_to_value.items()
                if "tensorboard" not in logger.name_to_excluded[name]  # shown nowhere
            },
            metrics=metrics,
            best_return=best_return,
            seconds=seconds,
        )

    def restore(self, model: TransformerPPO, env: VecEnv) -> None:
        """Restore environments, logger and generators; call `learn` next.

        Args:
            model: The model, just loaded, with the run's logger.
            env: Its environments. The reset at the beginning of `learn` draws the stored tasks.
        """
        env.reset()  # uses up the seeds set when the model was created
        for generator, state in zip(_generators(env), own_share(self.tasks_streams), strict=True):
            generator.bit_generator.state = state
        for name, value in self.pending_metrics.items():
            model.logger.record(name, value)
        set_random_state(self.random_state, model.device)

    def to_json(self) -> str:
        """Return the state as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> TrainingState:
        """Create a state from the result of `to_json`."""
        return cls(**json.loads(text))


def get_tasks_streams(env: VecEnv) -> list[Stream]:
    """Return the states of the environments' tasks streams."""
    return [dict(generator.bit_generator.state) for generator in _generators(env)]


def _generators(env: VecEnv) -> tuple[np.random.Generator, ...]:
    found = env.get_attr("np_random")
    # A batch of tables returns the generators of all its environments for each index.
    return found[0] if isinstance(found[0], tuple) else tuple(found)
