"""Do values help any base algorithm, not only ours?

    python examples/studies/base_algorithms.py              from the stored records
    python examples/studies/base_algorithms.py --train      train what is missing
    python examples/studies/base_algorithms.py --measure    count what a step costs again

Each algorithm is trained twice in the same tasks, equally many steps: with the values, advantages
and counts of `vamdp.ValueAugment` in its observations, and without. Ours are PPO with a transformer
(RL2, RL3; the runs of learners.py) and with an LSTM. sb3-contrib's RecurrentPPO and
Stable-Baselines3's DQN are stock classes on the very same environments. They learn from the same
signal as ours; their settings are the libraries' defaults but for those named below, the same with
and without values.

DQN remembers nothing: without values it can only act on what one observation holds. It learns
off-policy, from a tenth of the steps.
"""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sb3_contrib import RecurrentPPO
from stable_baselines3 import DQN

from rl3_sb3.experiments.drawing import Figure
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.evaluation.scores import mean_and_error
from rl3_sb3.experiments.results.labels import tasks_title
from rl3_sb3.experiments.results.table import aligned, mean_label
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.studies.figures import by_tasks, seeds_means, signal_note
from rl3_sb3.experiments.studies.runs import joined, read_runs, write_runs
from rl3_sb3.experiments.studies.script import Study, run_study
from rl3_sb3.experiments.studies.stock import StockAlgorithm, train_stock

HERE = Path(__file__).resolve().parent
TRANSFORMER_RUNS = HERE / "records" / "learners_runs.json"
WITH, WITHOUT = "with values", "without"
SEEDS = (0, 1, 2)
KINDS = (
    ("random-mdp", None, {"recipe": "ours", "iterations": 80}),
    ("frozen-lake", 4, {"recipe": "paper", "iterations": 40}),
)
H = 100
STOCK = (
    StockAlgorithm(
        name="recurrent-ppo",
        title="RecurrentPPO (sb3-contrib)",
        make=RecurrentPPO,
        policy="MlpLstmPolicy",
        # Whole meta-episodes, an LSTM as wide as ours; the rest are its defaults.
        settings={
            "n_steps": H,
            "batch_size": 2000,
            "n_epochs": 4,
            "ent_coef": 0.01,
            "policy_kwargs": {"lstm_hidden_size": 64},
        },
    ),
    StockAlgorithm(
        name="dqn",
        title="DQN (Stable-Baselines3)",
        make=DQN,
        policy="MlpPolicy",
        settings={
            "buffer_size": 100_000,
            "learning_starts": 5_000,
            "batch_size": 256,
            "train_freq": 1,
            "gradient_steps": 8,
            "target_update_interval": 500,
            "learning_rate": 1e-3,
            "exploration_fraction": 0.5,
        },
        share_of_steps=0.1,
    ),
)
OURS = (
    ("PPO, transformer (ours)", ("rl2", "none"), ("rl3", "model-based")),
    ("PPO, LSTM (ours)", ("rl2-lstm", ""), ("rl3-lstm", "")),
)


@dataclass(frozen=True)
class Sizes:
    """What can be changed."""

    steps: int = 2000
    """of a batch of environments, timed with and without values in turns"""
    envs: int = 163
    """environments of that batch"""


def train(folder):
    """Train the stock algorithms; return their runs. Finished ones in `folder` are not repeated."""
    runs = []
    for seed in SEEDS:
        for domain, size, settings in KINDS:
            for algorithm in STOCK:
                for variant, algo in ((WITHOUT, "rl2"), (WITH, "rl3")):
                    config = RunConfig.of(
                        domain, algo=algo, size=size, horizon=H, seed=seed, **settings
                    )
                    name = f"{config.kind}-{algorithm.name}-{algo}-s{seed}.json"
                    runs.append(stored(folder / "stock" / name, config, algorithm, variant))
    return runs


