"""Appendix D.2: do two tasks ever have the same Q*?

Among 50 000 random MDPs (3 states, 2 actions, task horizon 10) the paper counts the pairs whose Q*
are less than 0.1 apart in max norm. They are so few that Q* tells the task.

    python examples/paper/appendix_d2.py              # the stored record, beside the paper
    python examples/paper/appendix_d2.py --measure    # measure it again, minutes on one core

How we read the paper: Q*(s, a) of all six pairs with ten steps to go and gamma 1 is one point in
six dimensions; P(.|s, a) ~ Dirichlet(concentration), mean rewards R(s, a) ~ N(1, reward sd), as the
authors' released code draws them. Other readings are counted on the same tasks: a gamma of 0.99
would fit too, the others do not (`chance`, below). Every pair is compared, by a k-d tree.

A share of 2.6e-9 is three pairs in 1.25e9, so counts are taken as Poisson: the interval is
Garwood's exact one, at 95 %. `chance` is the exact two-sided probability of a count as far off as
the paper's if both have the same expectation (the paper's is taken as one draw of 50 000 tasks).
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.stats import binomtest, chi2

from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.results.records import read_measured, start_record, write_record

N_STATES, N_ACTIONS, TASK_HORIZON = 3, 2, 10
DISTANCE = 0.1
PAPER_TASKS = 50_000
RECORD = Path(__file__).parent / "records" / "appendix_d2.json"
# Concentration of the transitions, standard deviation of the mean rewards, the paper's share.
SETTINGS = [(1.0, 1.0, 2.6e-9), (0.1, 1.0, 4.6e-9), (0.1, 0.5, 1.1e-7)]
OURS = "gamma 1"
# What else "Q* at task horizon 10" could mean: gamma, steps to go, whether all of 1, 2, ... count.
READINGS = {
    OURS: (1.0, TASK_HORIZON, False),
    "gamma 0.99": (0.99, TASK_HORIZON, False),
    "gamma 0.95": (0.95, TASK_HORIZON, False),
    "gamma 0.9": (0.9, TASK_HORIZON, False),
    "five steps to go": (1.0, 5, False),
    "1 to 10 steps to go": (1.0, TASK_HORIZON, True),
}


def random_tasks(rng, n_tasks, concentration, reward_sd):
    """Draw tasks: P (n, S, A, S') and mean rewards R (n, S, A)."""
    shape = n_tasks, N_STATES, N_ACTIONS
    P = rng.dirichlet(np.full(N_STATES, concentration), shape)
    return P, rng.normal(1.0, reward_sd, shape)


def optimal_q(P, R, horizon, gamma=1.0):
    """Return Q* with 1, 2, ..., horizon steps to go, shape (horizon, n, S, A)."""
    Q = np.empty((horizon, *R.shape))
    V = np.zeros(R.shape[:2])
    for k in range(horizon):
        Q[k] = R + gamma * np.einsum("nsax,nx->nsa", P, V)
        V = Q[k].max(axis=-1)
    return Q


def close_pairs(points, distance):
    """Count the unordered pairs of points (n, d) at most this far apart in max norm."""
    tree = cKDTree(points)
    # The tree counts each pair twice and each point with itself.
    return int(tree.count_neighbors(tree, distance, p=np.inf) - len(points)) // 2


def measure(args):
    """Return per setting the close pairs in each draw, by reading."""
    rows = []
    for concentration, reward_sd, _ in SETTINGS:
        pairs = {name: [] for name in READINGS}
        for seed in range(args.seeds):
            rng = np.random.default_rng(seed)
            P, R = random_tasks(rng, args.tasks, concentration, reward_sd)
            for name, (gamma, horizon, all_stages) in READINGS.items():
                Q = optimal_q(P, R, horizon, gamma)
                points = np.moveaxis(Q, 0, 1) if all_stages else Q[-1]
                pairs[name].append(close_pairs(points.reshape(args.tasks, -1), DISTANCE))
        rows.append({"concentration": concentration, "reward_sd": reward_sd, "pairs": pairs})
    return rows


def interval(count):
    """Return the exact 95 % interval of a Poisson expectation (Garwood)."""
    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return low, chi2.ppf(0.975, 2 * count + 2) / 2


def chance(paper_share, count, n_pairs):
    """Return how likely a count as far off as the paper's is if the expectations are the same.

    Args:
        paper_share: Of close pairs among the paper's.
        count: Close pairs that we found.
        n_pairs: Pairs that we compared.
    """
    paper_pairs = PAPER_TASKS * (PAPER_TASKS - 1) / 2
    paper_count = round(paper_share * paper_pairs)
    return binomtest(paper_count, paper_count + count, paper_pairs / (paper_pairs + n_pairs)).pvalue


def show(record):
    """Print the paper's numbers, ours, and the other readings."""
    n_draws, n_tasks = record["seeds"], record["tasks"]
    per_draw = n_tasks * (n_tasks - 1) / 2
    print(f"Pairs with max |Q* - Q*'| < {DISTANCE}, {n_draws} draws of {n_tasks} tasks")
    print("Dirichlet  reward sd    paper     ours  95 % interval        pairs per draw    chance")
    for row, (*_, paper) in zip(record["settings"], SETTINGS, strict=True):
        counts = row["pairs"][OURS]
        p = chance(paper, sum(counts), n_draws * per_draw)
        low, high = (bound / n_draws / per_draw for bound in interval(sum(counts)))
        spread = np.std(counts, ddof=1) if n_draws > 1 else np.nan
        print(
            f"{row['concentration']:9} {row['reward_sd']:10} {paper:8.1e} "
            f"{np.mean(counts) / per_draw:8.1e}  {low:.1e} to {high:.1e} "
            f"{np.mean(counts):8.1f} (sd {spread:4.1f}) {p:9.2g}"
        )
    print("\nOther readings: share (chance)")
    print(f"{'':22}" + "".join(f"{c!s:>10}, {sd}     " for c, sd, _ in SETTINGS))
    for name in READINGS:
        cells = []
        for row, (*_, paper) in zip(record["settings"], SETTINGS, strict=True):
            counts = row["pairs"][name]
            p = chance(paper, sum(counts), n_draws * per_draw)
            cells.append(f"{np.mean(counts) / per_draw:9.1e} {f'({p:.1g})':9}")
        print(f"{name:22}" + "".join(cells))


def main():
    """Measure or read, then show."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--measure", action="store_true", help="measure anew; else show the stored record")
    add("--tasks", type=int, default=PAPER_TASKS, help="random MDPs in one draw (%(default)s)")
    add("--seeds", type=int, default=5, help="independent draws: seeds 0, 1, ... (%(default)s)")
    add("--record", type=Path, default=RECORD, help="the record's file")
    add("--smoke", action="store_true", help="a few tasks, nothing is stored")
    args = parser.parse_args()
    if args.tasks < 2 or args.seeds < 1:
        parser.error(f"there must be 2 tasks and 1 seed at least, got {args.tasks}, {args.seeds}")
    if args.smoke:
        args.tasks, args.seeds = 500, 2
        record = {"seeds": args.seeds, "tasks": args.tasks, "settings": measure(args)}
    elif args.measure:
        start = start_record()
        settings = measure(args)
        sizes = {"seeds": args.seeds, "tasks": args.tasks}
        record = write_record(args.record, start, **sizes, settings=settings)
    else:
        try:
            record = read_measured(args.record, "tasks", "settings")
        except InputError as error:
            sys.exit(f"{Path(__file__).name}: error: {error}")
    show(record)


if __name__ == "__main__":
    main()
