"""The folder of one training run, from which it can resume after interruptions.

    config.json            settings of the run, and what trained it, see `config_file`
    metrics.csv            one row per iteration
    tensorboard/           the same for TensorBoard
    checkpoints/           the last few and the best, see `checkpoints`; to resume training
    policy/                the policy of the last one in the exchange format, safe to load; to
                           evaluate
    policy-best/           the policy of the best one
    evaluation.json        the agents' rewards in the held-out tasks
    evaluation-ood.json    the same for the variation "ood", and so on for others
    lock                   held by the process that trains here, see `folder_lock`

Files are replaced atomically, see `atomic_file`. A file that cannot be read is reported and not
changed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from stable_baselines3.common.vec_env import VecEnv

from rl3_sb3.experiments.domains import CANONICAL
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.scores import Evaluation
from rl3_sb3.experiments.files.atomic_file import leftovers, remove_leftovers
from rl3_sb3.experiments.files.folder_lock import LOCK_NAME, FolderLock
from rl3_sb3.experiments.files.json_file import read_object, write_object
from rl3_sb3.experiments.runs.checkpoints import Checkpoints
from rl3_sb3.experiments.runs.config_file import ConfigFile
from rl3_sb3.experiments.runs.metrics import last_row
from rl3_sb3.experiments.runs.training_state import TrainingState
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.ppo import TransformerPPO
from vamdp.shell import quoted

# The last one, and one to fall back to.
DEFAULT_KEEP = 2

# What a published agent has in the place of checkpoints, see `pretrained.record`.
RECORD_FILE = "record.json"


class RunDirectory:
    """Reads and writes the files of a run.

    Args:
        path: The folder; it need not exist yet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.config_file = ConfigFile(self.path / "config.json")
        self.metrics_file = self.path / "metrics.csv"
        self.tensorboard = self.path / "tensorboard"
        self.checkpoints = Checkpoints(self.path / "checkpoints")
        self.policy_folder = self.path / "policy"
        self.best_policy_folder = self.path / "policy-best"
        self._lock = FolderLock(self.path)

    @property
    def is_published(self) -> bool:
        """Whether this is a published agent, which has a policy and a record alone."""
        return (self.path / RECORD_FILE).is_file()

    def evaluation_file(self, variation: str) -> Path:
        """Return the file of the evaluation on this task distribution."""
        suffix = "" if variation == CANONICAL else f"-{variation}"
        return self.path / f"evaluation{suffix}.json"

    def locked(self, patience: float = 0.0) -> AbstractContextManager[None]:
        """Return a context in which no other process trains here, see `FolderLock.held`."""
        return self._lock.held(patience)

    # ---------------------------------------------------------------- beginning

    def begin(self, config: RunConfig) -> None:
        """Create the folder and store the settings.

        Raises:
            InputError: There is a file of this name, or a folder with other contents.
        """
        self._check_new()
        content = self.config_file.first_content(config)  # may fail, so before the folder is made
        self.path.mkdir(parents=True, exist_ok=True)
        with self.locked():
            if self.config_file.exists():
                raise InputError(
                    "`--out` must be a folder in which no other process begins a run, got "
                    f"{self.path}, where one has just done so. Give the command again when that "
                    "run has ended, to continue it, or choose another folder."
                )
            self._check_new()
            remove_leftovers(self.path, self.config_file.path.name)
            self.config_file.write(content)

    @contextmanager
    def discarded_on_error(self) -> Iterator[None]:
        """Remove the folder again on an error before the end of the first iteration.

        For a run that this process started and whose lock it holds.
        """
        try:
            yield
        except Exception:
            if not self.checkpoints.files() and last_row(self.metrics_file) is None:
                for folder in (self.tensorboard, self.checkpoints.path):
                    shutil.rmtree(folder, ignore_errors=True)
                for file in (self.metrics_file, self.config_file.path, self.path / LOCK_NAME):
                    with suppress(OSError):
                        file.unlink(missing_ok=True)
                with suppress(OSError):  # the folder contains something else
                    self.path.rmdir()
            raise

    def require_going_on(self) -> None:
        """Raise InputError if training would begin anew and replace a trained policy.

        A run that was killed before its first checkpoint has no evaluation, and a folder for
        checkpoints; it may begin anew.
        """
        if self.checkpoints.files() or not self.policy_folder.is_dir():
            return
        start_from = f"`--start-from {quoted(self.path)}` with another --out"
        if self.is_published:
            raise InputError(
                f"`--out` must be a new folder or a run's, got {self.path}, a published agent: it "
                f"has no checkpoint to go on from. To train its networks on, pass {start_from}."
            )
        if any(self.path.glob("evaluation*.json")) or not self.checkpoints.path.is_dir():
            raise InputError(
                f"`--out` must be a run with its checkpoints, got {self.path}, which has a trained "
                "policy and no checkpoint: training would begin anew and replace it. Restore the "
                "checkpoints, or move the folder away to begin anew. To train its networks on, "
                f"pass {start_from}."
            )

    def _check_new(self) -> None:
        # Files left by a process that was killed while it started a run.
        known = {self.path / LOCK_NAME, *leftovers(self.path, self.config_file.path.name)}
        found = self.path.iterdir() if self.path.is_dir() else ()
        if self.path.is_file() or not known.issuperset(found):
            raise InputError(
                f"`--out` must be a new folder, an empty one or a run's, got {self.path}, which "
                "has other contents. Choose another one."
            )

    def prolong(self, iterations: int) -> RunConfig:
        """Store a larger total number of iterations, and when; return the new settings.

        Schedules follow the longer run from now on. So the run differs from one that had this many
        iterations from the beginning. If a damaged checkpoint sets it back to before this moment,
        it also differs from a prolonged run that was not set back.

        Raises:
            InputError: The run cannot continue; nothing is changed then.
        """
        newest = self.checkpoints.newest()
        if newest is not None:
            self.checkpoints.load_state(newest)
        return self.config_file.prolong(iterations, self.checkpoints.n_steps())

    # ---------------------------------------------------------------- checkpoint

    @property
    def checkpoint_file(self) -> Path:
        """The last complete checkpoint, or the folder of checkpoints if there is none."""
        return self.checkpoints.last_complete() or self.checkpoints.path

    def save_checkpoint(
        self, model: TransformerPPO, state: TrainingState | None = None, keep: int = DEFAULT_KEEP
    ) -> None:
        """Replace the exported policy, then write a checkpoint; see `Checkpoints.save`.

        With this order, a run that is killed in between does both again.

        Raises:
            InputError: The policy cannot be exported, because training has diverged. No new
                checkpoint is written then.
        """
        self._export(model, self.policy_folder)
        self.checkpoints.save(model, state, keep)

    def save_best(self, model: TransformerPPO, state: TrainingState) -> None:
        """Replace the best checkpoint and its exported policy.

        Raises:
            InputError: See `save_checkpoint`.
        """
        self._export(model, self.best_policy_folder)
        self.checkpoints.save_best(model, state)

    def _export(self, model: TransformerPPO, folder: Path) -> None:
        config = self.config_file.read()
        try:
            model.export(
                folder, environment=config.sentence, description=_description(config, model)
            )
        except ValueError as error:
            raise InputError(str(error)) from error

    def load_checkpoint(self, env: VecEnv, device: str, *, best: bool = False) -> TransformerPPO:
        """Return the last model, or the best one, with these environments.

        Warns:
            RunWarning: The last checkpoint is damaged, and the one before it was loaded.

        Raises:
            InputError: There is no checkpoint, or it is damaged or made for other observations.
        """
        file = self.checkpoints.best_file if best else self.checkpoints.newest()
        if best and not self.checkpoints.best_file.is_file():
            raise self.no_best()
        if file is None:
            remedy = "Train first: `rl3 train` writes it."
            if self.is_published:
                remedy = "A published agent has its policy alone: leave out --trust-pickle."
            raise InputError(f"`DIR` must hold a checkpoint, got {self.path} without one. {remedy}")
        return self.checkpoints.load(file, env, device)

    def no_best(self) -> InputError:
        """Return the error for a run without a best checkpoint, or without its exported policy."""
        if self.checkpoints.best_file.is_file():
            return InputError(
                f"`DIR` must hold the best policy, got {self.path} without "
                f"{self.best_policy_folder.name}/. {_trusting(self.checkpoints.best_file)}"
            )
        must = f"`DIR` must hold the best checkpoint, got {self.path} without one."
        if self.is_published:
            return InputError(f"{must} A published agent has one policy: leave out --best.")
        return InputError(
            f"{must} `rl3 train` chooses it every --validate-every iterations: train longer, or "
            "leave out --best."
        )

    def no_policy(self) -> InputError:
        """Return the error for a run without its exported policy."""
        must = (
            f"`DIR` must hold an exported policy, got {self.path} without "
            f"{self.policy_folder.name}/."
        )
        if not self.checkpoint_file.is_file():
            return InputError(f"{must} Train first: `rl3 train` writes it.")
        return InputError(f"{must} {_trusting(self.checkpoint_file)}")

    # ---------------------------------------------------------------- evaluations

    def write_evaluation(self, evaluation: Evaluation) -> Path:
        """Replace the evaluation on this task distribution and return its file."""
        file = self.evaluation_file(evaluation.variation)
        write_object(file, evaluation.to_dict())
        return file

    def read_evaluation(self, variation: str) -> Evaluation | None:
        """Return the stored evaluation on this task distribution; None if there is none.

        Raises:
            InputError: The file cannot be read.
        """
        file = self.evaluation_file(variation)
        if not file.is_file():
            return None
        values = read_object(file)
        try:
            return Evaluation.from_dict(values)
        except KeyError as error:
            raise InputError(
                f"`{file}` must be an evaluation, got a file in which {error} is missing. "
                "Write it again with `rl3 evaluate`."
            ) from error
        except (TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"`{file}` must be an evaluation, got a damaged one: {error}. "
                "Write it again with `rl3 evaluate`."
            ) from error


def _trusting(checkpoint: Path) -> str:
    return (
        f"If the run is your own, pass --trust-pickle to read {checkpoint.name} instead: its "
        "pickles can run any code that the run's author put in."
    )


def _description(config: RunConfig, model: TransformerPPO) -> str:
    """Return the text that is needed to show the policy its training observations."""
    env = model.get_env()
    text = f"PPO learned from the {config.signal}. "
    if config.critic_sees == "task":
        text += "Its critic saw the true task too; the policy acts without. "
    text += "All settings of the run: "
    text += json.dumps(config.flat(), ensure_ascii=False) + "."
    if env is None:
        return text
    n_entries = model.policy.actor_space.shape[0]  # type: ignore[index] # flat boxes
    layout = {
        name: f"{part.start}:{part.stop}"
        for name, part in env.get_attr("layout")[0].items()
        if part.stop <= n_entries
    }
    return f"{text} The parts of an observation: {json.dumps(layout)}."
