"""A stranger's folder: each attack by itself. Thousands of mutations are in test_mutations."""

import json
import os
import pathlib
import pickle
import re
import sys

import numpy as np
import pytest
import safetensors.torch
import torch as th
from gymnasium import spaces

from rl3_sb3 import PolicyFileError, TransformerPolicy, export_policy, load_policy
from rl3_sb3.policy import POLICIES as NAMED

from .hostile_folders import (
    POLICIES,
    RECORD,
    changed_tensors,
    edit,
    export,
    no_large_allocation,
    refused,
    reseal,
)


@pytest.fixture
def folder(tmp_path):
    th.manual_seed(0)
    export_policy(POLICIES["transformer"](), tmp_path / "out", record=RECORD)
    return tmp_path / "out"


# -------------------------------------------------------------------- nothing is executed


class Evil:
    def __reduce__(self):
        return (os.mkdir, ("executed",))


def test_pickles_are_not_opened_wherever_they_lie(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("policy.pkl", "policy.pth", "checkpoint.zip", "data"):
        (folder / name).write_bytes(pickle.dumps(Evil()))
    for name in ("policy.py", "__init__.py", "torch.py", "sitecustomize.py"):
        (folder / name).write_text("import os; os.mkdir('executed')")
    monkeypatch.chdir(folder)
    load_policy(folder, "cpu")
    for name in ("policy.safetensors", "policy.json"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(pickle.dumps(Evil()))
        refused(folder, name)
        th.save({"x": Evil()}, folder / name)
        refused(folder, name)
        (folder / name).write_bytes(whole)
    assert not (folder / "executed").exists()


def test_loading_runs_no_code_opens_two_files_and_starts_nothing(folder):
    load_policy(folder, "cpu")  # torch loads modules of its own at its first optimizer
    forbidden = ("exec", "compile", "import", "pickle.find_class", "os.system", "os.exec")
    forbidden += ("subprocess.Popen", "socket.", "ctypes.dlopen", "os.remove", "os.mkdir")
    seen, watching = [], False

    def watch(event, arguments):  # stays for the process's life
        if watching and (event == "open" or event.startswith(forbidden)):
            seen.append((event, pathlib.Path(str(arguments[0])).name))

    sys.addaudithook(watch)
    watching = True
    load_policy(folder, "cpu")
    watching = False
    assert set(seen) <= {
        ("open", "policy.json"),
        ("open", "policy.safetensors"),
        # the streams around the descriptors
        *(("open", str(i)) for i in range(1000)),
    }
    assert ("open", "policy.json") in seen


@pytest.mark.parametrize(
    "name", ["os.system", "rl3_sb3.policy.TransformerPolicy", "Evil", "../policy", "", None, 1]
)
def test_a_class_is_a_name_in_the_table(folder, name):
    edit(folder, policy=name)
    refused(folder, "policy.json", f"one of {', '.join(NAMED)} at 'policy'")


# -------------------------------------------------------------------- files


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_links_pipes_and_folders_are_refused_without_waiting(folder, tmp_path, name):
    whole = (folder / name).read_bytes()
    (tmp_path / "whole").write_bytes(whole)
    for target in (tmp_path / "whole", "/dev/zero", "/dev/stdin", name, tmp_path):
        (folder / name).unlink()
        (folder / name).symlink_to(target)
        refused(folder, name, "must be a file, got a link")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(folder, name, "must be a file, got a folder, a pipe or a device")
    (folder / name).unlink()
    (folder / name).mkdir()
    refused(folder, name)


@pytest.mark.parametrize("name", ["policy.json", "policy.safetensors"])
def test_a_giant_file_is_refused_before_it_is_read(folder, name):
    with open(folder / name, "r+b") as file, no_large_allocation():
        file.truncate(2**40)  # sparse: it takes no room on the disk
        refused(folder, name, r"must have at most \d+ bytes, got 1099511627776")


def test_weights_beyond_the_limit_are_refused_by_their_description(folder):
    described = json.loads((folder / "policy.json").read_text())
    sizes = described["arguments"] | {"d_ff": 2**20, "input_hidden": 2**20, "d_model": 2**20}
    edit(folder, arguments=sizes)
    with no_large_allocation():
        refused(folder, "policy.json", r"weights of at most 268435456 bytes, .* `max_bytes`")


def test_a_memory_beyond_the_limit_is_refused(folder):
    with pytest.raises(PolicyFileError, match=r"must remember an episode of at most 20000 bytes"):
        th.manual_seed(0)
        policy = TransformerPolicy(
            spaces.Box(0, 1, (1,)), spaces.Discrete(1), lambda _: 0.1, context_length=40,
            d_model=2, n_layers=40, n_heads=1, d_ff=1, input_hidden=1,
        )  # fmt: skip
        export_policy(policy, folder)
        load_policy(folder, "cpu", max_bytes=20_000)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"hidden": 4', b'"hidden": -4', "an integer from 1 to 1048576"),
        (b'"hidden": 4', b'"hidden": 0', "an integer from 1 to 1048576"),
        (b'"hidden": 4', b'"hidden": 2097152', "an integer from 1 to 1048576"),
        (b'"hidden": 4', b'"hidden": 1048576', "weights of at most 268435456 bytes"),
        (b'"hidden": 4', b'"hidden": 5', r"F32 of shape \[20, 5\], got"),
        (b'"n_layers": 2', b'"n_layers": 257', "an integer from 1 to 256"),
        (b'"n_layers": 2', b'"n_layers": 1', r"hold the \d+ tensors of a LstmPolicy"),
        (b'"input_hidden": 5', b'"input_hidden": -5', "an integer from 1 to 1048576"),
        (b'"input_hidden": 5', b'"input_hidden": 5, "context_length": 1', "the fields"),
        (b"LstmPolicy", b"TransformerPolicy", "the fields context_length"),
    ],
)
def test_an_lstm_of_other_sizes_is_refused(tmp_path, old, new, message):
    folder, description, _ = export("lstm", tmp_path)
    assert description.count(old) == 1
    (folder / "policy.json").write_bytes(description.replace(old, new))
    with no_large_allocation():
        refused(
            folder,
            "policy.safetensors" if "hold" in message or "F32" in message else "policy.json",
            message,
        )


