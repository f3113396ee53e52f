"""The metrics of a run as `metrics.csv`, one row per iteration.

SB3's own CSV output starts an empty file with every process. This one goes on where the checkpoint
was written and drops later rows, which the continued run will write again.

    time/total_timesteps         steps of all environments together so far
    time/time_elapsed            seconds since this process began to train
    rollout/ep_rew_mean          mean total reward of this iteration's meta-episodes
    train/policy_gradient_loss   PPO's clipped loss, mean over the actor's minibatches
    train/entropy_loss           minus the policy's mean entropy, in nats
    train/value_loss             mean squared error of the critic
    train/explained_variance     1 - var(R - V) / var(R), before the update
    train/kl                     mean KL(behaviour || current) after the actor's last epoch
    train/actor_epochs           epochs until that KL stopped the actor
    train/clip_fraction          share of steps whose probability ratio was clipped
    train/ent_coef               entropy coefficient
    train/learning_rate          Adam's

What is under "train" describes the update before the row's rollout; the first row of a process has
none.
"""

import csv
import os
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter

from rl3_sb3.experiments.errors import InputError

# Names as SB3 logs them.
STEPS = "time/total_timesteps"
RETURN = "rollout/ep_rew_mean"
COLUMNS = (
    STEPS,
    "time/time_elapsed",
    RETURN,
    "train/policy_gradient_loss",
    "train/entropy_loss",
    "train/value_loss",
    "train/explained_variance",
    "train/kl",
    "train/actor_epochs",
    "train/clip_fraction",
    "train/ent_coef",
    "train/learning_rate",
)


class MetricsFile(KVWriter):
    """Appends rows to a metrics file.

    Args:
        path: The file; made if there is none.
        n_steps_done: Rows beyond these steps are dropped first.
    """

    def __init__(self, path: Path, n_steps_done: int) -> None:
        rows = [row for row in read_metrics(path) if row[STEPS] <= n_steps_done]
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, path)
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, COLUMNS, restval="", extrasaction="ignore")

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Append a row; SB3's logger calls this."""
        self._writer.writerow({**key_values, STEPS: step})
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the rows of a metrics file without their empty entries; none if there is no file.

    A last row that was cut short is left out.

    Raises:
        InputError: It is no metrics file.
    """
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if None not in row.values()]
    try:
        numbers = [{name: float(value) for name, value in row.items() if value} for row in rows]
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"columns {reader.fieldnames}")
    except (TypeError, ValueError) as error:
        raise InputError(
            f"`{path}` must be the metrics of a run, got another file: {error}. "
            "Restore it from a copy, or move it away to begin a new one."
        ) from error
    return numbers
