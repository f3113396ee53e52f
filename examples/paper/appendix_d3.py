"""Appendix D.3 and Figure 7: do the Q-estimates of a random policy tell the task?

In each of 10 000 random MDPs (3 states, 2 actions, task horizon 10) a random policy takes 50 steps.
After each step the learner's Q-estimates of all six state-actions are one point per task. Counted
are the pairs of tasks whose points are less than 0.1 apart in max norm, and how often a classifier
with one hidden layer of 64 units names the task of a point, out of all.

    python examples/paper/appendix_d3.py              # table and figure from the stored record
    python examples/paper/appendix_d3.py --measure    # measure it again, minutes on one core

The paper reports high accuracy after 20 steps. On which walks it was tested we could not find out;
`same walk` fits, `new walk` is the harder question:

- `same walk`: the classifier names the points that it has learned, one walk per task. It asks
  whether tasks look alike at all. Distinct points can always be told apart so: the score
  q_k.q - |q_k|^2 / 2 is linear in q and largest at q_k, if q is one of the points.
- `new walk`: it has learned from several walks per task and is asked about another. It asks
  whether the estimates tell what the task is.
- `posterior`: a new walk too, but the whole of its states, actions and rewards, and Bayes' rule
  with all 10 000 tasks known. Nobody can do better, with Q-estimates or anything else. (Asked are
  the first 1000 tasks.)

Sampled rewards are N(R(s, a), 1), as in the domain; `reward_noise` 0 stands beside it. (There the
first reward alone tells the task: the posterior is certain after one step.) Each accuracy is of a
classifier of its own, trained for that step. Q-estimates are whitened first: as they are, they
differ mostly in their common level, and training takes several times as long.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree

from rl3_sb3.experiments.drawing import Figure
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.results.records import read_measured, start_record, write_record
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator

N_STATES, N_ACTIONS, TASK_HORIZON = 3, 2, 10
N_STEPS = 50
DISTANCE = 0.1
RECORD = Path(__file__).parent / "records" / "appendix_d3.json"
FIGURE = Path(__file__).parents[2] / "docs" / "figures" / "figure_7.png"
# Concentration of the transitions, standard deviation of the mean rewards.
SETTINGS = [(1.0, 1.0), (0.1, 1.0), (0.1, 0.5)]
NOISES = [1.0, 0.0]
SAME_STEPS = [1, 5, 10, 20, 50]  # with a classifier for the same walk
NEW_STEPS = [20, 50]
COLOURS = ["#0072b2", "#009e73", "#d55e00"]  # Okabe and Ito's


def random_tasks(rng, n_tasks, concentration, reward_sd):
    """Draw tasks: P (n, S, A, S') and mean rewards R (n, S, A)."""
    shape = n_tasks, N_STATES, N_ACTIONS
    P = rng.dirichlet(np.full(N_STATES, concentration), shape)
    return P, rng.normal(1.0, reward_sd, shape)


def walk(rng, P, R, reward_noise):
    """Let a random policy act in all tasks.

    Returns:
        Q-estimates after each step, shape (T, n, S*A), and the steps' states, actions, rewards and
        next states, each (T, n).
    """
    n, each = len(P), np.arange(len(P))
    learner = BatchValueEstimator(n, N_ACTIONS, task_horizon=TASK_HORIZON)
    cumulative = P.cumsum(axis=-1)[..., :-1]
    points = np.empty((N_STEPS, n, N_STATES, N_ACTIONS))
    steps = []
    s = np.zeros(n, np.int64)
    for t in range(N_STEPS):
        a = rng.integers(N_ACTIONS, size=n)
        s_next = (rng.random(n)[:, None] > cumulative[each, s, a]).sum(axis=1)
        r = R[each, s, a] + reward_noise * rng.standard_normal(n)
        learner.update(s, a, r, s_next, np.zeros(n, np.bool_))
        for state in range(N_STATES):
            points[t, :, state] = learner.q_values(np.full(n, state))
        steps.append((s, a, r, s_next))
        # Episodes start in state 0; the move back is no transition.
        s = s_next if (t + 1) % TASK_HORIZON else np.zeros(n, np.int64)
    return points.reshape(N_STEPS, n, -1), steps


def close_pairs(points, distance):
    """Count the unordered pairs of points (n, d) at most this far apart in max norm."""
    tree = cKDTree(points)
    # The tree counts each pair twice and each point with itself.
    return int(tree.count_neighbors(tree, distance, p=np.inf) - len(points)) // 2


def posterior_accuracy(P, R, reward_noise, steps, n_asked):
    """Return how often the likeliest of all tasks is the true one, after each step.

    Args:
        P: Of all tasks, (n, S, A, S').
        R: Of all tasks, (n, S, A).
        reward_noise: Standard deviation of sampled rewards, above 0.
        steps: A walk in each task, as `walk` returns.
        n_asked: How many tasks, from the first on, are to be named.
    """
    log_P = np.log(np.maximum(P, np.finfo(float).tiny))
    likelihood = np.zeros((len(P), n_asked))  # of each task, given each walk
    accuracy = []
    for step in steps:
        s, a, r, s_next = (column[:n_asked] for column in step)
        likelihood += log_P[:, s, a, s_next] - 0.5 * ((r - R[:, s, a]) / reward_noise) ** 2
        accuracy.append(float(np.mean(likelihood.argmax(axis=0) == np.arange(n_asked))))
    return accuracy


def train(walks, epochs, seed):
    """Train a classifier of the points' tasks; return the function from points to tasks.

    Args:
        walks: A list of arrays (n, d): row k is a point of task k. Each epoch takes the next.
        epochs: How many.
        seed: Of the network and of the order.
    """
    torch.manual_seed(seed)
    n = len(walks[0])
    mean, whitening = whiten(walks[0])
    inputs = [torch.tensor((points - mean) @ whitening, dtype=torch.float32) for points in walks]
    net = torch.nn.Sequential(
        torch.nn.Linear(len(mean), 64), torch.nn.ReLU(), torch.nn.Linear(64, n)
    )
    optimizer = torch.optim.Adam(net.parameters(), 0.02)
    rate = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, epochs)
    for epoch in range(epochs):
        for batch in torch.randperm(n).split(500):
            logits = net(inputs[epoch % len(inputs)][batch])
            loss = torch.nn.functional.cross_entropy(logits, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        rate.step()

    def classify(points):
        x = torch.tensor((points - mean) @ whitening, dtype=torch.float32)
        with torch.no_grad():
            return torch.cat([net(some).argmax(dim=1) for some in x.split(500)]).numpy()

    return classify


def whiten(points):
    """Return mean (d,) and matrix (d, d) that give points variance 1 in all directions."""
    mean = points.mean(axis=0)
    variance, axes = np.linalg.eigh(np.cov(points.T))
    return mean, axes / np.sqrt(np.maximum(variance, 1e-6 * variance.max()))


def measure(args):
    """Return one row per setting and reward noise."""
    rows = []
    for noise in NOISES:
        for concentration, reward_sd in SETTINGS:
            rng = np.random.default_rng(args.seed)
            P, R = random_tasks(rng, args.tasks, concentration, reward_sd)
            asked, steps = walk(rng, P, R, noise)
            walks = [walk(rng, P, R, noise)[0] for _ in range(args.walks)]
            tasks = np.arange(args.tasks)
            row = {
                "concentration": concentration,
                "reward_sd": reward_sd,
                "reward_noise": noise,
                "pairs": [close_pairs(points, DISTANCE) for points in walks[0]],
                "new walk": {},
            }
            for step in NEW_STEPS:
                learned = [points[step - 1] for points in walks]
                guesses = train(learned, args.epochs, args.seed)(asked[step - 1])
                row["new walk"][str(step)] = float(np.mean(guesses == tasks))
            if noise:
                row["posterior"] = posterior_accuracy(P, R, noise, steps, min(1000, args.tasks))
                row["same walk"] = {}
                for step in SAME_STEPS:
                    points = walks[0][step - 1]
                    guesses = train([points], args.epochs, args.seed)(points)
                    row["same walk"][str(step)] = float(np.mean(guesses == tasks))
            rows.append(row)
            print(f"measured {name_of(row)}", flush=True)
    return rows


def name_of(row):
    """Return what a setting is called."""
    return f"Dirichlet {row['concentration']:g}, reward sd {row['reward_sd']:g}"


def show(record):
    """Print what was measured, beside what the paper says."""
    print(f"{record['tasks']} tasks, random policy. The paper (Figure 7): high accuracy at step 20")
    for row in record["settings"]:
        print(f"\n{name_of(row)}, reward noise {row['reward_noise']:g}")
        print("step      " + "".join(f"{step:9}" for step in SAME_STEPS))
        print("pairs     " + "".join(f"{row['pairs'][step - 1]:9}" for step in SAME_STEPS))
        for name in ("same walk", "new walk"):
            if name in row:
                cells = (row[name].get(str(step)) for step in SAME_STEPS)
                print(
                    f"{name:10}" + "".join(f"{'' if c is None else f'{c:.3f}':>9}" for c in cells)
                )
        if "posterior" in row:
            cells = (row["posterior"][step - 1] for step in SAME_STEPS)
            print("posterior " + "".join(f"{c:9.3f}" for c in cells))


def draw(record, file):
    """Draw Figure 7: close pairs, and accuracies, over the steps."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    pairs, accuracy = figure.subplots(1, 2)
    rows = [row for row in record["settings"] if row["reward_noise"]]
    steps = np.arange(1, N_STEPS + 1)
    for colour, row in zip(COLOURS, rows, strict=True):
        pairs.plot(steps, row["pairs"], color=colour, label=name_of(row))
        for name, style in (("same walk", "o-"), ("new walk", "s:")):
            at = [int(step) for step in row[name]]
            accuracy.plot(at, list(row[name].values()), style, color=colour, markersize=4)
        accuracy.plot(steps, row["posterior"], "--", color=colour, alpha=0.7)
    for style, label in (
        ("o-", "classifier, the walk it learned"),
        ("s:", "classifier, a new walk"),
        ("--", "exact posterior, a new walk"),
    ):
        accuracy.plot([], [], style, color="#777777", markersize=4, label=label)
    pairs.set_yscale("symlog", linthresh=1)
    pairs.set_ylim(bottom=0)
    pairs.set_title(f"Pairs of Q-estimates less than {DISTANCE} apart")
    pairs.set_ylabel(f"pairs among {record['tasks']} tasks")
    accuracy.set_title("Which task is it?")
    accuracy.set_ylabel("accuracy")
    accuracy.set_ylim(0, 1.02)
    for axes in (pairs, accuracy):
        axes.set_xlabel("step")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    figure.savefig(file, dpi=100)


def main():
    """Measure or read, then show and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--measure", action="store_true", help="measure anew; else show the stored record")
    add("--tasks", type=int, default=10_000, help="tasks to tell apart (%(default)s)")
    add(
        "--walks",
        type=int,
        default=5,
        help="walks per task that the classifier for a new walk learns from, one an epoch in turn "
        "(%(default)s)",
    )
    add("--epochs", type=int, default=16, help="of each classifier, a walk per task (%(default)s)")
    add("--seed", type=int, default=0, help="of tasks, walks and networks (%(default)s)")
    add("--record", type=Path, default=RECORD, help="the record's file")
    add("--out", type=Path, default=FIGURE, help="the figure's file")
    add("--smoke", action="store_true", help="a few tasks and epochs, no record is stored")
    args = parser.parse_args()
    if not args.out.parent.is_dir():
        parser.error(f"`--out` must be in an existing folder, got {args.out}. Create it first.")
    torch.set_num_threads(1)
    if args.smoke:
        args.tasks, args.walks, args.epochs = 100, 2, 2
        record = {"tasks": args.tasks, "settings": measure(args)}
    elif args.measure:
        start = start_record()
        settings = measure(args)
        sizes = {name: getattr(args, name) for name in ("seed", "tasks", "walks", "epochs")}
        record = write_record(args.record, start, **sizes, settings=settings)
    else:
        try:
            record = read_measured(args.record, "tasks", "settings")
        except InputError as error:
            sys.exit(f"{Path(__file__).name}: error: {error}")
    show(record)
    draw(record, args.out)


if __name__ == "__main__":
    main()
