"""Two processes train as one does: two roads to one model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch as th

from rl3_sb3.ranks import any_rank, gather_over_ranks, launched_ranks, n_ranks, sum_over_ranks

SCRIPT = Path(__file__).with_name("train_on_ranks.py")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What rank 0 ended with in each case, alone and as one of two: see `train_on_ranks`."""
    folders = {}
    for n in (1, 2):
        folders[n] = tmp_path_factory.mktemp(f"{n}-ranks")
        command = [sys.executable, *(TORCHRUN if n == 2 else []), str(SCRIPT), str(folders[n])]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
    return folders


def arrays(folders, name):
    alone, ranks = (np.load(folders[n] / f"{name}.npz") for n in (1, 2))
    assert alone.files == ranks.files
    assert len(alone.files) > 20
    return [(key, alone[key], ranks[key]) for key in alone.files]


@pytest.mark.parametrize(
    "case", ["aligned", "ragged", "truncated", "box", "unequal", "relabelled", "masked", "lstm"]
)
def test_two_ranks_train_like_one_process_in_double_precision(trained, case):
    for name, alone, ranks in arrays(trained, f"{case}-float64-parameters"):
        np.testing.assert_allclose(ranks, alone, atol=1e-9, rtol=0, err_msg=name)
    results = [json.loads((trained[n] / f"{case}-float64.json").read_text()) for n in (1, 2)]
    (alone, alone_episodes), (ranks, ranks_episodes) = (r.values() for r in results)
    # the divergence and with it the actor's last epoch, the losses, the counters
    assert ranks.keys() == alone.keys()
    for name in alone:
        np.testing.assert_allclose(ranks[name], alone[name], rtol=1e-9, atol=1e-12, err_msg=name)
    assert 1 <= alone["train/actor_epochs"] < 3
    assert ranks_episodes == alone_episodes
    assert len(alone_episodes) > 0


def test_two_ranks_have_the_gradient_of_one_process_in_single_precision(trained):
    found = arrays(trained, "ragged-float32-gradients")
    assert max(np.abs(alone).max() for _, alone, _ in found) > 0.01
    for name, alone, ranks in found:
        np.testing.assert_allclose(ranks, alone, atol=1e-6, rtol=0, err_msg=name)


def test_ranks_end_with_one_model_though_only_rank_0_read_a_checkpoint(trained):
    ends = np.load(trained[2] / "ends.npz")
    assert len(ends.files) == 2
    np.testing.assert_array_equal(ends["arr_0"], ends["arr_1"])


def test_all_ranks_start_from_what_rank_0_starts_from_and_their_critics_train_first(trained):
    starts = np.load(trained[2] / "starts.npz")
    assert len(starts.files) == 3
    for rank in (1, 2):
        np.testing.assert_array_equal(starts["arr_0"], starts[f"arr_{rank}"])


def test_a_callback_that_says_stop_on_one_rank_stops_all_at_the_rollouts_end(trained):
    stopped = json.loads((trained[2] / "stopped.json").read_text())
    assert stopped["steps"] == [32, 32]  # one rollout of 8 steps in 4 environments


def test_environments_that_normalise_by_statistics_of_their_own_are_refused(trained):
    stopped = json.loads((trained[2] / "stopped.json").read_text())
    assert stopped["refusals"][0].startswith("`env` must not be a VecNormalize on 2 ranks")


def test_rollouts_of_different_lengths_are_refused(trained):
    stopped = json.loads((trained[2] / "stopped.json").read_text())
    assert stopped["refusals"][1].startswith("`n_steps` must be the same on all ranks, got [8, 16]")


def test_a_process_alone_is_a_group_of_one():
    assert n_ranks() == launched_ranks() == 1
    assert gather_over_ranks("a") == ["a"]
    assert sum_over_ranks(th.tensor([1.0, 2.0])).tolist() == [1, 2]
    assert any_rank(True)
    assert not any_rank(False)
