"""The scores in an agent's record, beside a new evaluation."""

from types import SimpleNamespace

import numpy as np
import pytest

from rl3_sb3.experiments.pretrained.listing import recorded_line
from rl3_sb3.experiments.pretrained.record import CellRecord, SeedRecord


@pytest.mark.parametrize(
    ("n_recorded", "n_tasks", "same"),
    [(6, 6, True), (6, 5, False), (500, 250, True), (500, 499, False), (250, 300, True)],
)
def test_sampled_actions_are_said_to_differ_only_where_they_do(tmp_path, n_recorded, n_tasks, same):
    totals = np.arange(float(n_recorded))
    run = SeedRecord(
        seed=0,
        command="",
        provenance=[],
        n_steps=1,
        seconds=1.0,
        curve=np.ones((1, 2)),
        returns={"ood": {"sampled": totals, "greedy": totals}},
        by_step={"ood": {}},
    )
    CellRecord(
        name="bandit-3-rl3",
        settings={"domain": "bandit"},
        exported=0,
        weights="float16",
        oracle={"ood": totals},
        runs=[run],
    ).write(tmp_path)
    evaluation = SimpleNamespace(variation="ood", oracle=np.zeros(n_tasks))
    text = recorded_line(tmp_path, evaluation)
    assert f"first {min(n_recorded, n_tasks)} of these tasks" in text
    assert ("only in a multiple of 250" not in text) == same
