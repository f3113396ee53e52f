"""How fast agents learn what must be remembered: TransformerPPO beside an LSTM and beside none.

Tasks, none of which can be solved without a memory (the last three are small ones of the kind of
POPGym's, Morad et al. 2023):

    cartpole         CartPole-v1 without its two velocities
    pendulum         Pendulum-v1 without its velocity; actions are real numbers
    repeat-previous  name the symbol shown three steps ago
    repeat-first     name the symbol shown first
    count-recall     say how often one of the kinds has been shown so far, another each time

Agents, all with `N_ENVS` environments, on one thread:

    transformer      TransformerPPO("TransformerPolicy"), its defaults
    lstm             TransformerPPO("LstmPolicy"), its defaults
    memoryless       TransformerPPO("MarkovPolicy"), its defaults: what is lost without a memory
    recurrent-ppo    sb3-contrib's RecurrentPPO, with what RL Baselines3 Zoo has found for CartPole
                     and Pendulum without velocities, see `ZOO`; on the others its defaults

All share the discount, which is the task's. A curve is the mean return of the training episodes
(actions are sampled) that ended in each of `POINTS` equal parts of the steps; seconds are of the
whole process, and tell little where other processes run beside it.

Run:

    python benchmarks/memory.py --out memory                         (hours)
    python benchmarks/memory.py --out memory --tasks cartpole --agents transformer --seeds 0 1
    python benchmarks/memory.py --smoke                              (seconds; no figures)

`curves.csv` in the folder holds all curves; one that is there already is not computed again, so it
can be stopped and go on. Those of docs/memory.md go on with

    python benchmarks/memory.py --out docs/figures/memory --steps 100000
"""

import csv
import dataclasses
import importlib.util
import itertools
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import torch as th
from command_line import parse
from matplotlib.figure import Figure
from memory_tasks import TASKS
from returns import Returns
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecEnv

from rl3_sb3 import TransformerPPO
from rl3_sb3.experiments.results.table import aligned

N_ENVS = 8
POINTS = 30
Rows = list[dict[str, str]]
COLUMNS = ("task", "agent", "seed", "length", "steps", "return", "seconds")

# hyperparams/ppo_lstm.yml of RL Baselines3 Zoo (CartPoleNoVel-v1 and PendulumNoVel-v1, there with
# gSDE), without the discount and with the number of environments that all have here.
ZOO: dict[str, dict[str, Any]] = {
    "cartpole": {
        "n_steps": 32,
        "batch_size": 256,
        "n_epochs": 20,
        "gae_lambda": 0.8,
        "learning_rate": lambda left: 1e-3 * left,
        "clip_range": lambda left: 0.2 * left,
    },
    "pendulum": {"n_steps": 512, "learning_rate": 1e-3},
}
COLOURS = {
    "transformer": "#0072b2",
    "lstm": "#e69f00",
    "memoryless": "#009e73",
    "recurrent-ppo": "#d55e00",
}


@dataclasses.dataclass
class Arguments:
    """Which curves, and where to."""

    tasks: tuple[str, ...] = (
        "cartpole", "pendulum", "repeat-previous", "repeat-first", "count-recall",
    )  # fmt: skip
    """Names of tasks."""
    agents: tuple[str, ...] = ("transformer", "lstm", "memoryless", "recurrent-ppo")
    """Names of agents."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """A curve for each."""
    steps: int = 150_000
    """Of all environments together."""
    jobs: int = 1
    """Processes at a time, each one curve on one thread."""
    out: str = ""
    """Folder of curves.csv and curves.png; left out: a temporary one."""
    only: str = ""
    """Compute this curve in this process, into this file (used by the benchmark)."""
    smoke: bool = False
    """Tiny sizes: only shows that all works."""


# ------------------------------------------------------------------- one curve


def make_agent(name: str, task: str, env: VecEnv, seed: int, *, smoke: bool) -> Any:
    """Return a learner."""
    common: dict[str, Any] = {"gamma": TASKS[task].gamma, "seed": seed, "device": "cpu"}
    if smoke:
        common |= {"n_steps": 32, "n_epochs": 1}
    policies = {
        "transformer": "TransformerPolicy", "lstm": "LstmPolicy", "memoryless": "MarkovPolicy",
    }  # fmt: skip
    if name in policies:
        return TransformerPPO(policies[name], env, **common)
    from sb3_contrib import RecurrentPPO

    return RecurrentPPO("MlpLstmPolicy", env, **{**ZOO.get(task, {}), **common})


def compute(args: Arguments) -> None:
    """Learn, and write one curve; `only` is TASK,AGENT,SEED,FILE."""
    task, agent, seed, file = args.only.split(",", 3)
    th.set_num_threads(1)
    env = make_vec_env(TASKS[task].make, N_ENVS, seed=1000 * int(seed))
    model = make_agent(agent, task, env, int(seed), smoke=args.smoke)
    returns, start = Returns(), time.perf_counter()
    model.learn(args.steps, returns)
    seconds = time.perf_counter() - start
    rows = [
        [task, agent, seed, args.steps, round(args.steps * (i + 1) / POINTS), mean, round(seconds)]
        for i, mean in enumerate(returns.means(args.steps, POINTS))
        if not math.isnan(mean)
    ]
    with Path(file).open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])


# ------------------------------------------------------------------- all curves


def missing(args: Arguments, rows: Rows) -> Iterator[str]:
    """Yield the curves that are not among the rows."""
    there = {tuple(row[name] for name in COLUMNS[:3]) for row in of_length(args, rows)}
    for task, agent, seed in itertools.product(args.tasks, args.agents, args.seeds):
        if (task, agent, str(seed)) not in there:
            yield f"{task},{agent},{seed}"


def of_length(args: Arguments, rows: Rows) -> Rows:
    """Return the rows of curves of the length that was asked for."""
    return [row for row in rows if row["length"] == str(args.steps)]


def run_one(args: Arguments, name: str) -> Rows:
    """Compute one curve in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "curve.csv")
        command = [sys.executable, __file__, "--only", f"{name},{file}", "--steps", str(args.steps)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command + ["--smoke"] * args.smoke, env=environment, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"the curve {name} failed:\n{done.stderr}")
        print(f"{name} is done", flush=True)
        return read(file)


