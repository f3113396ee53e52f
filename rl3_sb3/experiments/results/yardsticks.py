"""Store the results of classical agents in held-out tasks as a JSON file.

    {"domain": "bandit", "size": null, "horizon": 100, "variation": "canonical", "n_tasks": 1000,
     "first_seed": 2147483648, "command": ..., "commit": ..., "hardware": ...,
     "agents": {"random": {"mean": 49.9, "se": 0.5, "returns": [52.0, ...]}, ...}}

`returns` are total rewards, one per task; the oracle's are expectations. If tasks are not tables,
there is no oracle. The standard error of a single task is null.
"""

from __future__ import annotations

import json
import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.domains import CANONICAL
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.scores import Evaluation, mean_and_error
from rl3_sb3.experiments.files.atomic_file import replace_content
from rl3_sb3.experiments.provenance import code_commit, hardware
from rl3_sb3.experiments.settings.run_config import FIRST_HELD_OUT_SEED, RunConfig

# The fields that identify the tasks of a file.
TASKS = ("domain", "size", "horizon", "variation")


def require_place(file: Path) -> None:
    """Check that `write_yardsticks` will be able to write a file, and may replace what is there.

    Args:
        file: The file that `--json` names.

    Raises:
        InputError: It cannot be written, or holds something other than yardsticks.
    """
    try:
        if not file.parent.is_dir():
            raise InputError(
                f"`--json` must be in an existing folder, got {file}. Create it first."
            )
        if file.is_dir():
            raise InputError(f"`--json` must be a file, got the folder {file}. Add a name.")
        if file.exists() and not file.is_file():
            return  # a device or a pipe
        if file.exists() and file.stat().st_size > 0:
            _require_own(file)
        # Atomic writing needs a second file beside the target.
        beside = Path(os.path.realpath(file)).with_name(f".{file.name}.try")
        replace_content(beside, b"")
        beside.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"`--json` must be a file that can be written, got {file} ({error.strerror}). Choose "
            "another name or folder."
        ) from error


def _require_own(file: Path) -> None:
    try:
        read_yardsticks(file)
    except InputError as error:
        raise InputError(
            "`--json` must be a new file, or one that `rl3 baselines --json` has written, got "
            f"{file}, which holds something else. Choose another name."
        ) from error


def write_yardsticks(
    file: Path, config: RunConfig, evaluation: Evaluation, names: Sequence[str] | None = None
) -> None:
    """Write an evaluation of agents that are not trained.

    Args:
        file: The file to write; an existing one is replaced.
        config: The run that defines the tasks.
        evaluation: The evaluation in these tasks.
        names: The agents' names as given by `--agents`; None if it was left out.

    Raises:
        OSError: The file cannot be written.
    """
    agents = {}
    for score in evaluation.scores:
        mean, error = mean_and_error(score.returns)
        agents[score.title] = {
            "mean": mean,
            "se": None if math.isnan(error) else error,  # JSON has no NaN
            "returns": score.returns.tolist(),
        }
    n_tasks = len(evaluation.oracle)
    values = {
        "domain": config.domain,
        "size": config.size,
        "horizon": config.horizon,
        "variation": evaluation.variation,
        "n_tasks": n_tasks,
        "first_seed": FIRST_HELD_OUT_SEED,
        "command": _command(config, evaluation.variation, n_tasks, names),
        "commit": code_commit(),
        "hardware": hardware(),
        "agents": agents,
    }
    replace_content(file, (json.dumps(values) + "\n").encode())


def read_yardsticks(file: Path) -> dict[str, Any]:
    """Return the content of a file from `write_yardsticks`.

    Raises:
        InputError: The file has other content.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InputError(
            f"`{file}` must be what `rl3 baselines --json` writes, got no JSON: {error}. Write it "
            "again."
        ) from error
    if (
        not isinstance(values, Mapping)
        or not {"agents", *TASKS} <= values.keys()
        or any(isinstance(values[name], list | dict) for name in TASKS)
        or not _has_means(values["agents"])
    ):
        raise InputError(
            f"`{file}` must be what `rl3 baselines --json` writes, got something else. Write it "
            "again."
        )
    return dict(values)


def _has_means(agents: Any) -> bool:
    return isinstance(agents, Mapping) and all(
        isinstance(each, Mapping)
        and isinstance(each.get("mean"), int | float)
        and isinstance(each.get("returns"), list)
        for each in agents.values()
    )


def _command(config: RunConfig, variation: str, n_tasks: int, names: Sequence[str] | None) -> str:
    words = [f"rl3 baselines {config.domain}"]
    words += [] if config.size is None else [f"--size {config.size}"]
    words += [f"--horizon {config.horizon}"]
    words += [] if variation == CANONICAL else [f"--variation {variation}"]
    words += [f"--tasks {n_tasks}"]
    return " ".join(words if names is None else [*words, "--agents", shlex.quote(",".join(names))])
