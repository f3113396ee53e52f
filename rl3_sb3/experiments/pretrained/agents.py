"""Load published agents."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rl3_sb3.experiments.pretrained.listing import read_records
from rl3_sb3.experiments.results.labels import agent_labels
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.runs.run_policy import load_run_policy
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.policy_files.folder import WEIGHTS_FILE
from rl3_sb3.sequence_policy import SequencePolicy


@dataclass(frozen=True, kw_only=True)
class PublishedAgent:
    """The exported policy of a cell.

    Attributes:
        name: Name of the cell's folder.
        title: Its algorithm's title; with what differs if others in the same tasks have that, too.
        config: Configuration of the run that trained it.
        policy: The policy, without critic.
        n_training_steps: Number of steps for which it was trained, see `SeedRecord`.
        n_seeds: Number of seeds of the cell; the policy is that of the median seed.
        digest: Of the file with the policy's weights, see `weights_digest`.
    """

    name: str
    title: str
    config: RunConfig
    policy: SequencePolicy
    n_training_steps: int
    n_seeds: int
    digest: str

    @property
    def tasks(self) -> tuple[str, int | None, int]:
        """Domain, size and H. Agents with the same ones can be compared."""
        return self.config.domain, self.config.size, self.config.horizon

    def to_dict(self) -> dict[str, Any]:
        """Return the agent's entry in a record."""
        return {
            "name": self.name,
            "title": self.title,
            "n_training_steps": self.n_training_steps,
            "n_seeds": self.n_seeds,
            "exported_seed": self.config.seed,
            "digest": self.digest,
        }


def published_agents(folder: Path, algos: Collection[str] | None = None) -> list[PublishedAgent]:
    """Return all published agents in a folder, in the order of their names.

    Args:
        folder: A folder such as `pretrained/` of the repository.
        algos: Names of algorithms to include; None: all.

    Raises:
        InputError: There are no agents, one cannot be read, or the domain's tasks have changed
            since its training.
    """
    agents = []
    for place, record in read_records(folder).items():
        directory = RunDirectory(place)
        config = directory.config_file.read()
        if algos is not None and config.algo not in algos:
            continue
        directory.config_file.require_same_tasks(config)
        policy, _ = load_run_policy(directory, config, "cpu")
        agents.append(
            PublishedAgent(
                name=place.name,
                title=config.title,
                config=config,
                policy=policy,
                n_training_steps=record.exported_run.n_steps,
                n_seeds=len(record.runs),
                digest=weights_digest(place),
            )
        )
    return [replace(agent, title=_title(agent, agents)) for agent in agents]


def _title(agent: PublishedAgent, agents: Sequence[PublishedAgent]) -> str:
    same = [each for each in agents if (each.tasks, each.title) == (agent.tasks, agent.title)]
    labels = agent_labels([each.config for each in same])
    return labels[same.index(agent)] if len(same) > 1 else agent.title


def weights_digest(agent: Path) -> str:
    """Return the start of the SHA-256 of a published agent's weights; "" if it has none."""
    file = RunDirectory(agent).policy_folder / WEIGHTS_FILE
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else ""
