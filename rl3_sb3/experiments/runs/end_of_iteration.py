"""Between two iterations of a run: validate, save, and check whether to stop.

On several ranks, rank 0 validates and saves. All ranks stop as soon as one has to.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rl3_sb3.experiments.runs.metrics import MetricsFile
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.stop_signals import IterationClock
from rl3_sb3.experiments.runs.training_state import Stream, TrainingState
from rl3_sb3.experiments.runs.validation import VALIDATION_RETURN, validation_return
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.ppo import TransformerPPO
from rl3_sb3.ranks import any_rank, gather_over_ranks, this_rank


@dataclass(kw_only=True)
class EndOfIteration:
    """Validates, saves and stops between two iterations.

    Attributes:
        directory: The run's folder.
        config: The run's configuration.
        metrics: The rows so far; None on all ranks but the first.
        best_return: The best validation return so far.
        clock: Measures iterations; one that ends with a validation takes longer.
        stop: See `train`.
        save_every: See `train`.
        keep: See `train`.
        saved: Time of the last checkpoint.
    """

    directory: RunDirectory
    config: RunConfig
    metrics: MetricsFile | None
    best_return: float | None
    clock: IterationClock
    stop: Callable[[], bool] | None
    save_every: float
    keep: int
    saved: float = field(default_factory=time.monotonic)

    def run(self, model: TransformerPPO, tasks_streams: Sequence[Stream]) -> bool:
        """Return whether training stops here, which is after a checkpoint.

        Args:
            model: The model after its update.
            tasks_streams: States of the tasks streams at the beginning of the iteration.
        """
        shares = gather_over_ranks(tasks_streams)
        all_streams = [stream for share in shares for stream in share]
        if this_rank() == 0:
            self._validate(model, all_streams)
        self.clock.end()
        over = any_rank(
            model.num_timesteps >= self.config.total_steps
            or self.clock.is_over()
            or (self.stop is not None and self.stop())
        )
        if this_rank() == 0 and (over or time.monotonic() - self.saved >= self.save_every):
            self.directory.save_checkpoint(model, self._state(model, all_streams), self.keep)
            self.saved = time.monotonic()
        return over

    def _validate(self, model: TransformerPPO, tasks_streams: Sequence[Stream]) -> None:
        config = self.config
        iteration = model.num_timesteps // config.steps_per_iteration
        if config.validate_every == 0 or iteration % config.validate_every != 0:
            return
        measured = validation_return(config, model.policy)
        model.logger.record(VALIDATION_RETURN, measured)
        if self.best_return is None or measured > self.best_return:
            self.best_return = measured
            self.directory.save_best(model, self._state(model, tasks_streams))

    def _state(self, model: TransformerPPO, tasks_streams: Sequence[Stream]) -> TrainingState:
        assert self.metrics is not None, "rank 0 writes them"
        return TrainingState.of(
            model,
            tasks_streams=tasks_streams,
            metrics=self.metrics.text(),
            best_return=self.best_return,
            seconds=self.metrics.seconds,
        )
