import io

from rich.console import Console
from rich.progress import Progress

from rl3_sb3.experiments.sweeps.specification import parse_sweep
from rl3_sb3.experiments.sweeps.watching import SweepBars

SWEEP = b"""
algorithms = ["rl2", "rl3"]
seeds = [0]
domains = ["bandit"]
settings = {iterations = 2, n_envs = 5}
horizons = [10]
"""


def test_without_a_terminal_a_sweep_gives_a_sign_of_life_a_minute(tmp_path):
    now = 0.0
    file = io.StringIO()
    progress = Progress(console=Console(file=file), get_time=lambda: now)
    bars = SweepBars(progress, parse_sweep(SWEEP, "sweep"), tmp_path)
    for moment in (30.0, 70.0, 100.0):
        now = moment
        bars.look()
    assert file.getvalue() == "0 of 2 cells, 0 of 200 steps\n"
