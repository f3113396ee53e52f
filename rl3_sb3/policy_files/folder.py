"""Export policies to folders and load them safely: weights as safetensors, the rest as JSON.

    policy.safetensors     every parameter and buffer, or only the actor's, as float32 or float16
    policy.json            class (a name in a table), sizes, spaces, checksum, training record
    README.md              the model card; written from policy.json, never read

Loading an untrusted folder executes none of it. The order of the checks limits its cost:

1. policy.json (a few MB at most) is checked as a whole.
2. The weights it implies must fit the caller's limit and the size of policy.safetensors.
3. policy.safetensors is read. Its checksum is compared, its tensors are matched by name, shape and
   type, and its numbers must be finite.
4. The policy is built last, so an error leaves nothing behind.

Other files in the folder are ignored, and stay where an export replaces an earlier one.

Writing is atomic. The new folder is written beside the old one, as `.NAME.new`. Then the old one is
renamed to `.NAME.old`, the new one to NAME, and the old one is deleted. Between the two renames
only `.NAME.old` exists, and `load_policy` reads that. Only one process at a time may export to a
folder; others may read it meanwhile.

The checksum detects damaged and mixed-up files. It does not show who wrote them: anyone can write
any weights, and the policy will act on them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import torch as th
from stable_baselines3.common.utils import get_device

from rl3_sb3.policy_files.card import model_card
from rl3_sb3.policy_files.description import STORED_BYTES, PolicyDescription, class_name
from rl3_sb3.policy_files.record import TrainingRecord
from rl3_sb3.policy_files.strict_json import PolicyFileError, read_file, refuse, show
from rl3_sb3.policy_files.weights import read_tensors, write_tensors
from rl3_sb3.sequence_policy import SequencePolicy

WEIGHTS_FILE = "policy.safetensors"
DESCRIPTION_FILE = "policy.json"
CARD_FILE = "README.md"
# Where the folders of runs and of published agents have their policy.
_INSIDE = "policy"

_OURS = {WEIGHTS_FILE, DESCRIPTION_FILE, CARD_FILE}

_MOST_DESCRIPTION_BYTES = 4 * 2**20
# Limit of the safetensors header, which holds the names and shapes of the tensors.
_MOST_HEADER_BYTES = 2**20
# How often to try again if another process replaces the folder while it is read.
_ATTEMPTS = 5


def export_policy(
    policy: SequencePolicy,
    path: str | os.PathLike[str],
    *,
    record: TrainingRecord | None = None,
    actor_only: bool | None = None,
    weights: str = "float32",
) -> None:
    """Export a policy to a folder for `load_policy`, without pickle.

    Args:
        policy: A policy of a class in `rl3_sb3.policy`, not of a subclass.
        path: A new folder, or the folder of an earlier export, which is replaced; other files that
            lie in it stay.
        record: How the policy was trained. None: the record it was loaded with, if any.
        actor_only: True: leave the critic out, which halves the file; the policy can then act but
            not continue training. False: export the critic; the policy must have one. None: export
            the critic if the policy has one.
        weights: Stored type of the weights. "float32" is exact. "float16" is half as large and
            rounds, so that the policy may occasionally act differently.

    Raises:
        ValueError: The policy cannot be exported (another class, a space that cannot be written as
            JSON, or weights that are not finite, not float32 or beyond float16), `path` is not a
            new folder or an earlier export, `weights` is unknown, or `actor_only` is False for a
            policy without a critic.
    """
    folder = Path(path)
    check_target(folder)
    leaves_critic = _leaves_critic(policy, actor_only)
    if weights not in [*STORED_BYTES]:
        raise ValueError(f"`weights` must be one of {', '.join(STORED_BYTES)}, got {weights!r}.")
    if record is None:
        record = policy.training_record or TrainingRecord()
    files = _files(policy, record, leaves_critic, weights)
    new = _beside(folder, "new")
    try:
        shutil.rmtree(new, ignore_errors=True)  # may be left by an export that was killed
        new.mkdir(parents=True)
        for name, content in files.items():
            _write(new / name, content)
        _put_in_place(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def load_policy(
    path: str | os.PathLike[str],
    device: th.device | str = "auto",
    *,
    max_bytes: int = 2**28,
) -> SequencePolicy:
    """Load a policy that `export_policy` or `TransformerPPO.export` wrote, without executing code.

    Args:
        path: The folder. It need not be trusted.
        device: The policy's device. "auto": a CUDA device if there is one.
        max_bytes: Limit of the weights' memory, and of the memory of one episode, in bytes.

    Returns:
        The policy, ready for `predict`. On the same device it acts like the exported policy, bit
        for bit (with weights rounded to float16 if stored as such). Its `training_record` is the
        folder's record. To continue training, see
        `TransformerPPO.start_from`.

    Raises:
        PolicyFileError: A file is missing, damaged, too large or malicious; the message names it.
    """
    folder = Path(path)
    if folder.is_file():
        raise refuse(
            folder,
            "be the folder of an exported policy",
            "a file",
            "If `save` wrote it and you trust its author, use `TransformerPPO.load`.",
        )
    described, weights = _read_folder(folder, max_bytes)
    tensors = read_tensors(weights, described, folder / WEIGHTS_FILE)
    with th.random.fork_rng(devices=[]):  # random weights are drawn before these replace them
        policy = described.build()
    policy.load_state_dict(tensors)  # strict: exactly these names and shapes
    policy.set_training_mode(False)
    policy.training_record = described.record
    return policy.to(get_device(device))


# ---------------------------------------------------------------- reading


def _read_folder(folder: Path, max_bytes: int) -> tuple[PolicyDescription, bytes]:
    """Return both files of one export, even while another process replaces the folder."""
    for _ in range(_ATTEMPTS):
        before = _place_and_identity(folder)
        try:
            return _read_files(before[0], max_bytes)
        except FileNotFoundError as error:
            missing = Path(error.filename)
            inside, remedy = folder / _INSIDE, "Pass a folder written by `TransformerPPO.export`."
            if (inside / DESCRIPTION_FILE).is_file():
                remedy = f"Did you mean {inside}?"
            failure = PolicyFileError(
                f"`{folder}` must be the folder of an exported policy, got no {missing.name} in "
                f"it. {remedy}"
            )
        except PolicyFileError as error:
            failure = error
        if _place_and_identity(folder) == before:
            break
    raise failure


def _place_and_identity(folder: Path) -> tuple[Path, tuple[int, ...]]:
    """Return the folder that holds the export, and numbers that change if it is replaced."""
    # The folder is absent between the two renames of an export, also of a killed one.
    source = folder if folder.exists() else _beside(folder, "old")
    try:
        status = source.stat()
    except OSError:
        return source, ()
    return source, (status.st_dev, status.st_ino, status.st_mtime_ns)


def _read_files(folder: Path, max_bytes: int) -> tuple[PolicyDescription, bytes]:
    file = folder / DESCRIPTION_FILE
    described = PolicyDescription.from_json(read_file(file, _MOST_DESCRIPTION_BYTES), file)
    n_bytes = described.n_weight_bytes()
    for must, needed in (
        ("have weights", n_bytes),
        ("remember an episode", described.n_memory_bytes()),
    ):
        if needed > max_bytes:
            raise refuse(
                file,
                f"{must} of at most {max_bytes} bytes",
                f"{needed}",
                "If you trust it, pass a larger `max_bytes` to `load_policy`.",
            )
    weights_file = folder / WEIGHTS_FILE
    weights = read_file(weights_file, described.n_stored_bytes() + _MOST_HEADER_BYTES)
    if len(weights) != described.n_bytes:
        raise refuse(
            weights_file,
            f"have the {described.n_bytes} bytes given in {DESCRIPTION_FILE}",
            f"{len(weights)}",
        )
    if hashlib.sha256(weights).hexdigest() != described.sha256:
        raise refuse(
            weights_file,
            f"have the checksum given in {DESCRIPTION_FILE}",
            "another: one of the two files is damaged or from another export",
        )
    return described, weights


# ---------------------------------------------------------------- writing


def _leaves_critic(policy: SequencePolicy, actor_only: bool | None) -> bool:
    class_name(policy)  # raises for other classes, which may have no attribute `critic`
    if not isinstance(actor_only, bool | None):
        raise ValueError(f"`actor_only` must be True, False or None, got {actor_only!r}.")
    if actor_only is False and policy.critic is None:
        raise ValueError(
            "`actor_only` must be True or left out for a policy without a critic, got False. Leave "
            "it out, or export the trained policy, which has its critic."
        )
    return policy.critic is None if actor_only is None else actor_only


def _files(
    policy: SequencePolicy, record: TrainingRecord, actor_only: bool, dtype: str
) -> dict[str, bytes]:
    """Return the content of each file, after reading it back as a check."""
    weights = write_tensors(policy, actor_only=actor_only, dtype=dtype)
    described = PolicyDescription.of(policy, weights, record, actor_only=actor_only, dtype=dtype)
    content = described.to_json()
    file = Path(DESCRIPTION_FILE)
    if len(content) > _MOST_DESCRIPTION_BYTES:
        raise ValueError(
            f"`policy` must have a description of at most {_MOST_DESCRIPTION_BYTES} bytes, got "
            f"{len(content)}. Use uniform bounds in its spaces, or shorten the record."
        )
    try:
        again = PolicyDescription.from_json(content, file)
        read_tensors(weights, again, Path(WEIGHTS_FILE))
    except PolicyFileError as error:
        raise ValueError(f"`policy` must be one that can be read back: {error}") from error
    card = model_card(replace(described, record=again.record))
    return {
        WEIGHTS_FILE: weights,
        DESCRIPTION_FILE: content,
        CARD_FILE: card.encode("utf-8"),
    }


def _beside(folder: Path, suffix: str) -> Path:
    # The path is made absolute because "." has no name.
    absolute = Path(os.path.abspath(folder))
    return absolute.with_name(f".{absolute.name}.{suffix}")


def check_target(folder: Path) -> None:
    """Raise ValueError if a policy cannot be exported to a folder, because of what lies there."""
    other = None
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        other = "a link or a file"
    elif folder.exists() and folder.samefile("."):
        other = "the working folder"
    elif folder.is_dir():
        strange = [entry.name for entry in _others_in(folder)]
        # They stay if the folder is an earlier export, and nothing else has the name of its files.
        is_export = (folder / DESCRIPTION_FILE).is_file() and not {*strange} & _OURS
        if strange and not is_export:
            other = f"a folder with other contents ({show(strange)})"
    if other is not None:
        raise ValueError(
            f"`path` must be a new folder, or that of an earlier export, which is replaced, got "
            f"{folder}, {other}. Choose another folder."
        )


def _others_in(folder: Path) -> list[Path]:
    """Return what lies in a folder and is no file of an export."""
    if not folder.is_dir():
        return []
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.name not in _OURS or entry.is_symlink() or not entry.is_file()
    )


def _keep_others(source: Path, target: Path) -> None:
    """Move what is no file of an export from one folder into another, without its content."""
    for entry in _others_in(source):
        if not os.path.lexists(target / entry.name):
            os.replace(entry, target / entry.name)


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _put_in_place(new: Path, folder: Path) -> None:
    old = _beside(folder, "old")
    if folder.exists():
        _keep_others(old, folder)  # of an export that was killed
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    try:
        os.replace(new, folder)
    except BaseException:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        raise
    _keep_others(old, folder)
    shutil.rmtree(old, ignore_errors=True)
