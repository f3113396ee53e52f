"""Draw learning curves of your own files beside each other: two columns, steps and mean returns.

    python examples/learning_curves.py curves.png "MiniGrid" RL2=rl2.csv RL3=rl3.csv --oracle 15.9

Of runs of `rl3 train`, `rl3 curves` draws them by itself; this is how it draws lines. Thin are the
rollouts, thick the means of some around each.
"""

import argparse

import numpy as np
from matplotlib.figure import Figure

from rl3_sb3.experiments.results.curve_lines import draw_levels, draw_seeds, finish
from rl3_sb3.experiments.results.curves import centred_mean, half_window

COLOURS = ["#d55e00", "#0072b2", "#009e73", "#cc79a7"]  # Okabe and Ito's

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("picture", nargs="?", default="learning_curves.png")
parser.add_argument("title", nargs="?", default="Meta-training")
parser.add_argument("curves", nargs="*", metavar="NAME=FILE", help="CSV with a line of names")
parser.add_argument("--oracle", type=float, help="what an agent gets that knows the tasks")
parser.add_argument("--smoke", action="store_true", help="two made-up curves")
args = parser.parse_args()

if args.smoke:
    x = np.linspace(0, 3, 40)
    curves = {"RL2": (1e5 * x, -np.exp(-x)), "RL3": (1e5 * x[:3], -2 * np.exp(-x[:3]))}
else:
    named = dict(curve.split("=", 1) for curve in args.curves)
    read = {"delimiter": ",", "skiprows": 1, "usecols": (0, 1), "ndmin": 2}
    curves = {name: np.loadtxt(file, **read).T for name, file in named.items()}
figure = Figure(figsize=(6, 4), layout="constrained")
axes = figure.subplots()
for i, (name, (steps, returns)) in enumerate(curves.items()):
    colour, half = COLOURS[i % len(COLOURS)], half_window(len(returns))
    axes.plot(steps / 1000, returns, color=colour, alpha=0.25, linewidth=1)
    smooth = centred_mean(returns, half)
    draw_seeds(axes, steps / 1000, smooth[None], name, color=colour)
    print(f"{name}: {smooth[-1]:.2f} in the end, {steps[-1]:,.0f} steps")
draw_levels(axes, {} if args.oracle is None else {"oracle": args.oracle})
axes.set(title=args.title, xlabel="training steps (thousands)", ylabel="total reward")
finish(axes)
axes.legend(frameon=False)
figure.savefig(args.picture, dpi=150)
