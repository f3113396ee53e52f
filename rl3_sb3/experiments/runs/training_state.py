"""What a run needs besides its model to go on as if it had never stopped.

A checkpoint is taken between iterations, where all meta-episodes begin. What happens from there on
follows from five things:

    the model            parameters, optimizer and counters, as SB3 saves them
    tasks streams        the environments' generators of tasks
    random state         the process's generators, see `random_state`
    pending metrics      logged after the last row was written; part of the next row
    metrics              all rows so far, so that a continued run cuts later ones off

On several ranks the process's generators are in the same state on all of them, so one state serves
for all; the tasks streams are shared out anew, to as many ranks as there are then.

Schedules follow from the counters. The dynamics streams need no place: each is keyed anew with the
task, from its tasks stream.

**Which states of the tasks streams.** The environments begin the next tasks in the last step of the
iteration before, so between iterations the present tasks are drawn already. Stored are therefore
the states before that: resetting the environments then draws the very same tasks. Between two
resets nothing draws from a tasks stream (tasks never depend on actions), so the states before the
reset at an iteration's end are those at its beginning.
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

# The state of one NumPy bit generator, as its `state` attribute gives it: integers by name.
Stream = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """All of a run between two iterations but its model.

    Attributes:
        tasks_streams: See the module, one per environment of all ranks.
        random_state: See `get_random_state`.
        pending_metrics: By SB3's names.
        metrics: The text of `metrics.csv`.
        best_return: The best validation return so far; None before the first.
    """

    tasks_streams: Sequence[Stream]
    random_state: Mapping[str, Any]
    pending_metrics: Mapping[str, float]
    metrics: str
    best_return: float | None

    @classmethod
    def of(
        cls,
        model: TransformerPPO,
        *,
        tasks_streams: Sequence[Stream],
        metrics: str,
        best_return: float | None,
    ) -> TrainingState:
        """Take the state of a model that is between iterations.

        Args:
            model: With the run's logger.
            tasks_streams: As `get_tasks_streams` returned them when the last iteration began, of
                all ranks in their order.
            metrics: The text of `metrics.csv`.
            best_return: See the class.
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
        )

    def restore(self, model: TransformerPPO, env: VecEnv) -> None:
        """Put environments, logger and generators where they were; `learn` comes next.

        Args:
            model: Just loaded, with the run's logger.
            env: Its environments; the reset that `learn` begins with draws the stored tasks.
        """
        env.reset()  # uses up the seeds that making the model has set
        for generator, state in zip(_generators(env), own_share(self.tasks_streams), strict=True):
            generator.bit_generator.state = state
        for name, value in self.pending_metrics.items():
            model.logger.record(name, value)
        set_random_state(self.random_state, model.device)

    def to_json(self) -> str:
        """Return all as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> TrainingState:
        """Make a state from what `to_json` returned."""
        return cls(**json.loads(text))


def get_tasks_streams(env: VecEnv) -> list[Stream]:
    """Return the states of the environments' tasks streams."""
    return [dict(generator.bit_generator.state) for generator in _generators(env)]


def _generators(env: VecEnv) -> tuple[np.random.Generator, ...]:
    found = env.get_attr("np_random")
    # A batch of tables has them itself, and gives all of them for each index.
    return found[0] if isinstance(found[0], tuple) else tuple(found)