def test_the_limit_can_be_raised_and_lowered(folder):
    n_bytes = (folder / "policy.safetensors").stat().st_size
    load_policy(folder, "cpu", max_bytes=n_bytes)
    with pytest.raises(PolicyFileError, match="weights of at most 100 bytes"):
        load_policy(folder, "cpu", max_bytes=100)


def test_files_of_two_exports_do_not_mix(folder, tmp_path):
    th.manual_seed(1)
    export_policy(POLICIES["transformer"](), tmp_path / "other", record=RECORD)
    os.replace(tmp_path / "other" / "policy.safetensors", folder / "policy.safetensors")
    refused(folder, "policy.safetensors", "checksum given in policy.json, got another")


def test_a_later_version_of_the_format_is_told_from_damage(folder):
    edit(folder, format_version=5, something_new=1)
    assert "Upgrade this package" in refused(
        folder, "policy.json", "format version 4 or an earlier one, got 5"
    )
    (folder / "policy.json").write_text('{"name": "other"}')
    refused(folder, "policy.json", "must describe a policy exported by rl3_sb3, got other JSON")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"seed": 1', b'"seed": 1, "seed": 1', "an object with one key twice"),
        (b'"seed": 1', b'"seed": NaN', "NaN, which is not JSON"),
        (b'"reward": 1.5', b'"reward": 1e999', "a number beyond all floats"),
        (b'"seed": 1', b'"seed": ' + b"9" * 5000, "an integer of 5000 characters"),
        (b'"seed": 1', b'"seed": 9223372036854775808', "an integer from -9223372036854775807"),
        (b'"seed": 1', b'"seed": 1.0', "an integer from"),
        (b'"seed": 1', b'"seed": true', "an integer from"),
        (b'"seed": 1', b'"seed": ' + b"[" * 100_000, "brackets nested without end"),
        (b'"algorithm": "A"', b'"algorithm": "\xff"', "complete JSON in UTF-8"),
        (b'"reward": 1.5', b'"reward": {}', "a number, a text or a list of these"),
        (b'"arguments": {', b'"arguments": {"hidden": 1, ', r"see \['hidden'\]"),
        (b'"n_heads": 2', b'"n_heads": 3', "`d_model` must be a multiple of `n_heads` = 3, got 4"),
        (b'"n_layers": 1', b'"n_layers": 257', "an integer from 1 to 256"),
        (b'"adam_eps": 1e-05', b'"adam_eps": 0', "a number above 0"),
        (b'"positions": "rotary"', b'"positions": "sinus"', "one of learned, rotary"),
        (b'"positions": "rotary"', b'"positions": 1', "one of learned, rotary"),
        (b'"format_version": 3', b'"format_version": 2', r"see \['critic_only', 'positions'\]"),
        (b'"format_version": 3', b'"format_version": 1', r"see \['positions'\]"),
        (b'"format_version": 3', b'"format_version": 1.0', "an integer"),
        (b'"log_std_init": 0.0', b'"log_std_init": 1e40', "a number within"),
        (b'"n": 3', b'"n": 4', "the bytes|F32 of shape"),
    ],
)
def test_no_liberty_is_taken_with_json(folder, old, new, message):
    file = folder / "policy.json"
    content = file.read_bytes()
    assert content.count(old) == 1
    file.write_bytes(content.replace(old, new))
    name = "policy.safetensors" if "F32" in message else "policy.json"
    refused(folder, name, message)


