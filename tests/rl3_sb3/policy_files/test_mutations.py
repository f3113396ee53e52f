"""A stranger's folder: thousands of mutations, each refused or harmless."""

import collections
import itertools
import json
import re
import sys
import time
import warnings

import numpy as np
import pytest
from gymnasium import spaces

from rl3_sb3 import PolicyFileError, export_policy, load_policy

from .hostile import Mutant, Mutator, every_field
from .hostile_folders import POLICIES, export, no_large_allocation

MOST_SECONDS = 5.0  # for one load, on a busy machine
# "small" is the actor alone in float16, so it has the fields of both.
KINDS = [kind for kind in POLICIES if kind not in ("actor", "float16")]


def check(mutant, folder):
    """Return whether a mutant was loaded; it must be harmless then, else rightly refused."""
    (folder / "policy.json").write_bytes(mutant.description)
    (folder / "policy.safetensors").write_bytes(mutant.weights)
    start = time.monotonic()
    try:
        policy = load_policy(folder, "cpu")
    except PolicyFileError as error:
        message = str(error)
        assert re.match(rf"`{folder}/policy\.(json|safetensors)` must ", message), message
        assert re.search(r", got .+\. .+\.$", message), message
        assert message.replace(str(folder), "").isprintable()
        assert len(message) < 1000
        message.encode()
        return False
    finally:
        assert time.monotonic() - start < MOST_SECONDS, "a hang"
    acts(policy)
    two = folder.with_name("two")
    export_policy(policy, two)
    first = {entry.name: entry.read_bytes() for entry in two.iterdir()}
    again = load_policy(two, "cpu")
    assert again.parameters_to_vector().tobytes() == policy.parameters_to_vector().tobytes()
    export_policy(again, two)
    assert {entry.name: entry.read_bytes() for entry in two.iterdir()} == first
    return True


def first_of(space):
    return (np.zeros(space.shape) + getattr(space, "start", 0)).astype(space.dtype)


def acts(policy):
    space = policy.observation_space
    observation = (
        {key: first_of(part) for key, part in space.spaces.items()}
        if isinstance(space, spaces.Dict)
        else first_of(space)
    )
    action, _ = policy.predict(observation, deterministic=True)
    assert np.isfinite(action).all()


def count_outcomes(mutants, folder):
    load_policy(folder, "cpu")  # torch's own modules
    modules, counts = set(sys.modules), collections.Counter()
    with no_large_allocation(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for i, mutant in enumerate(mutants):
            try:
                counts[mutant.kind, "loaded" if check(mutant, folder) else "refused"] += 1
            except Exception as error:
                raise AssertionError(
                    f"mutant {i} ({mutant.kind}): {mutant.description[-1000:]!r}"
                ) from error
    assert set(sys.modules) == modules
    return counts


@pytest.mark.parametrize("kind", KINDS)
def test_mutations_are_refused_or_harmless(tmp_path, kind):
    folder, *files = export(kind, tmp_path)
    rng = np.random.default_rng(0)
    mutator = Mutator(*files, rng)
    edits = list(every_field(json.loads(files[0]), files[1]))
    chosen = [edits[i] for i in rng.choice(len(edits), 200, replace=False)]
    counts = count_outcomes(chosen + [mutator.draw() for _ in range(200)], folder)
    assert counts.total() == 400
    assert sum(n for (_, outcome), n in counts.items() if outcome == "refused") > 250


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_ten_thousand_mutations_are_refused_or_harmless(tmp_path, kind, capsys):
    folder, *files = export(kind, tmp_path)
    mutator = Mutator(*files, np.random.default_rng(1))
    drawn = (mutator.draw() for _ in range(10_000))
    edits = every_field(json.loads(files[0]), files[1])
    counts = count_outcomes(itertools.chain(edits, drawn), folder)
    with capsys.disabled():
        print(f"\n{kind}: {counts.total()} mutants")
        for (name, outcome), n in sorted(counts.items()):
            print(f"    {name}, {outcome}: {n}")
    assert counts.total() > 10_000


@pytest.mark.parametrize("kind", KINDS)
def test_changed_weights_are_always_noticed(tmp_path, kind):
    """The checksum sees each byte; a truncation at any place is named."""
    folder, description, weights = export(kind, tmp_path)
    rng = np.random.default_rng(2)
    for place in rng.choice(len(weights), 100, replace=False):
        flipped = bytearray(weights)
        flipped[place] ^= 1 << rng.integers(8)
        assert not check(Mutant("", description, bytes(flipped)), folder)
        assert not check(Mutant("", description, weights[:place]), folder)
        assert not check(Mutant("", description[: place % len(description)], weights), folder)
