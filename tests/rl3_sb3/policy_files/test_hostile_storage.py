"""A stranger's folder that lies about its weights: which networks they are of, and how stored."""

import numpy as np
import pytest
import torch as th

from rl3_sb3 import PolicyFileError, load_policy

from .hostile_folders import changed_tensors, export, refused

HALF = th.float16


def changed_description(folder, old, new):
    content = (folder / "policy.json").read_bytes()
    assert content.count(old) == 1
    (folder / "policy.json").write_bytes(content.replace(old, new))


@pytest.mark.parametrize(
    ("kind", "old", "new", "message"),
    [
        ("small", b'"dtype": "float16"', b'"dtype": "float64"', "one of float32, float16 at"),
        ("small", b'"dtype": "float16"', b'"dtype": "F16"', "one of float32, float16 at"),
        ("small", b'"dtype": "float16"', b'"dtype": 2', "one of float32, float16 at"),
        ("small", b'"dtype": "float16"', b'"dtype": ["float16"]', "one of float32, float16 at"),
        (
            "small",
            b'"networks": "actor"',
            b'"networks": "critic"',
            "one of actor and critic, actor",
        ),
        ("small", b'"networks": "actor"', b'"networks": true', "one of actor and critic, actor"),
        ("small", b'"format_version": 4', b'"format_version": 3', r"see \['dtype', 'networks'\]"),
        ("small", b'"networks": "actor",', b"", r"see \['networks'\]"),
        ("small", b'"dtype": "float16"', b'"dtype": "float16", "n": 1', r"see \['n'\]"),
        ("small", b'"arguments": {', b'"arguments": {"actor_only": true,', r"see \['actor_only'\]"),
        ("transformer", b'"format_version": 3', b'"format_version": 4', r"\['dtype', 'networks'\]"),
        ("transformer", b'"bytes"', b'"dtype": "float16", "bytes"', r"see \['dtype'\]"),
    ],
)
def test_what_is_said_of_the_weights_is_read_strictly(tmp_path, kind, old, new, message):
    folder, *_ = export(kind, tmp_path)
    changed_description(folder, old, new)
    refused(folder, "policy.json", message)


@pytest.mark.parametrize(
    ("kind", "old", "new", "message"),
    [
        ("float16", b'"dtype": "float16"', b'"dtype": "float32"', r"F32 of shape .* got F16"),
        (
            "actor",
            b': "actor",\n    "dtype": "float32"',
            b': "actor", "dtype": "float16"',
            r"F16 of shape .* got F32",
        ),
        ("small", b'"networks": "actor"', b'"networks": "actor and critic"', "critic.embedding"),
        ("float16", b'"networks": "actor and critic"', b'"networks": "actor"', "Policy's actor, "),
    ],
)
def test_weights_that_are_others_than_said_are_refused(tmp_path, kind, old, new, message):
    folder, *_ = export(kind, tmp_path)
    changed_description(folder, old, new)
    refused(folder, "policy.safetensors", message)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("small", lambda t: t.update({"critic.head.bias": th.zeros(1, dtype=HALF)}), "critic.head"),
        (
            "small",
            lambda t: t.pop("actor.head.bias"),
            r"TransformerPolicy's actor, .*'actor.head.b",
        ),
        ("small", lambda t: t.update({"actor.head.bias": th.zeros(3)}), r"F16 .*\[3\], got F32"),
        (
            "small",
            lambda t: t.update({"actor.head.bias": th.zeros(4, dtype=HALF)}),
            r"of shape \[4",
        ),
        (
            "small",
            lambda t: t.update({"actor.head.bias": th.zeros(3, dtype=th.bfloat16)}),
            r"F16 of shape \[3\], got BF16",
        ),
        ("actor", lambda t: t.update({"actor.head.bias": th.zeros(3, dtype=HALF)}), "got F16"),
        ("float16", lambda t: t.pop("critic.head.bias"), r"a TransformerPolicy, .*'critic.head.b"),
        *(
            (
                "small",
                lambda t, bad=bad: t["actor.head.bias"].fill_(bad),
                "finite numbers in actor.h",
            )
            for bad in (np.nan, np.inf, -np.inf)
        ),
    ],
)
def test_an_actor_alone_has_its_tensors_and_no_others(tmp_path, kind, change, message):
    folder, *_ = export(kind, tmp_path)
    changed_tensors(folder, change)
    refused(folder, "policy.safetensors", message)


def test_float16_is_limited_by_what_it_takes_in_memory(tmp_path):
    folder, _, weights = export("small", tmp_path)
    header = 8 + int.from_bytes(weights[:8], "little")
    in_memory = 2 * (len(weights) - header)
    load_policy(folder, "cpu", max_bytes=in_memory)
    with pytest.raises(PolicyFileError, match=f"have weights of at most {in_memory - 1} bytes"):
        load_policy(folder, "cpu", max_bytes=in_memory - 1)
