"""Where a run starts from: the networks of a published agent, a run, or an exported policy."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.policy_files.folder import load_policy
from rl3_sb3.policy_files.strict_json import PolicyFileError
from rl3_sb3.ppo import TransformerPPO

# The exported policy in the folder of a run or of a published agent.
POLICY_FOLDER = "policy"


def start(model: TransformerPPO, path: str) -> dict[str, Any]:
    """Give a new model the networks of the policy in a folder.

    Args:
        model: The model, which has not been trained.
        path: The folder of an exported policy, or one that has it in `policy/`.

    Returns:
        What identifies that policy: `n_steps` for which it had been trained, the checksum of its
        `weights`, and whether its critic was taken over too (`with_critic`).

    Raises:
        InputError: There is no policy, it cannot be read, or it does not fit the model.
    """
    inner = Path(path, POLICY_FOLDER)
    folder = inner if inner.is_dir() else Path(path)
    try:
        policy = load_policy(folder, model.device)
        with_critic = model.start_from(policy)
    except PolicyFileError as error:
        raise InputError(
            "`start_from` must be the folder of a published agent, a run or an exported policy, "
            f"got {path}: {error}"
        ) from error
    except ValueError as error:
        raise InputError(f"`start_from` must fit the run, got {path}: {error}") from error
    weights = hashlib.sha256()
    for name, tensor in policy.state_dict().items():
        weights.update(name.encode() + tensor.cpu().numpy().tobytes())
    return {
        "n_steps": model.n_steps_before,
        "weights": weights.hexdigest(),
        "with_critic": with_critic,
    }