def test_an_error_is_one_plain_line_of_moderate_length(folder):
    edit(folder, policy="ä\u202e\n\x1b[2J" + "x" * 100_000)
    message = refused(folder, "policy.json")
    shown = message.replace(str(folder), "")
    assert shown.isascii() and shown.isprintable()
    assert len(shown) < 300


# -------------------------------------------------------------------- tensors


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused(folder, bad):
    changed_tensors(folder, lambda tensors: tensors["critic.head.bias"].fill_(bad))
    refused(folder, "policy.safetensors", "finite numbers in critic.head.bias, got NaN or inf")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("actor.head.bias"), r"hold the \d+ tensors .*'actor.head.bias'"),
        (lambda t: t.update(more=th.zeros(1)), r"hold the \d+ tensors .*'more'"),
        (lambda t: t.update({"actor.head.bias": th.zeros(4)}), r"F32 of shape \[3\], got F32 of"),
        (lambda t: t.update({"actor.head.bias": th.zeros(3).double()}), r"shape \[3\], got F64"),
        (lambda t: t.update({"actor.head.bias": th.zeros(3, 1)}), r"got F32 of shape \[3, 1\]"),
        (lambda t: t.update({"actor.head.bias": th.zeros(0, 2**40)}), r"got F32 of shape \[0, "),
    ],
)
def test_tensors_that_are_not_the_policys_are_refused(folder, change, message):
    changed_tensors(folder, change)
    refused(folder, "policy.safetensors", message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (rb'("critic\.head\.bias":\{.*?\})', rb"\1,\1", "one key twice"),
        (rb'("critic\.head\.bias":\{)', rb'\1"more":1,', r"see \['more'\]"),
        (rb"^\{", rb'{"__metadata__":{"note":"x"},', r"see \['__metadata__'\]"),
    ],
)
def test_headers_hold_each_tensor_once_and_nothing_else(folder, old, new, message):
    weights = (folder / "policy.safetensors").read_bytes()
    length = int.from_bytes(weights[:8], "little")
    header = re.sub(old, new, weights[8 : 8 + length])
    weights = len(header).to_bytes(8, "little") + header + weights[8 + length :]
    safetensors.torch.load(weights)  # the format itself lets it pass
    reseal(folder, weights)
    refused(folder, "policy.safetensors", message)
