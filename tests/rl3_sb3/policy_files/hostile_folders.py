"""Exported policies, and how a stranger changes their folders."""

import contextlib
import json
import pathlib
import resource

import numpy as np
import pytest
import safetensors.torch
import torch as th
from gymnasium import spaces

from rl3_sb3 import (
    LstmPolicy,
    MarkovPolicy,
    PolicyFileError,
    TrainingRecord,
    TransformerPolicy,
    export_policy,
    load_policy,
)

from .hostile import Mutator

SIZES = {"context_length": 5, "d_model": 4, "n_layers": 1, "n_heads": 2, "d_ff": 6}
BOX = spaces.Box(np.array([-np.inf, -1, 0, 0], np.float32), np.inf)
PARTS = spaces.Dict({"a": spaces.Box(-1, 1, (2,)), "b": spaces.Discrete(2)})
POLICIES = {
    "transformer": lambda: TransformerPolicy(
        BOX, spaces.Discrete(3), lambda _: 0.1, input_hidden=5, **SIZES
    ),
    "lstm": lambda: LstmPolicy(
        BOX, spaces.Discrete(3), lambda _: 0.1, hidden=4, n_layers=2, input_hidden=5
    ),
    "asymmetric": lambda: MarkovPolicy(
        PARTS, spaces.Discrete(2), lambda _: 0.1, hidden=4, context_length=9, critic_only="b"
    ),
    "markov": lambda: MarkovPolicy(
        PARTS, spaces.Box(-1, 1, (2,)), lambda _: 0.1, hidden=4, context_length=9
    ),
}
POLICIES |= {name: POLICIES["transformer"] for name in ("actor", "float16", "small")}
OPTIONS = {
    "actor": {"actor_only": True},
    "float16": {"weights": "float16"},
    "small": {"actor_only": True, "weights": "float16"},
}
RECORD = TrainingRecord(
    algorithm="A",
    environment="E",
    n_steps=10,
    seed=1,
    hyper_parameters={"gamma": 0.9, "ent_coef": [0.1, 0.0]},
    results={"reward": 1.5},
)
MOST_BYTES = 400 * 2**20  # beyond what the process has already


def export(kind, tmp_path):
    th.manual_seed(0)
    folder = tmp_path / "out"
    export_policy(POLICIES[kind](), folder, record=RECORD, **OPTIONS.get(kind, {}))
    files = [(folder / name).read_bytes() for name in ("policy.json", "policy.safetensors")]
    return folder, *files


def refused(folder, name, message=None):
    """Loading fails with an error of the one class that names the file."""
    with pytest.raises(PolicyFileError, match=message) as caught:
        load_policy(folder, "cpu")
    assert f"{name}`" in str(caught.value)
    return str(caught.value)


def reseal(folder, weights):
    (folder / "policy.safetensors").write_bytes(weights)
    mutant = Mutator((folder / "policy.json").read_bytes(), weights, None).sealed("", weights)
    (folder / "policy.json").write_bytes(mutant.description)


def edit(folder, **changes):
    file = folder / "policy.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def changed_tensors(folder, change):
    tensors = safetensors.torch.load((folder / "policy.safetensors").read_bytes())
    change(tensors)
    reseal(folder, safetensors.torch.save(tensors))


@contextlib.contextmanager
def no_large_allocation():
    """Allocations of more than `MOST_BYTES` altogether raise MemoryError."""
    memory = pathlib.Path("/proc/self/statm")
    if not memory.exists():  # not Linux: the limit goes unchecked
        yield
        return
    pages = int(memory.read_text().split()[0])
    limits = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