def stored(file, config, algorithm, variant):
    """Return a run from its file; train it where there is none."""
    found = read_runs(file)
    if not found:
        print(f"training {file.stem}", flush=True)
        if algorithm.make is DQN:
            # One transition per environment and step: as many as ours would be a batch at once.
            config = replace(config, n_envs=8, iterations=config.total_steps // (8 * H))
        title = f"{algorithm.title}, {variant}"
        found = [train_stock(config, algorithm, title, variant, n_tasks=1000)]
        write_runs(file, found)
    return found[0]


def measure(args, pretrained):
    """Return the microseconds that a step of the environments takes with and without values."""
    rows = []
    for domain, size, settings in KINDS:
        micros = {}
        for _ in range(3):
            for variant, algo in ((WITHOUT, "rl2"), (WITH, "rl3")):
                config = RunConfig.of(domain, algo=algo, size=size, horizon=H, **settings)
                envs, rng = make_envs(config, args.envs), np.random.default_rng(0)
                envs.reset(seed=0)
                start = time.process_time()
                for _ in range(args.steps // H):
                    for _ in range(H):
                        envs.step(rng.integers(envs.single_action_space.n, size=args.envs))
                micros.setdefault(variant, []).append(time.process_time() - start)
        per_step = args.steps // H * H * args.envs / 1e6
        us = {variant: float(np.median(each)) / per_step for variant, each in micros.items()}
        rows.append({"tasks": tasks_title(domain, size, H), **us})
    return {"rows": rows}


def pairs(runs):
    """Yield title, runs without values and runs with values of each base algorithm."""
    transformer = [run for run in read_runs(TRANSFORMER_RUNS) if run.tasks == runs[0].tasks]
    both = joined(runs, transformer)
    for title, *kinds in OURS:
        yield title, *([r for r in both if (r.algo, r.variant) == kind] for kind in kinds)
    for algorithm in STOCK:
        own = [run for run in both if run.algo == algorithm.name]
        yield algorithm.title, *([r for r in own if r.variant == v] for v in (WITHOUT, WITH))


def show(record):
    """Print a line for each base algorithm in each kind of tasks."""
    head = ["base algorithm", "steps", WITHOUT, WITH, "difference", "seeds"]
    for title, runs in by_tasks(record["runs"]).items():
        lines = [line(*each) for each in pairs(runs) if have_a_seed_in_common(*each[1:])]
        print(f"{title}\n\n{aligned(head, lines)}\n\n{signal_note(runs)}\n")
    print(
        "Mean total reward in 1000 held-out tasks, actions sampled (DQN: greedy): mean over the "
        "seeds ± its standard error. `difference` is paired by seed.\n"
    )
    if not record["runs"]:
        print("not trained yet\n")
    lines = [
        [r["tasks"], *(f"{r[variant]:.1f}" for variant in (WITHOUT, WITH))] for r in record["rows"]
    ]
    print(aligned(["microseconds of a step in a batch", WITHOUT, WITH], lines))


def have_a_seed_in_common(without, with_values):
    """Return whether a difference can be paired."""
    return bool({run.seed for run in without} & {run.seed for run in with_values})


def line(title, without, with_values):
    """Return a base algorithm's line of the table."""
    play = "greedy" if without[0].algo == "dqn" else "sampled"
    sides = [{run.seed: run for run in runs} for runs in (without, with_values)]
    both = sorted(sides[0].keys() & sides[1].keys())
    scores = [seeds_means([side[seed] for seed in both], play) for side in sides]
    entries = [mean_label(*mean_and_error(each)) for each in scores]
    difference = mean_label(*mean_and_error(scores[1] - scores[0]))
    return [title, f"{without[0].n_steps / 1e6:.2f} M", *entries, difference, str(len(both))]


def draw(record, file):
    """Draw each algorithm's two scores as a line from without to with values."""
    groups = by_tasks(record["runs"])
    figure = Figure(figsize=(4.6 * max(1, len(groups)), 4), layout="constrained")
    panels = figure.subplots(1, max(1, len(groups)), squeeze=False)[0]
    for axes, (title, runs) in zip(panels, groups.items(), strict=False):
        for i, (name, *kinds) in enumerate(pairs(runs)):
            if not all(kinds):
                continue
            play = "greedy" if kinds[0][0].algo == "dqn" else "sampled"
            scores = [seeds_means(each, play) for each in kinds]
            axes.plot([0, 1], [each.mean() for each in scores], "o-", color=f"C{i}", label=name)
            for x, each in enumerate(scores):
                axes.plot(np.full(len(each), x), each, ".", color=f"C{i}", alpha=0.5)
        random = runs[0].scores["canonical"]["random"].mean
        axes.axhline(random, color="#777777", linestyle=":", label="random")
        axes.set_xticks([0, 1], [WITHOUT, WITH])
        axes.set_xlim(-0.3, 1.3)
        axes.set_title(title)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    panels[0].set_ylabel("total reward, held-out tasks")
    figure.savefig(file, dpi=120)


STUDY = Study(
    title="Do values help any base algorithm?",
    sizes=Sizes(),
    smoke={"steps": 100, "envs": 3},
    measure=measure,
    show=show,
    draw=draw,
    trains=True,
    train=train,
)

if __name__ == "__main__":
    sys.exit(run_study(STUDY, Path(__file__)))
