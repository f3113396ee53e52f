"""Printing and reading where terminals, pipes and editors are not as on this machine."""

import codecs
import importlib.util
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rl3_sb3.experiments.output import printable
from rl3_sb3.experiments.sweeps.specification import parse_sweep

TEXT = "RL² 1.0 ± 0.5 → RL³ … 漢"
PLAIN = "RL2 1.0 +- 0.5 -> RL3 ... ?"


def process(code, *, stdout=subprocess.PIPE, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
    )


@pytest.mark.parametrize("encoding", ["ascii", "gbk", "shift-jis", "cp1251", "cp437", "koi8-r"])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_signs_that_an_encoding_lacks_are_plain_and_the_others_stay(monkeypatch, encoding, stream):
    room = io.BytesIO()
    written = io.TextIOWrapper(room, encoding=encoding, write_through=True)
    monkeypatch.setattr(sys, stream, written)
    with printable():
        print(TEXT, end="", file=written)
    assert written.errors == "strict"
    expected = "".join(
        {"²": "2", "³": "3", "±": "+-", "→": "->", "…": "..."}.get(sign, "?")
        if not can_encode(sign, encoding)
        else sign
        for sign in TEXT
    )
    assert room.getvalue().decode(encoding) == expected
    if encoding == "ascii":
        assert expected == PLAIN


def can_encode(sign, encoding):
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def test_utf8_is_written_as_it_is_and_file_names_that_are_none_as_their_bytes(monkeypatch):
    room = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(room, encoding="utf-8"))
    name = os.fsdecode(b"caf\xe9")
    with printable():
        print(TEXT, name)
        sys.stdout.flush()
    assert room.getvalue() == TEXT.encode() + b" caf\xe9" + os.linesep.encode()


def test_what_the_user_chose_for_missing_signs_stays(monkeypatch):
    room = io.BytesIO()
    chosen = io.TextIOWrapper(room, encoding="ascii", errors="replace", write_through=True)
    monkeypatch.setattr(sys, "stdout", chosen)
    with printable():
        print("±", end="")
    assert room.getvalue() == b"?"


MAIN = """
import sys
from rl3_sb3.experiments import cli
from rl3_sb3.experiments.commands import table
table._table = lambda options: print({text}{more})
sys.exit(cli.main(["table", "anywhere"]))
"""


@pytest.mark.parametrize("encoding", ["ascii", "gbk"])
def test_a_command_ends_well_in_every_encoding(encoding):
    done = process(MAIN.format(text="'1 ± 2'", more=""), PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode(encoding).strip() in ("1 ± 2", "1 +- 2")


@pytest.mark.skipif(os.name != "posix", reason="no SIGPIPE")
@pytest.mark.parametrize("length", [1, 1_000_000])
@pytest.mark.parametrize("more", ["", ", file=sys.stderr"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8:replace"])
def test_a_closed_pipe_ends_a_command_quietly(length, more, encoding):
    """Little output meets the pipe only when it is flushed, at the end."""
    read, write = os.pipe()
    os.close(read)
    code = MAIN.format(text=f"'x' * {length}", more=more)
    if more:  # the reader of both has gone, as after `2>&1 | head`
        code = "import os\nos.dup2(1, 2)\n" + code
    done = process(code, stdout=write, PYTHONUNBUFFERED="", PYTHONIOENCODING=encoding)
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 128 + 13


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("length", [1, 1_000_000])
def test_a_full_disk_behind_the_output_is_one_line(length):
    with open("/dev/full", "wb") as full:
        code = MAIN.format(text=f"'x' * {length}", more="")
        done = process(code, stdout=full, PYTHONUNBUFFERED="")
    assert done.returncode == 2
    for line in done.stderr.decode().splitlines():
        assert line.startswith("rl3: error: ") and line.endswith("No space left on device")


@pytest.mark.parametrize("backend", ["module://no_such_module", "no-such-backend", "agg"])
def test_figures_are_drawn_whatever_backend_a_notebook_left(tmp_path, backend):
    file = tmp_path / "figure.png"
    code = f"""
import os
from rl3_sb3.experiments.results.figures import Figure
figure = Figure()
figure.subplots().plot([1, 2])
figure.savefig({str(file)!r})
import matplotlib
print(os.environ["MPLBACKEND"], matplotlib.rcParams["backend"])
"""
    done = process(code, MPLBACKEND=backend)
    assert done.returncode == 0, done.stderr.decode()
    assert file.stat().st_size > 1000
    kept, used = done.stdout.decode().split()
    assert kept == backend
    assert (used == "agg") == (backend == "agg") or used != backend


SWEEP = 'algorithms = ["rl2"]\nseeds = [0]\ndomains = ["bandit"]\n'


@pytest.mark.parametrize(
    "content",
    [
        SWEEP.encode("utf-8-sig"),
        codecs.BOM_UTF16_LE + SWEEP.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + SWEEP.replace("\n", "\r\n").encode("utf-16-be"),
    ],
    ids=["Notepad", "PowerShell", "big-endian"],
)
def test_files_that_begin_with_a_mark_of_their_encoding_are_read(content):
    assert parse_sweep(content, "mine.toml") == parse_sweep(SWEEP.encode(), "mine.toml")


def test_matplotlib_is_imported_in_one_place_only():
    """The others would fail where a notebook's backend is not installed."""
    root = os.path.dirname(importlib.util.find_spec("rl3_sb3").origin)
    importing = [
        file.name
        for file in Path(root).rglob("*.py")
        if re.search(r"^\s*(import|from) matplotlib", file.read_text(encoding="utf-8"), re.M)
    ]
    assert importing == ["drawing.py"]
