import io

import numba
import pytest
from rich.console import Console
from rich.progress import Progress

from rl3_sb3.experiments.runs.compiling import COMPILING, says_compiling
from rl3_sb3.experiments.runs.progress import (
    RunBar,
    SignsOfLife,
    play_bar,
    reward_label,
    step_progress,
)
from rl3_sb3.experiments.settings.run_config import RunConfig

CONFIG = RunConfig.of("bandit", horizon=10, n_envs=10, iterations=10)


def test_a_bar_goes_on_where_the_run_is_and_times_what_is_new():
    now = 0.0
    progress = Progress(console=Console(file=io.StringIO()), get_time=lambda: now)
    bar = RunBar(progress, CONFIG, 800)
    (task,) = progress.tasks
    assert (task.completed, task.total) == (800, 1000)
    bar.show(850, 1.0)
    now = 10.0
    bar.show(900, 1.0)
    assert task.time_remaining == 20  # 50 steps took 10 seconds


def test_a_complete_run_has_a_full_bar():
    progress = Progress(console=Console(file=io.StringIO()))
    RunBar(progress, CONFIG, 1000)
    assert progress.tasks[0].percentage == 100


def test_without_a_terminal_a_run_gives_a_sign_of_life_a_minute():
    now = 0.0
    file = io.StringIO()
    progress = Progress(console=Console(file=file), get_time=lambda: now)
    bar = RunBar(progress, CONFIG, 0)
    for moment in (1, 59, 61, 62, 120, 122):
        now = float(moment)
        bar.show(moment, 2.5)
    lines = file.getvalue().splitlines()
    assert lines == [
        f"{CONFIG.title}: {n_steps} of 1,000 steps, total reward 2.50" for n_steps in (61, 122)
    ]


def test_a_terminal_has_bars_and_no_lines():
    now = 0.0
    file = io.StringIO()
    signs = SignsOfLife(Console(file=file, force_terminal=True), lambda: now)
    now = 100.0
    signs.say_if_due("alive")
    assert file.getvalue() == ""


def test_a_terminal_that_cannot_draw_has_lines_and_they_are_printed_as_they_are():
    now = 0.0
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, _environ={"TERM": "dumb"})
    signs = SignsOfLife(console, lambda: now)
    now = 100.0
    signs.say_if_due("[red]x:100:")
    assert file.getvalue() == "[red]x:100:\n"


@pytest.mark.parametrize("name", ["RL³", "random-mdp-h100-rl3-linear-with-a-long-name-s0"])
def test_a_long_run_on_80_columns_keeps_its_steps_reward_and_time_left(monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "80")
    now = 0.0
    progress = step_progress()
    progress.get_time = lambda: now
    bar = progress.add_task(name, total=163_840_000, reward=reward_label(-144.9))
    for n in (1, 2):  # iterations of 20 minutes
        now = 1200.0 * n
        progress.update(bar, completed=400_000 * n)
    with progress.console.capture() as captured:
        progress.console.print(progress)
    (line,) = captured.get().splitlines()
    # 163.04 million steps are left, 1.2 million take an hour.
    assert line.rstrip().endswith("0.80 of 163.84 M steps reward -144.9 40:00, 135h left")
    assert len(line) <= 80
    assert line.startswith(name[:8])


def test_a_complete_run_shows_how_long_it_took(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    now = 0.0
    progress = step_progress()
    progress.get_time = lambda: now
    bar = progress.add_task("RL³", total=64_000, reward="")
    now = 61.0
    progress.update(bar, completed=64_000)
    with progress.console.capture() as captured:
        progress.console.print(progress)
    assert captured.get().split()[-5:] == ["64,000", "of", "64,000", "steps", "1:01"]


def test_agents_that_play_have_a_bar_on_a_terminal_and_nothing_elsewhere(monkeypatch, capsys):
    with play_bar(4) as (report, stepped):
        report("RL³, sampled")
        stepped()
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal then
    with play_bar(4) as (report, stepped):
        report("RL³, sampled")
        stepped()
        stepped()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "RL³, sampled" in captured.err


def test_compiling_is_said_once_and_reading_from_disk_never(capsys):
    def double(x):
        return x + x

    with says_compiling():
        compiled = numba.njit(double)
        compiled(1)
        compiled(1.0)
    assert capsys.readouterr().err == f"{COMPILING}\n"
    with says_compiling():
        compiled(1)
    numba.njit(double)(1)
    assert capsys.readouterr().err == ""
