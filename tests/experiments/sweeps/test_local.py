"""Sweeps in processes of this machine, some of which are killed."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from rl3_sb3.experiments import domains
from rl3_sb3.experiments.cli import main
from rl3_sb3.experiments.runs.run_directory import RunDirectory
from rl3_sb3.experiments.sweeps.cell import Ending
from rl3_sb3.experiments.sweeps.local import LocalWorkers
from rl3_sb3.experiments.sweeps.specification import read_sweep

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="other signals there")

# The longest that a test waits for the end of a command.
PATIENCE = 120.0

# `rl3`, on a machine without Ray.
WITHOUT_RAY = "import sys; sys.modules['ray'] = None; from rl3_sb3.experiments.cli import main;"

# As from a terminal: what a shell starts in the background ignores Ctrl-C, and so do its children.
WITH_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"


def sweep(*arguments):
    return main(["sweep", *map(str, arguments)])


def table_entries(out, column):
    lines = [line for line in (out / "results.md").read_text().splitlines() if line[:1] == "|"]
    return [line.split("|")[column].strip() for line in lines[2:]]


def wait_until(happened):
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def test_a_killed_and_a_terminated_worker_change_nothing_of_the_result(
    longer_sweep, tmp_path, capsys, training_process, assert_uninterrupted
):
    out, cells = tmp_path / "swept", read_sweep(longer_sweep)

    def strike(cell, number):
        os.kill(training_process(out, cell), number)

    strikes = [
        threading.Thread(target=strike, args=each)
        for each in zip(cells, (signal.SIGKILL, signal.SIGTERM), strict=True)
    ]
    for each in strikes:
        each.start()
    assert sweep(longer_sweep, "--out", out, "--jobs", 2, "--save-every", 0) == 0
    for each in strikes:
        each.join()
    text = capsys.readouterr()
    lost = f"lost: {cells[0].name}: its process was killed by signal 9 (Killed); it continues from "
    assert lost in text.err
    assert f"{lost}0 steps" not in text.err
    assert f"stopped: {cells[1].name}; it continues from" in text.err
    assert table_entries(out, 5) == ["", "1", "1", "1", "1", ""]
    assert (out / "results.md").read_text().strip() in text.out
    assert_uninterrupted(cells, out)


def test_a_cell_that_fails_is_reported_at_the_end_and_tried_again_next_time(
    small_sweep, tmp_path, capsys
):
    small_sweep.write_text(small_sweep.read_text().replace('"rl2", "rl3"', '"rl3"'))
    out, (bad, other) = tmp_path / "swept", read_sweep(small_sweep)
    # A file where its folder should be.
    out.mkdir()
    (out / "sweep.toml").write_bytes(small_sweep.read_bytes())
    (out / bad.name).write_text("in the way")
    assert sweep(small_sweep, "--out", out, "--jobs", 2) == 1
    text = capsys.readouterr()
    assert not other.missing_variations(out)
    reason = (out / "errors" / f"{bad.name}.txt").read_text().splitlines()[0]
    assert "must be a new folder, an empty one or a run's" in reason
    assert f"rl3: error: {bad.name}: {reason}" in text.err
    assert f"- {bad.name} failed: {reason}" in text.out
    assert table_entries(out, 5) == ["", "1 of 2", "1 of 2", ""]

    (out / bad.name).unlink()
    before = RunDirectory(out / other.name).checkpoint_file.stat()
    assert sweep(small_sweep, "--out", out) == 0
    assert table_entries(out, 5) == ["", "2", "2", ""]
    assert not (out / "errors" / f"{bad.name}.txt").exists()
    assert RunDirectory(out / other.name).checkpoint_file.stat() == before, "it is left alone"


def test_only_the_cells_that_are_asked_for_are_run(small_sweep, tmp_path, capsys):
    out, (cell, *others) = tmp_path / "swept", read_sweep(small_sweep)
    assert sweep(small_sweep, "--out", out, "--jobs", 1, "--only", "nothing-*") == 2
    assert f"got 'nothing-*'; there are {cell.name}, {others[0].name}," in capsys.readouterr().err
    assert not out.exists()
    assert sweep(small_sweep, "--out", out, "--jobs", 1, "--only", f"*{cell.name[5:]}") == 0
    assert not cell.missing_variations(out)
    text = capsys.readouterr().out
    assert f"- {len(others)} that --only left out, listed in " in text
    (table,) = out.glob("*.md")
    for other in others:
        assert not (out / other.name).exists()
        assert f"- {other.name}: 0 of" in table.read_text(encoding="utf-8")
        assert other.name not in text


def test_only_may_be_repeated_and_each_pattern_must_match(small_sweep, tmp_path, capsys):
    out, cells = tmp_path / "swept", read_sweep(small_sweep)
    first, last = cells[0], cells[-1]
    words = ["--out", out, "--jobs", 1, "--only", first.name, "--only"]
    assert sweep(small_sweep, *words, "nothing-*") == 2
    assert "`--only` must match the name of a cell, got 'nothing-*'" in capsys.readouterr().err
    assert sweep(small_sweep, *words, last.name) == 0
    assert capsys.readouterr().out.endswith("\nof those asked for, 2 of 2 are complete\n")
    assert [not cell.missing_variations(out) for cell in cells] == [
        cell in (first, last) for cell in cells
    ]


def test_a_name_that_another_domains_module_registers_is_known_to_the_workers(
    tmp_path, monkeypatch
):
    (tmp_path / "registering.py").write_text(
        "from rl3_sb3 import Domain, register_domain\n"
        "from vamdp.domains import Bandits\n"
        "two = Domain(title='Two arms', tasks=Bandits(n_arms=2), task_horizon=1)\n"
        "register_domain('two-arms-of-a-module', two)\n"
    )
    (tmp_path / "sweep.toml").write_text(
        'algorithms = ["rl2"]\nseeds = [0]\nhorizons = [6]\n'
        'domains = ["registering:two", "two-arms-of-a-module"]\n'
        "[settings]\niterations = 1\nn_envs = 4\nbatch_size = 12\n[evaluation]\ntasks = 2\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(domains, "DOMAINS", dict(domains.DOMAINS))
    try:
        assert sweep("sweep.toml", "--out", "out", "--jobs", 1) == 0
    finally:
        sys.modules.pop("registering", None)


def test_ctrl_c_does_not_reach_a_worker_that_still_imports(order, make_cell, capfd):
    with LocalWorkers(order) as workers:
        workers.start(make_cell())
        (process,) = multiprocessing.active_children()
        os.kill(process.pid, signal.SIGINT)
        ((_, outcome),) = workers.wait(PATIENCE)
    assert outcome.ending is Ending.COMPLETE, outcome
    assert "KeyboardInterrupt" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.slow)]
)
def test_a_sweep_that_is_interrupted_or_killed_goes_on_with_the_same_command(
    held_sweep, tmp_path, training_process, assert_uninterrupted, number
):
    out, cells = tmp_path / "swept", read_sweep(held_sweep)
    arguments = ["sweep", str(held_sweep), "--out", str(out), "--jobs", "2"]
    command = subprocess.Popen(
        [sys.executable, "-c", f"{WITHOUT_RAY} {WITH_CTRL_C} sys.exit(main())", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C reaches all of its processes
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )

    # Cells stand still midway until all know that the sweep has ended: none can complete before.
    def hold(cell):
        process = training_process(out, cell)
        os.kill(process, signal.SIGSTOP)
        return process

    try:
        with ThreadPoolExecutor(len(cells)) as pool:
            held = list(pool.map(hold, cells))
        if number == signal.SIGINT:
            os.killpg(command.pid, number)
            wait_until(lambda: not list(out.glob(".driver-*")))
        else:
            command.kill()
            command.wait(PATIENCE)
        for process in held:
            os.kill(process, signal.SIGCONT)
        text, _ = command.communicate(timeout=PATIENCE)  # when all that write there have ended
    finally:
        with suppress(ProcessLookupError):  # nobody is left, unless the test has failed
            os.killpg(command.pid, signal.SIGKILL)
    if number == signal.SIGINT:
        assert command.returncode == 128 + number, text
        assert f"- {cells[0].name}: " in text, "what is missing is said"
    for cell in cells:  # without the default's 60 seconds between checkpoints: asked to
        n_steps, _ = cell.progress(out)
        assert 4 * 24 <= n_steps < cell.config.total_steps, text
    assert main(arguments) == 0
    assert_uninterrupted(cells, out)
