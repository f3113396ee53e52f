import io

from rich.console import Console
from rich.progress import Progress

from rl3_sb3.experiments.runs.progress import RunBar, SignsOfLife, reward_label, step_progress
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
        f"{CONFIG.title}: {n_steps} of 1,000 steps, total reward 2.5" for n_steps in (61, 122)
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


def test_the_times_of_a_long_run_fit_a_terminal_of_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    progress = step_progress()
    for reward in ("", reward_label(-144.9)):
        progress.add_task("2 of 2 cells", total=9_024_000, completed=9_024_000, reward=reward)
    with progress.console.capture() as captured:
        progress.console.print(progress)
    lines = captured.get().splitlines()
    assert len(lines) == 2
    assert all("9,024,000 of 9,024,000 steps" in line and "0:00:00" in line for line in lines)
