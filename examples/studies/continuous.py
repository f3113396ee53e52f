"""Do values help where states are real numbers, and which: of bins, of a kernel model, linear ones?

    python examples/studies/continuous.py              from the stored records
    python examples/studies/continuous.py --measure    costs and values alone: minutes on one core
    python examples/studies/continuous.py --train      train what is missing; `--help` says the cost

RL2 and RL3 are trained with the same settings and equally many steps in four families of tasks.
RL3's values come from the paper's model on binned states, from a kernel model, or from least
squares on random features; all see the true state.

Without any network: `values alone` is the total reward of who takes the action of the largest
advantage shown, one action in ten at random. Where that is no better than the random policy, an
outer learner has little to learn from the values.

`us per step` is the CPU time of one step of one environment in a batch, values included, in turns.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from rl3_sb3.experiments.algorithms import ALGORITHMS
from rl3_sb3.experiments.domains import CANONICAL
from rl3_sb3.experiments.drawing import Figure
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.evaluation.evaluation import play
from rl3_sb3.experiments.evaluation.scores import mean_and_error
from rl3_sb3.experiments.results.labels import tasks_title
from rl3_sb3.experiments.results.table import aligned, mean_label
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.studies.figures import by_tasks, draw_runs, runs_table
from rl3_sb3.experiments.studies.script import Study, run_study
from vamdp.baselines import RandomAgent
from vamdp.inner_env import find_owner

DOMAINS = ("half-circle", "cartpole", "mountain-car", "acrobot")
ALGOS = ("rl2", "rl3", "rl3-kernel", "rl3-linear")
COLOURS = {row.title: row.colour for row in ALGORITHMS.values()}


@dataclass(frozen=True)
class Sizes:
    """What can be changed."""

    tasks: int = 100
    """held-out tasks in which values act alone"""
    envs: int = 32
    """environments of a batch that is timed"""
    rounds: int = 3
    """turns; the median counts"""


class OnValues:
    """Takes the action of the largest advantage shown; one in ten is random.

    Args:
        layout: Where the parts of an observation are.
    """

    sees: ClassVar[Literal["observations"]] = "observations"
    title = "values alone"

    def __init__(self, layout):
        self._part = layout["advantage"]

    def start(self, n_tasks, seed):
        """Begin meta-episodes."""
        self._rng = np.random.default_rng(seed)

    def act(self, seen):
        """Choose actions, (n_tasks,); ties are broken at random."""
        advantages = seen[:, self._part]
        noise = self._rng.random(advantages.shape)
        best = np.where(advantages == 0.0, noise, -1.0).argmax(axis=1)
        return np.where(self._rng.random(len(seen)) < 0.1, noise.argmax(axis=1), best)

    def learn(self, *transition):
        """Do nothing: the observations hold the values."""


def measure(args, pretrained):
    """Return a row for each algorithm in each domain."""
    rows = []
    for domain in DOMAINS:
        configs = {algo: RunConfig.of(domain, algo=algo, recipe="ours") for algo in ALGOS}
        us = microseconds(configs, args)
        for algo, config in configs.items():
            envs = make_envs(config, 1)
            agent = RandomAgent(int(envs.single_action_space.n))
            if config.estimator is not None:
                agent = OnValues(find_owner(envs, "layout").layout)
            score = play(config, agent, n_tasks=args.tasks, variation=CANONICAL)
            rows.append(
                {
                    "tasks": tasks_title(domain, None, config.horizon),
                    "agent": config.title,
                    "us": us[algo],
                    "ratio": us[algo] / us["rl2"],
                    "alone": mean_and_error(score.returns),
                }
            )
        print(f"measured {domain}", flush=True)
    return {"rows": rows}


def microseconds(configs, args):
    """Return the time of a step of each kind of environments under random actions."""
    seconds = {algo: [] for algo in configs}
    for i in range(args.rounds + 1):  # the first compiles
        for algo, config in configs.items():
            envs, rng = make_envs(config, args.envs), np.random.default_rng(i)
            envs.reset(seed=i)
            start = time.process_time()
            for _ in range(config.horizon):
                envs.step(rng.integers(envs.single_action_space.n, size=args.envs))
            if i > 0:
                seconds[algo].append((time.process_time() - start) / args.envs / config.horizon)
    return {algo: 1e6 * float(np.median(each)) for algo, each in seconds.items()}


def show(record):
    """Print returns, then costs and what the values are worth alone, for each family."""
    for title, runs in by_tasks(record["runs"]).items():
        print(f"{title}, trained\n\n{runs_table(runs)}\n")
    head = ["values of", "us per step", "over RL²", "values alone"]
    for title in dict.fromkeys(row["tasks"] for row in record["rows"]):
        lines = [
            [
                "none (RL²; random policy)" if row["ratio"] == 1.0 else row["agent"],
                f"{row['us']:.0f}",
                f"{row['ratio']:.2f}x",
                mean_label(*row["alone"]),
            ]
            for row in record["rows"]
            if row["tasks"] == title
        ]
        print(f"{title}, values without a network\n\n{aligned(head, lines)}\n")


def draw(record, file):
    """Draw the learning curves of each family."""
    groups = by_tasks(record["runs"])
    titles = list(dict.fromkeys(row["tasks"] for row in record["rows"]))
    figure = Figure(figsize=(9, 7.2), layout="constrained")
    for axes, title in zip(figure.subplots(2, 2).ravel(), titles, strict=True):
        runs = groups.get(title, [])
        draw_runs(axes, runs, COLOURS)
        axes.set_title(title)
        axes.set_ylabel("total reward")
        if runs:
            axes.legend(frameon=False, fontsize=8)
    figure.savefig(file, dpi=120)


STUDY = Study(
    title="Do values help where states are real numbers?",
    sizes=Sizes(),
    smoke={"tasks": 2, "envs": 2, "rounds": 1},
    measure=measure,
    show=show,
    draw=draw,
    trains=True,
)

if __name__ == "__main__":
    sys.exit(run_study(STUDY, Path(__file__)))
