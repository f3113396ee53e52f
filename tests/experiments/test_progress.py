import io

from rich.console import Console
from rich.progress import Progress

from rl3_sb3.experiments.config import RunConfig
from rl3_sb3.experiments.progress import RunBars


def test_a_bar_goes_on_where_the_run_is_and_times_what_is_new():
    config = RunConfig.of("bandit", horizon=10, n_envs=10, iterations=10)
    now = 0.0
    progress = Progress(console=Console(file=io.StringIO()), get_time=lambda: now)
    bars = RunBars(progress, [config], [800])
    (task,) = progress.tasks
    assert (task.completed, task.total) == (800, 1000)
    bars.show(0, 850, 1.0)
    now = 10.0
    bars.show(0, 900, 1.0)
    assert task.time_remaining == 20  # 50 steps took 10 seconds


def test_a_complete_run_has_a_full_bar():
    config = RunConfig.of("bandit", horizon=10, n_envs=10, iterations=10)
    progress = Progress(console=Console(file=io.StringIO()))
    RunBars(progress, [config], [1000])
    assert progress.tasks[0].percentage == 100
