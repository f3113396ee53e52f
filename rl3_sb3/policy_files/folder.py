"""Policies as folders that anyone may open: weights as safetensors, all else as JSON and Markdown.

    policy.safetensors     every parameter and buffer, or the actor's alone, as float32 or float16
    policy.json            class (a name in a table), sizes, spaces, checksum, training record
    README.md              the model card; made from policy.json, never read

Reading a stranger's folder executes nothing of it. The order of the checks bounds what it can cost:
policy.json (a few MB at most) is checked as a whole; what it implies for the weights must fit the
limit and the size of policy.safetensors; only then that file is read, its checksum compared, its
tensors matched by name, shape and type, and its numbers required to be finite. The policy is made
last, so an error leaves nothing behind. Extra files in the folder are not looked at.

Writing is atomic. The new folder is written beside the old one, as `.NAME.new`; then the old one
is renamed to `.NAME.old`, the new one to NAME, and the old one is deleted. Between the two renames
only `.NAME.old` exists, and `load_policy` finds it there. One process at a time may export to a
folder; others may read it meanwhile.

The checksum tells damage and mixed-up files. It does not tell who wrote them: a stranger can write
any weights that he likes, and the policy will act on them.
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

_MOST_DESCRIPTION_BYTES = 4 * 2**20
# The names and shapes of the tensors, which stand before their numbers.
_MOST_HEADER_BYTES = 2**20
# Times that a folder may be replaced by another process while it is read.
_ATTEMPTS = 5


def export_policy(
    policy: SequencePolicy,
    path: str | os.PathLike[str],
    *,
    record: TrainingRecord | None = None,
    actor_only: bool | None = None,
    weights: str = "float32",
) -> None:
    """Write a policy into a folder from which `load_policy` reads it, without pickle.

    Args:
        policy: One of those in `rl3_sb3.policy`; no subclass of your own.
        path: A new folder, or the folder of an earlier export, which is replaced.
        record: What trained it. None: what the policy was loaded with, if it was.
        actor_only: Leave the critic behind: half the bytes, for a policy that shall act and not be
            trained on. None: leave none behind, and export a policy that has none as it is.
        weights: As what numbers are stored. "float32" keeps each bit; "float16" is half as large
            and rounds, so that now and then the policy may act a little differently.

    Raises:
        ValueError: The policy cannot be exported (another class, a space without JSON, weights that
            are not finite or not float32, or beyond float16), `path` is a folder with other
            contents, `weights` is no such name, or the critic shall be exported of a policy that
            was loaded without.
    """
    folder = Path(path)
    _check_target(folder)
    leaves_critic = _leaves_critic(policy, actor_only)
    if weights not in [*STORED_BYTES]:
        raise ValueError(f"`weights` must be one of {', '.join(STORED_BYTES)}, got {weights!r}.")
    if record is None:
        record = policy.training_record or TrainingRecord()
    files = _files(policy, record, leaves_critic, weights)
    new = _beside(folder, "new")
    try:
        shutil.rmtree(new, ignore_errors=True)  # an export that was killed may have left it
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
    """Read a policy that `export_policy` or `TransformerPPO.export` wrote; execute nothing.

    Args:
        path: The folder. It may come from anyone.
        device: "auto" takes a CUDA device if there is one.
        max_bytes: The most memory that its weights may take, and the most that the memory of one
            episode may take.

    Returns:
        The policy, ready for `predict`. On the same device it acts, bit for bit, as the one that
        was exported, its weights rounded to float16 if they are stored so. Its `training_record` is
        what the folder says about its training. To train it on, make a `TransformerPPO` of the same
        sizes and give its policy this one's `state_dict()`; with `strict=False` if it was exported
        without its critic, which then starts anew.

    Raises:
        PolicyFileError: A file is missing, damaged, too large or hostile; the message names it.
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
            failure = PolicyFileError(
                f"`{folder}` must be the folder of an exported policy, got no {missing.name} in "
                "it. Pass a folder that `TransformerPPO.export` wrote."
            )
        except PolicyFileError as error:
            failure = error
        if _place_and_identity(folder) == before:
            break
    raise failure


def _place_and_identity(folder: Path) -> tuple[Path, tuple[int, ...]]:
    """Return where the export lies, and numbers that change when another takes its place."""
    # Absent between the two renames of an export, or since one was killed there.
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
            f"have the {described.n_bytes} bytes that {DESCRIPTION_FILE} says",
            f"{len(weights)}",
        )
    if hashlib.sha256(weights).hexdigest() != described.sha256:
        raise refuse(
            weights_file,
            f"have the checksum that {DESCRIPTION_FILE} says",
            "another: one of both is damaged, or from another export",
        )
    return described, weights


# ---------------------------------------------------------------- writing


def _leaves_critic(policy: SequencePolicy, actor_only: bool | None) -> bool:
    class_name(policy)  # others need not have a critic to ask for
    if not isinstance(actor_only, bool | None):
        raise ValueError(f"`actor_only` must be True, False or None, got {actor_only!r}.")
    if actor_only is False and policy.critic is None:
        raise ValueError(
            "`actor_only` must be True or left out for a policy that was exported without its "
            "critic, got False. Export the policy that was trained, or this one as it is."
        )
    return policy.critic is None if actor_only is None else actor_only


def _files(
    policy: SequencePolicy, record: TrainingRecord, actor_only: bool, dtype: str
) -> dict[str, bytes]:
    """Return the content of each file, which is known to be readable."""
    weights = write_tensors(policy, actor_only=actor_only, dtype=dtype)
    described = PolicyDescription.of(policy, weights, record, actor_only=actor_only, dtype=dtype)
    content = described.to_json()
    file = Path(DESCRIPTION_FILE)
    if len(content) > _MOST_DESCRIPTION_BYTES:
        raise ValueError(
            f"`policy` must have a description of at most {_MOST_DESCRIPTION_BYTES} bytes, got "
            f"{len(content)}. Give its spaces uniform bounds, or shorten the record."
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
    # absolute, because "." has no name
    absolute = Path(os.path.abspath(folder))
    return absolute.with_name(f".{absolute.name}.{suffix}")


def _check_target(folder: Path) -> None:
    other = None
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        other = "a link or a file"
    elif folder.exists() and folder.samefile("."):
        other = "the working folder"
    elif folder.is_dir():
        names = {entry.name for entry in folder.iterdir()}
        strange = sorted(names - {WEIGHTS_FILE, DESCRIPTION_FILE, CARD_FILE})
        if strange:
            other = f"a folder with other contents ({show(strange)})"
    if other is not None:
        raise ValueError(
            f"`path` must be a new folder or one of an earlier export, which is replaced as a "
            f"whole, got {folder}, {other}. Choose another one."
        )


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _put_in_place(new: Path, folder: Path) -> None:
    old = _beside(folder, "old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    try:
        os.replace(new, folder)
    except BaseException:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
