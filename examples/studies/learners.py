"""Which object-level learner helps the outer one most, what does it cost, and how right is it?

    python examples/studies/learners.py              from the stored records
    python examples/studies/learners.py --measure    errors and times again: a minute on one core
    python examples/studies/learners.py --train      train what is missing; `--help` says the cost

RL3 is trained with each learner in the place of the paper's, and RL2 without any, with the same
settings and equally many steps. Beside that stand, from walks of the random policy in the same
tasks, after each of three numbers of steps:

- `error`: root mean square of Q - Q* over all actions of all states that can be reached, divided by
  that of Q*. Q* is what the learner's own horizon and discount give in the true task.
- `loss`: what acting greedily on Q costs, max Q* - Q*(s, argmax Q), mean over the states, with the
  model-based learner's Q* for all; divided by the loss of a random action. So 1 is to know nothing.

`us per step` is the CPU time of one task's update and look-up in a batch of all tasks, and `ratio`
that over the model-based learner's; the learners take turns.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rl3_sb3.experiments.drawing import Figure
from rl3_sb3.experiments.evaluation.scores import mean_and_error
from rl3_sb3.experiments.results.labels import tasks_title
from rl3_sb3.experiments.results.table import aligned
from rl3_sb3.experiments.settings.run_config import FIRST_HELD_OUT_SEED
from rl3_sb3.experiments.studies.figures import (
    by_agent,
    by_tasks,
    draw_runs,
    runs_table,
)
from rl3_sb3.experiments.studies.script import Study, run_study
from rl3_sb3.experiments.studies.true_values import reachable, true_q
from rl3_sb3.experiments.sweeps.specification import read_sweep
from vamdp.estimators import BUILT_INS, Scales

SWEEP = Path(__file__).resolve().parent / "sweeps" / "learners.toml"
# Sweeps that stand for planning without an end.
ENDLESS = 500


@dataclass(frozen=True)
class Sizes:
    """What can be changed."""

    tasks: int = 200
    """held-out tasks of each kind"""
    rounds: int = 3
    """walks that are timed; the median counts"""


def measure(args, pretrained):
    """Return a row for each learner in each kind of tasks."""
    cells = [c for c in read_sweep(SWEEP) if c.config.seed == 0 and c.config.estimator]
    kinds = {}
    for cell in cells:
        kinds.setdefault(cell.config.domain, []).append(cell)
    return {"rows": [row for members in kinds.values() for row in measured(members, args)]}


def measured(cells, args):
    """Return the rows of the learners of cells, all in the same tasks."""
    config, n = cells[0].config, args.tasks
    envs = config.facts.make_vector_env(n, config.size, config.variation)
    steps = walk(envs, config.horizon, n)
    tasks = envs.unwrapped.tasks
    looks = [config.horizon // 4, config.horizon // 2, config.horizon]
    seconds = {cell.variant: [] for cell in cells}
    for i in range(args.rounds + 1):  # the first compiles
        for cell in cells:
            spent, _ = follow(cell.config, steps, ())
            if i > 0:
                seconds[cell.variant].append(spent)
    first = np.median(seconds[cells[0].variant])
    true = np.array(
        [true_q(task, config.task_horizon, config.estimator_options["gamma"]) for task in tasks]
    )
    where = np.array([reachable(task) for task in tasks])
    found = []
    for cell in cells:
        options = cell.config.estimator_options
        horizon = options.get("task_horizon", ENDLESS)
        own = np.array([true_q(task, horizon, options["gamma"]) for task in tasks])
        _, estimates = follow(cell.config, steps, looks)
        found.append(
            {
                "tasks": tasks_title(config.domain, config.size, config.horizon),
                "learner": cell.variant,
                "looks": looks,
                "error": [mean_and_error(relative_error(Q, own, where)) for Q in estimates],
                "loss": [mean_and_error(relative_loss(Q, true, where)) for Q in estimates],
                "us": 1e6 * float(np.median(seconds[cell.variant])) / (n * config.horizon),
                "ratio": float(np.median(seconds[cell.variant]) / first),
            }
        )
    return found


def walk(envs, n_steps, n):
    """Return what a random policy does and meets: states, actions, rewards, next states, ends."""
    rng = np.random.default_rng(0)
    envs.reset(seed=[FIRST_HELD_OUT_SEED + i for i in range(n)])
    steps = []
    for _ in range(n_steps):
        states = envs.unwrapped.states
        actions = rng.integers(envs.single_action_space.n, size=n)
        _, rewards, terminated, truncated, _ = envs.step(actions)
        reached = envs.unwrapped.reached_states
        steps.append((states, actions, rewards, reached, terminated, terminated | truncated))
    return steps


def follow(config, steps, looks):
    """Let a run's learner watch; return the seconds it took, and Q (n, S, A) at the looks."""
    n, A = len(steps[0][0]), config_actions(config)
    row = BUILT_INS[config.estimator]
    learner = row.make(n, A, config.task_horizon, config.estimator_options)
    learner.begin_tasks(np.ones(n, bool), range(n))
    out = np.zeros((n, sum(box.shape[0] for box in learner.parts().values())), np.float32)
    n_states = 1 + max(max(states.max(), reached.max()) for states, _, _, reached, *_ in steps)
    scales, spent, found = Scales(), 0.0, []
    begins = np.ones(n, bool)
    for t, (states, actions, rewards, reached, terminated, ended) in enumerate(steps, 1):
        places, next_places = (s.astype(float)[:, None] for s in (states, reached))
        start = time.process_time()
        if begins.any():
            learner.begin_episodes(begins, places, None)
        learner.update(places, actions, rewards, next_places, terminated)
        learner.write(next_places, scales, out)
        spent += time.process_time() - start
        begins = ended
        if t in looks:
            Q = [learner.q_values(np.full((n, 1), float(s))) for s in range(n_states)]
            found.append(np.stack(Q, axis=1))
    return spent, found


