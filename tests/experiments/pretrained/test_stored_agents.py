"""The agents that the repository offers for download."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rl3_sb3.experiments.evaluation.evaluation import evaluate
from rl3_sb3.experiments.paper.comparison import Tasks
from rl3_sb3.experiments.pretrained.joining import earlier_record
from rl3_sb3.experiments.pretrained.listing import read_records, settings_of
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.policy_files.folder import load_policy

PRETRAINED = Path(__file__).parents[3] / "pretrained"
RECORDS = [*read_records(PRETRAINED).values()]
N_TASKS = 100
MOST_BYTES = 20e6


@pytest.mark.parametrize("name", ["bandit-100-rl3", "random-mdp-128-rl3"])
def test_an_agent_gets_what_its_record_says(name):
    (record,) = (each for each in RECORDS if each.name == name)
    directory = RunDirectory(PRETRAINED / name)
    config = directory.config_file.read()
    directory.config_file.require_same_tasks(config)
    policy = load_policy(directory.policy_folder, "cpu")
    found = evaluate(config, policy, n_training_steps=0, n_tasks=N_TASKS)
    for play, recorded in record.exported_run.returns["canonical"].items():
        differences = found.score_of(play).returns - recorded[:N_TASKS]
        # Exactly 0 on the kind of processor that made the record.
        error = np.std(recorded[:N_TASKS], ddof=1) / np.sqrt(N_TASKS)
        assert abs(differences.mean()) < 3 * error
    np.testing.assert_allclose(found.oracle, record.oracle["canonical"][:N_TASKS], atol=0.001)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_seeds_trained_elsewhere_with_the_same_settings_can_join_a_record(record):
    folder = PRETRAINED / record.name
    config = RunDirectory(folder).config_file.read()
    # Before it was stored, an oracle had all its digits.
    oracle = {name: totals + 0.0004 for name, totals in record.oracle.items()}
    joined = earlier_record(folder, replace(config, seed=99), oracle)
    assert joined.to_dict() == record.to_dict()


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.name)
def test_a_record_is_whole_and_lies_where_the_papers_scripts_look(record):
    config = settings_of(record)
    assert config == RunDirectory(PRETRAINED / record.name).config_file.read()
    tasks = Tasks(domain=config.domain, size=config.size, horizon=config.horizon)
    scale = "paper" if config.recipe == "paper" else "cpu"
    assert record.name == tasks.cell(config.algo, scale)
    for run in record.runs:
        assert f"--seed {run.seed}" in run.command
        assert all(len(entry["commit"].strip("+")) == 40 for entry in run.provenance)
        assert run.n_steps == run.curve[-1, 0]
        assert {len(r) for plays in run.returns.values() for r in plays.values()} == {1000}


def test_all_agents_together_are_small():
    files = [file for file in PRETRAINED.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < MOST_BYTES
    assert {file.suffix for file in files} <= {".json", ".safetensors", ".md"}
