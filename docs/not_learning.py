"""Draw the curves of docs/not_learning.md, from short runs that go wrong in one way each.

    python docs/not_learning.py            # from the records, within seconds
    python docs/not_learning.py --train    # trains the short runs again first: minutes of one core

The tasks of the short runs are corridors of nine cells, with the start in the middle: a treasure at
one end pays 1, a trap at the other costs `trap`, and the agent may also stay where it is. H is 40,
so that ten treasures are the most. The agent is RL2's, a transformer that sees no values.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

import vamdp
from rl3_sb3 import GymnasiumVecEnv, TransformerPPO

HERE = Path(__file__).parent
FIGURES = HERE / "figures"
RECORD, LATE_RECORD = FIGURES / "not_learning.json", FIGURES / "not_learning_late.json"
PRETRAINED = HERE.parent / "pretrained"

N_CELLS, HORIZON, N_ENVS = 9, 40, 64
LOGGED = {
    "entropy": ("train/entropy_loss", -1.0),  # SB3 logs minus the entropy
    "KL": ("train/kl", 1.0),
    "actor's epochs": ("train/actor_epochs", 1.0),
}
SMALL = {"d_model": 32, "n_layers": 1, "d_ff": 64, "input_hidden": 64}
USUAL: dict[str, Any] = {
    "learning_rate": 1e-3,
    "ent_coef": 0.01,
    "batch_size": 640,
    "policy_kwargs": SMALL,
    "seed": 0,
}
#: A run's name -> cost of the trap, iterations, and what differs from the usual settings.
RUNS: dict[str, tuple[float, int, dict[str, Any]]] = {
    "usual": (0.0, 20, {}),
    "rate 0.02": (0.0, 20, {"learning_rate": 2e-2}),
    "no brake": (0.0, 20, {"learning_rate": 1e-2, "ent_coef": 0.0, "target_kl": None}),
    "little entropy": (3.0, 50, {}),
    "much entropy": (3.0, 50, {"ent_coef": lambda left: 0.3 * left}),
}
BLUE, RED, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#777777"


def corridors(trap: float) -> vamdp.domains.TaskDistribution:
    """Return the distribution of corridors whose trap costs this much."""

    def draw(rng: np.random.Generator) -> vamdp.TabularMDP:
        P = np.zeros((N_CELLS, 3, N_CELLS))
        for cell in range(1, N_CELLS - 1):
            for action, move in enumerate((0, -1, 1)):
                P[cell, action, cell + move] = 1
        R = np.zeros_like(P)
        R[:, :, [0, N_CELLS - 1]] = rng.permutation([1.0, -trap])
        ends = np.isin(np.arange(N_CELLS), [0, N_CELLS - 1])
        return vamdp.TabularMDP.from_dense(P, R, terminal=ends, start=N_CELLS // 2)

    return draw


class Keep(BaseCallback):
    """Keeps what each iteration logged; what is under LOGGED describes the update before it."""

    def __init__(self) -> None:
        super().__init__()
        self.curves: dict[str, list[float | None]] = {name: [] for name in ("return", *LOGGED)}

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        episodes = list(self.model.ep_info_buffer or ())[-N_ENVS:]
        self.curves["return"].append(float(np.mean([episode["r"] for episode in episodes])))
        for name, (key, sign) in LOGGED.items():
            logged = self.model.logger.name_to_value.get(key)
            self.curves[name].append(None if logged is None else sign * float(logged))


def train(
    trap: float, n_iterations: int, settings: dict[str, Any]
) -> dict[str, list[float | None]]:
    """Train a run; return its curves, a number for each iteration; None: nothing was logged yet."""
    envs = vamdp.TaskVectorEnv(corridors(trap), num_envs=N_ENVS)
    envs = VecMonitor(GymnasiumVecEnv(vamdp.vector.MetaEpisode(envs, horizon=HORIZON)))
    model = TransformerPPO("TransformerPolicy", envs, **{**USUAL, **settings})
    keep = Keep()
    model.learn(n_iterations * N_ENVS * HORIZON, callback=keep, log_interval=n_iterations + 1)
    return keep.curves


def draw_runs(name: str, runs: dict[str, tuple[str, str]], rows: tuple[str, ...]) -> None:
    """Draw some quantities of some runs below each other.

    Args:
        name: Of the picture's file.
        runs: Name of a run -> its label and colour.
        rows: What to draw.
    """
    record = json.loads(RECORD.read_text("utf-8"))
    figure = Figure(figsize=(6.5, 1.7 * len(rows) + 0.4), layout="constrained")
    for axes, row in zip(figure.subplots(len(rows), 1, sharex=True), rows, strict=True):
        for run, (label, colour) in runs.items():
            values = np.array(record[run][row], float)
            steps = HORIZON * N_ENVS / 1000 * np.arange(1, len(values) + 1)
            axes.plot(steps, values, color=colour, label=label)
        axes.set_ylabel(row)
        axes.spines[["top", "right"]].set_visible(False)
        if row == "KL":
            target = axes.axhline(0.02, color="black", linestyle=":", linewidth=1, label="target")
            axes.set_yscale("log")
            axes.legend(handles=[target], frameon=False)
        if row == rows[0]:
            handles = axes.get_lines()
    figure.legend(handles=handles, loc="outside upper center", ncols=len(runs), frameon=False)
    axes.set_xlabel("training steps (thousands)")
    save(figure, name)


def draw_late_start() -> None:
    """Draw the learning curves of long runs on random MDPs; their commands are in the record."""
    figure = Figure(figsize=(6.5, 3.2), layout="constrained")
    axes: Axes = figure.subplots()
    runs = json.loads(LATE_RECORD.read_text("utf-8"))
    for run, colour in zip(runs, (RED, GREEN, BLUE), strict=True):
        steps, returns = np.array(run["curve"]).T
        axes.plot(steps / 1e6, returns, color=colour, label=run["title"])
    axes.set(xlabel="training steps (millions)", ylabel="return")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    save(figure, "not_learning_late")


def draw_greedy() -> None:
    """Draw the reward per step of one published agent, sampled and greedy."""
    record = json.loads((PRETRAINED / "bandit-500-rl3" / "record.json").read_text("utf-8"))
    by_step = record["runs"][0]["by_step"]["canonical"]
    figure = Figure(figsize=(6.5, 3.2), layout="constrained")
    axes: Axes = figure.subplots()
    for play, colour in (("sampled", BLUE), ("greedy", RED)):
        means = np.array(by_step[play]).reshape(50, 10).mean(axis=1)
        axes.plot(np.arange(5, 500, 10), means, color=colour, label=play)
    axes.axhline(0.5, color=GREY, linestyle=":", label="random")
    axes.set(xlabel="pull", ylabel="reward")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    save(figure, "not_learning_greedy")


def save(figure: Figure, name: str) -> None:
    """Write a picture."""
    figure.savefig(FIGURES / f"{name}.png", dpi=120)
    print(FIGURES / f"{name}.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", action="store_true", help="train the short runs again first")
    torch.set_num_threads(1)
    if parser.parse_args().train:
        curves = {}
        for run_name, run in RUNS.items():
            curves[run_name] = train(*run)
            print(run_name, "return", curves[run_name]["return"][-1], flush=True)
        RECORD.write_text(json.dumps(curves, indent=1) + "\n", "utf-8")
    draw_runs(
        "not_learning_steps",
        {
            "usual": ("rate 0.001", BLUE),
            "rate 0.02": ("rate 0.02", RED),
            "no brake": ("rate 0.01, no target for the KL", GREEN),
        },
        ("return", "entropy", "KL", "actor's epochs"),
    )
    draw_runs(
        "not_learning_still",
        {"little entropy": ("coefficient 0.01", RED), "much entropy": ("0.3 falling to 0", BLUE)},
        ("return", "entropy"),
    )
    draw_late_start()
    draw_greedy()
