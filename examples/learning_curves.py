"""Draw learning curves of runs side by side: `metrics.csv` of `rl3 train`, or any two-column CSV.

    python examples/learning_curves.py curves.png "Frozen lakes" RL2=runs/lake-rl2/metrics.csv
        RL3=runs/lake-rl3/metrics.csv --oracle 28

Drawn is the mean total reward of a rollout's meta-episodes (thin), and its mean over nine rollouts.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

# The names that `rl3 train` gives its columns; other files: the first two columns.
STEPS, RETURN = "time/total_timesteps", "rollout/ep_rew_mean"
COLOURS = ["#d55e00", "#0072b2", "#009e73", "#cc79a7"]  # Okabe and Ito's
WINDOW = 9

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("picture", nargs="?", default="learning_curves.png")
parser.add_argument("title", nargs="?", default="Meta-training")
parser.add_argument("curves", nargs="*", metavar="NAME=FILE")
parser.add_argument("--oracle", type=float, help="what an agent gets that knows the tasks")
parser.add_argument("--smoke", action="store_true", help="two made-up curves")
args = parser.parse_args()


def read(file):
    """Return steps and returns of a CSV file."""
    with Path(file).open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    steps, returns = (STEPS, RETURN) if RETURN in rows[0] else list(rows[0])[:2]
    return np.array([[float(row[steps]), float(row[returns])] for row in rows if row[returns]]).T


if args.smoke:
    x = np.linspace(0, 3, 40)
    curves = {"RL2": (1e5 * x, 1 - np.exp(-x)), "RL3": (1e5 * x, 2 - np.exp(-x))}
else:
    curves = {name: read(file) for name, file in (curve.split("=", 1) for curve in args.curves)}
figure = Figure(figsize=(6, 4), layout="constrained")
axes = figure.subplots()
for colour, (name, (steps, returns)) in zip(COLOURS, curves.items(), strict=False):
    axes.plot(steps / 1000, returns, color=colour, alpha=0.25, linewidth=1)
    smooth = np.convolve(returns, np.ones(WINDOW) / WINDOW, "valid")
    axes.plot(steps[WINDOW - 1 :] / 1000, smooth, color=colour, label=name)
    print(f"{name}: {smooth[-1]:.2f} over the last {WINDOW} rollouts, {steps[-1]:,.0f} steps")
if args.oracle is not None:
    axes.axhline(args.oracle, color="black", linestyle="--", linewidth=1, label="oracle")
axes.set(
    title=args.title, xlabel="training steps (thousands)", ylabel="total reward", ylim=(0, None)
)
axes.spines[["top", "right"]].set_visible(False)
axes.legend(frameon=False)
figure.savefig(args.picture, dpi=150)
