"""What a run does between two iterations: validate, save, and ask whether to stop.

On several ranks, rank 0 validates and saves. All of them stop as soon as one is to.
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
    """What is done between two iterations: validate, save, stop.

    Attributes:
        directory: Where to save.
        config: The run's.
        metrics: The rows so far; None on all ranks but the first.
        best_return: The best validation return so far.
        clock: Knows how long iterations take; one that ends with a validation takes longer.
        stop: See `train`.
        save_every: See `train`.
        keep: See `train`.
        saved: When the last checkpoint was written.
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
        """Return whether training ends here; there is a checkpoint then.

        Args:
            model: With the update done.
            tasks_streams: Their states when the iteration began.
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
        )