def read(file: Path) -> Rows:
    """Return the rows of a file of curves; none if there is no file."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def write(rows: Rows, file: Path) -> None:
    """Replace a file of curves, as a whole or not at all."""
    part = file.with_suffix(".part")
    with part.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: [row[name] for name in COLUMNS[:4]]))
    part.replace(file)


def curves_of(rows: Rows, task: str, agent: str) -> list[Rows]:
    """Return the curves of all seeds."""
    own = [row for row in rows if (row["task"], row["agent"]) == (task, agent)]
    seeds = sorted({row["seed"] for row in own}, key=int)
    return [[row for row in own if row["seed"] == seed] for seed in seeds]


def table(rows: Rows) -> str:
    """Return the mean return over the last tenth, the best point and the time, seed by seed."""
    lines = []
    for task, agent in itertools.product(TASKS, COLOURS):
        curves = curves_of(rows, task, agent)
        returns = [[float(row["return"]) for row in curve] for curve in curves]
        if returns:
            last = [rounded(statistics.fmean(r[-max(1, POINTS // 10) :])) for r in returns]
            best = [rounded(max(r)) for r in returns]
            seeds = [curve[0]["seed"] for curve in curves]
            seconds = [curve[0]["seconds"] for curve in curves]
            lines.append([task, agent, *(", ".join(each) for each in (seeds, last, best, seconds))])
    return aligned(["task", "agent", "seeds", "last tenth", "best point", "seconds"], lines)


def rounded(x: float) -> str:
    """Return a number with three digits, or all of those before the point."""
    return f"{x:.3g}" if abs(x) < 1000 else f"{x:.0f}"


def draw(rows: Rows, file: Path) -> None:
    """Draw the mean curve of each agent, and those of its seeds thinly."""
    tasks = [task for task in TASKS if any(row["task"] == task for row in rows)]
    figure = Figure(figsize=(3.6 * len(tasks), 3.4), layout="constrained")
    for axes, task in zip(np.ravel(figure.subplots(1, len(tasks))), tasks, strict=True):
        axes.axhline(TASKS[task].best, color="#777777", linestyle=":")
        for agent, colour in COLOURS.items():
            points: dict[float, list[float]] = {}
            for curve in curves_of(rows, task, agent):
                steps = [float(row["steps"]) / 1000 for row in curve]
                returns = [float(row["return"]) for row in curve]
                axes.plot(steps, returns, color=colour, linewidth=0.6, alpha=0.4)
                for at, value in zip(steps, returns, strict=True):
                    points.setdefault(at, []).append(value)
            if points:
                means = [statistics.fmean(points[at]) for at in sorted(points)]
                axes.plot(sorted(points), means, color=colour, linewidth=2, label=agent)
        axes.set_title(task)
        axes.set_xlabel("thousands of steps")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("return of training episodes")
    figure.axes[0].legend(frameon=False)
    figure.savefig(file, dpi=150)


def main(args: Arguments) -> None:
    """Compute the curves that are missing; print and draw all."""
    if args.only:
        compute(args)
        return
    for names, known in ((args.tasks, TASKS), (args.agents, COLOURS)):
        if not set(names) <= set(known):
            sys.exit(f"known are {', '.join(known)}, got {', '.join(names)}")
    if args.smoke:
        args = dataclasses.replace(
            args, tasks=("cartpole", "count-recall"), seeds=(0,), steps=512, jobs=2
        )
    if importlib.util.find_spec("sb3_contrib") is None and "recurrent-ppo" in args.agents:
        print("recurrent-ppo is left out: it needs sb3-contrib (pip install sb3-contrib)")
        others = tuple(agent for agent in args.agents if agent != "recurrent-ppo")
        args = dataclasses.replace(args, agents=others)
    folder = Path(args.out or tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    print(f"torch {th.__version__}, one thread a curve, {args.jobs} at a time; into {folder}")
    file = folder / "curves.csv"
    failures = []
    with ThreadPoolExecutor(args.jobs) as pool:
        running = [pool.submit(run_one, args, name) for name in missing(args, read(file))]
        for done in as_completed(running):
            if (error := done.exception()) is not None:
                failures.append(error)
            else:  # another call may have written meanwhile
                write(read(file) + done.result(), file)
    rows = of_length(args, read(file))
    print(f"\n{table(rows)}")
    draw(rows, folder / "curves.png")
    if failures:
        raise failures[0]


if __name__ == "__main__":
    main(parse(Arguments, __doc__))