def config_actions(config):
    """Return the number of actions of a run's tasks."""
    envs = config.facts.make_vector_env(1, config.size, config.variation)
    return int(envs.single_action_space.n)


def relative_error(Q, true, where):
    """Return the root mean square of Q - Q* over that of Q*, (n,), of the reachable states."""
    true, weight = true[:, : Q.shape[1]], where[:, : Q.shape[1], None]
    return np.sqrt(((Q - true) ** 2 * weight).sum((1, 2)) / (true**2 * weight).sum((1, 2)))


def relative_loss(Q, true, where):
    """Return the loss of greedy actions over that of random ones, (n,); ties are broken evenly."""
    true, weight = true[:, : Q.shape[1]], where[:, : Q.shape[1]]
    best = true.max(2)
    is_greedy = Q >= Q.max(2, keepdims=True) - 1e-9
    chosen = (true * is_greedy).sum(2) / is_greedy.sum(2)
    return ((best - chosen) * weight).sum(1) / ((best - true.mean(2)) * weight).sum(1)


def show(record):
    """Print returns, then errors and costs, for each kind of tasks."""
    for title, runs in by_tasks(record["runs"]).items():
        print(f"{title}, trained\n\n{runs_table(runs)}\n")
    head = ["learner", "error after {} / {} / {} steps", "loss", "us per step", "ratio"]
    for title in dict.fromkeys(row["tasks"] for row in record["rows"]):
        rows = [row for row in record["rows"] if row["tasks"] == title]
        named = [head[0], head[1].format(*rows[0]["looks"]), *head[2:]]
        print(f"{title}, walks of the random policy\n\n{aligned(named, map(line, rows))}\n")


def line(row):
    """Return a learner's line of the second table."""
    entries = []
    for name in ("error", "loss"):
        means = " / ".join(f"{mean:.2f}" for mean, _ in row[name])
        entries.append(f"{means} ± {row[name][-1][1]:.2f}")
    return [row["learner"], *entries, f"{row['us']:.2f}", f"{row['ratio']:.2f}"]


def draw(record, file):
    """Draw the learning curves, and the loss against the cost."""
    groups = by_tasks(record["runs"])
    titles = list(dict.fromkeys(row["tasks"] for row in record["rows"]))
    figure = Figure(figsize=(9, 3.8 * len(titles)), layout="constrained")
    for (learning, cost), title in zip(
        figure.subplots(len(titles), 2, squeeze=False), titles, strict=True
    ):
        runs = groups.get(title, [])
        draw_runs(learning, runs, {name: f"C{i}" for i, name in enumerate(by_agent(runs))})
        learning.set_title(title)
        learning.set_ylabel("total reward of the training meta-episodes")
        for i, row in enumerate(row for row in record["rows"] if row["tasks"] == title):
            cost.plot(row["us"], row["loss"][-1][0], "o", color=f"C{i + 1}")
        if runs:  # the same colours as on the left, where the curves leave no room
            lines = learning.get_legend_handles_labels()
            cost.legend(*lines, frameon=False, fontsize=8, loc="center")
        cost.set_xlim(left=0)
        cost.set_xlabel("microseconds per step and task")
        cost.set_ylabel("loss of greedy actions, 1: random")
        cost.spines[["top", "right"]].set_visible(False)
        cost.grid(alpha=0.25)
    figure.savefig(file, dpi=120)


STUDY = Study(
    title="Which object-level learner helps the outer one most?",
    sizes=Sizes(),
    smoke={"tasks": 3, "rounds": 1},
    measure=measure,
    show=show,
    draw=draw,
    trains=True,
)

if __name__ == "__main__":
    sys.exit(run_study(STUDY, Path(__file__)))
