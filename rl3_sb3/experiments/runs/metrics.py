"""Write the metrics of a run to `metrics.csv`, one row per iteration.

SB3's own CSV output starts a new file in every process. This one continues with the rows stored in
a checkpoint; the rows after it are written again by the resumed run, number for number.

    time/total_timesteps         steps of all environments together so far
    time/time_elapsed            seconds of training so far, over all processes of the run
    rollout/ep_rew_mean          mean total reward of this iteration's meta-episodes
    rollout/signal_mean          mean total of PPO's learning signal in them, see `learning_env`
    train/policy_gradient_loss   PPO's clipped loss, mean over the actor's minibatches
    train/entropy_loss           minus the policy's mean entropy, in nats
    train/value_loss             mean squared error of the critic
    train/explained_variance     1 - var(R - V) / var(R), before the update
    train/kl                     mean KL(behaviour || current) after the actor's last epoch
    train/actor_epochs           epochs until that KL stopped the actor
    train/clip_fraction          share of steps whose probability ratio was clipped
    train/ent_coef               entropy coefficient
    train/gae_lambda             lambda of the advantages
    train/learning_rate          Adam's learning rate
    eval/mean_reward             mean total reward in the validation tasks, if measured

Columns under "train" and "eval" describe the policy after the update that precedes the row's
rollout, so they are empty in the first row. So are the actor's losses after iterations in which
only the critic trains (`critic_first`).
"""

import csv
import io
import time
from pathlib import Path
from typing import Any

from stable_baselines3.common.logger import KVWriter

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.files.atomic_file import remove_leftovers, replace_content

# The names that SB3 uses in its logs.
STEPS = "time/total_timesteps"
SECONDS = "time/time_elapsed"
RETURN = "rollout/ep_rew_mean"
COLUMNS = (
    STEPS,
    SECONDS,
    RETURN,
    "rollout/signal_mean",
    "train/policy_gradient_loss",
    "train/entropy_loss",
    "train/value_loss",
    "train/explained_variance",
    "train/kl",
    "train/actor_epochs",
    "train/clip_fraction",
    "train/ent_coef",
    "train/gae_lambda",
    "train/learning_rate",
    "eval/mean_reward",
)

# Bytes to read at the end of the file; a row has about 200.
_END = 1000


class MetricsFile(KVWriter):
    """Appends rows to a metrics file.

    SB3's clock starts at 0 in every process; here it goes on.

    Args:
        path: The file; an existing one is replaced.
        text: Initial content, which may have fewer columns; None: no rows.
        seconds: How long the run has trained before.
    """

    def __init__(self, path: Path, text: str | None = None, seconds: float = 0.0) -> None:
        self._path = path
        remove_leftovers(path.parent, path.name)
        replace_content(path, _with_all_columns(text or "").encode())
        self._began = time.monotonic() - seconds
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, COLUMNS, restval="", extrasaction="ignore")

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        """Append a row; SB3's logger calls this."""
        # NumPy writes a 32-bit number with fewer digits than Python. All are converted to Python's
        # floats, which is also what a checkpoint restores.
        row = {name: plain_number(key_values[name]) for name in COLUMNS if name in key_values}
        if SECONDS in row:
            row[SECONDS] = round(self.seconds, 1)
        self._writer.writerow({**row, STEPS: step})
        self._file.flush()

    @property
    def seconds(self) -> float:
        """How long the run has trained, over all its processes."""
        return time.monotonic() - self._began

    def text(self) -> str:
        """Return all rows so far."""
        return self._path.read_bytes().decode()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _with_all_columns(text: str) -> str:
    """Return the rows of a metrics file under the header of this version."""
    whole = io.StringIO(newline="")
    writer = csv.DictWriter(whole, COLUMNS, restval="", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(csv.DictReader(io.StringIO(text, newline="")))
    return whole.getvalue()


def plain_number(value: Any) -> float:
    """Return a logged number as a Python number; integers stay integers."""
    return value if isinstance(value, int) else float(value)


def last_row(path: Path) -> tuple[int, float] | None:
    """Return steps and mean total reward of the last complete row; None if there is none.

    This reads only the file's end, while another process may be writing.
    """
    try:
        with path.open("rb") as file:
            file.seek(-min(_END, file.seek(0, io.SEEK_END)), io.SEEK_END)
            lines = file.read().split(b"\n")[:-1]
        entries = dict(zip(COLUMNS, lines[-1].decode().split(","), strict=False))
        return int(entries[STEPS]), float(entries[RETURN])
    except (OSError, IndexError, ValueError):  # no file, no row, or only the header
        return None


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the rows of a metrics file without their empty entries; [] if there is no file.

    An incomplete last row is left out.

    Raises:
        InputError: The file does not contain metrics.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if None not in row.values()]
            names = reader.fieldnames or ()
        numbers = [{name: float(value) for name, value in row.items() if value} for row in rows]
        if not {STEPS, RETURN} <= set(names) <= set(COLUMNS):
            raise ValueError(f"columns {', '.join(names) or 'none'}")
        for i, row in enumerate(numbers):
            if not {STEPS, RETURN} <= row.keys():
                raise ValueError(f"row {i} lacks {STEPS} or {RETURN}")
    except (TypeError, ValueError) as error:
        raise InputError(
            f"`{path}` must be the metrics of a run, got another file: {error}. "
            "Restore it from a copy, or move it away to start a new one."
        ) from error
    return numbers
