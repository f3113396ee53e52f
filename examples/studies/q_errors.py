"""How wrong are the Q-estimates that RL3 is shown, and how fast does the error fall?

    python examples/studies/q_errors.py              from the stored record
    python examples/studies/q_errors.py --measure    again: minutes on one core

The model-based learner of the experiments watches the random policy, and the published agents of
the same tasks. Its estimates are compared with Q* of the true task under the same planning: Q* is
what its own value iteration, task horizon and gamma give for the true P and R. Two errors, each a
root mean square per task, then averaged over the held-out tasks:

- `all`: over all actions of all states that can be reached;
- `here`: over the actions of the present state, which is what an agent sees.

Means of t samples err like c / sqrt(t). The slope of log error over log t is fitted to the mean
curve over a stated range; its interval is a bootstrap over the tasks (percentile, 95 %). The random
policy walks on after H steps, so that it shows what remains.

What remains is told by kind of (s, a): `tried` ones, `untried` ones of states that were met (the
model says: uniform successors, reward 0), and those of states never met (the estimate is 0). A
learner without smoothing stands beside, on the same steps.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rl3_sb3.experiments.algorithms import colour_of
from rl3_sb3.experiments.drawing import Figure
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.evaluation.policy_agent import PolicyAgent
from rl3_sb3.experiments.evaluation.scores import mean_and_error
from rl3_sb3.experiments.pretrained.agents import published_agents
from rl3_sb3.experiments.results.labels import tasks_title
from rl3_sb3.experiments.results.table import aligned
from rl3_sb3.experiments.settings.run_config import FIRST_HELD_OUT_SEED, RunConfig
from rl3_sb3.experiments.studies.script import Study, run_study
from rl3_sb3.experiments.studies.slopes import log_slope
from rl3_sb3.experiments.studies.true_values import reachable, true_q
from vamdp.baselines import RandomAgent
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator

# Tasks that are walked at random even where no agent is published.
ALWAYS = (("bandit", None), ("random-mdp", None), ("frozen-lake", 8), ("gridworld", 11))
KINDS = ("tried", "untried", "never met")
GREY = "#777777"


@dataclass(frozen=True)
class Sizes:
    """What can be changed."""

    tasks: int = 300
    """held-out tasks of each kind"""
    longer: int = 32
    """meta-episodes' length that the random policy walks"""
    looks: int = 24
    """steps, evenly spaced on a log scale, at which errors are measured"""


def looks_of(n_steps, n_looks):
    """Return the steps at which to look: log-spaced, the last one included."""
    return np.unique(np.geomspace(1, n_steps, n_looks).round().astype(int))


def watch(config, agent, n_steps, args):
    """Let an agent act and the learner watch; return the errors at each look.

    The batch that shows observations and the one whose states are read have the same seeds and
    actions, so they are the same.
    """
    n, seeds = args.tasks, [FIRST_HELD_OUT_SEED + i for i in range(args.tasks)]
    tasks = config.facts.make_vector_env(n, config.size, config.variation)
    tasks.reset(seed=seeds)
    shown = make_envs(config, n) if isinstance(agent, PolicyAgent) else None
    seen = tasks.unwrapped.states if shown is None else shown.reset(seed=seeds)[0]
    options = {"task_horizon": config.task_horizon, **config.facts.estimator_options}
    learner = BatchValueEstimator(n, int(tasks.single_action_space.n), **options)
    rough = BatchValueEstimator(n, learner.n_actions, **{**options, "smoothing": 0.0})
    horizon, gamma = learner.options.task_horizon, learner.options.gamma
    Q = np.array([true_q(task, horizon, gamma) for task in tasks.unwrapped.tasks])
    counted = np.array([reachable(task) for task in tasks.unwrapped.tasks])
    met, each = np.zeros(counted.shape, bool), np.arange(n)
    agent.start(n, seeds[0])
    looks, found = looks_of(n_steps, args.looks), []
    for t in range(1, n_steps + 1):
        states = tasks.unwrapped.states
        actions = agent.act(seen)
        _, rewards, terminated, _, _ = tasks.step(actions)
        reached = tasks.unwrapped.reached_states
        for each_learner in (learner, rough):
            each_learner.update(states, actions, rewards, reached, terminated)
        seen = tasks.unwrapped.states if shown is None else shown.step(actions)[0]
        met[each, states] = True
        met[each[~terminated], reached[~terminated]] = True
        if t in looks:
            present = tasks.unwrapped.states
            found.append(errors(learner, rough, Q, counted, met, present))
    curves = {name: [look[name] for look in found] for name in found[0]}
    level = np.sqrt((Q**2 * counted[:, :, None]).sum((1, 2)) / counted.sum(1) / Q.shape[2])
    return looks, level, curves


def errors(learner, rough, Q, counted, met, present):
    """Return the errors of the present estimates, and where they lie."""
    n, S, A = Q.shape
    places = [np.full(n, s) for s in range(S)]
    estimated = np.stack([learner.q_values(s) for s in places], axis=1)
    unsmoothed = np.stack([rough.q_values(s) for s in places], axis=1)
    tried = np.stack([learner.counts(s) for s in places], axis=1) > 0
    weight = np.repeat(counted[:, :, None], A, axis=2)
    n_pairs = weight.sum((1, 2))
    off = (estimated - Q) * weight
    here = (estimated - Q)[np.arange(n), present]
    known = met[:, :, None] & ~tried
    found = {
        "all": np.sqrt((off**2).sum((1, 2)) / n_pairs),
        "here": np.sqrt((here**2).mean(1)),
        "unsmoothed": np.sqrt((((unsmoothed - Q) * weight) ** 2).sum((1, 2)) / n_pairs),
    }
    for name, kind in zip(KINDS, (tried, known, ~tried & ~known), strict=True):
        kind &= weight
        pairs = kind.sum()
        found[f"pairs, {name}"] = pairs / n_pairs.sum()
        found[f"error, {name}"] = (off**2 * kind).sum() / max((off**2).sum(), 1e-300)
        found[f"bias, {name}"] = (off * kind).sum() / max(pairs, 1)
        found[f"bias unsmoothed, {name}"] = ((unsmoothed - Q) * kind).sum() / max(pairs, 1)
    return found


def measure(args, pretrained):
    """Return one row for each kind of tasks and policy."""
    agents = published_agents(pretrained)
    configs = {agent.tasks: agent.config for agent in agents}
    for domain, size in ALWAYS:
        if not any(tasks[:2] == (domain, size) for tasks in configs):
            config = RunConfig.of(domain, size=size)
            configs[domain, size, config.horizon] = config
    rows = []
    for tasks, config in configs.items():
        H, envs = config.horizon, config.facts.make_vector_env(1, config.size, config.variation)
        policies = [("random", RandomAgent(int(envs.single_action_space.n)), config)]
        policies += [
            (agent.title, PolicyAgent(agent.policy), agent.config)
            for agent in agents
            if agent.tasks == tasks
        ]
        for title, policy, own in policies:
            ranges = [(H // 4, H)]
            if title == "random" and args.longer > 1:
                ranges.append((args.longer * H // 8, args.longer * H))
            steps, level, curves = watch(own, policy, ranges[-1][1], args)
            row = {
                "tasks": tasks_title(config.domain, config.size, config.horizon),
                "H": H,
                "policy": title,
                "t": steps.tolist(),
            }
            row["level"] = mean_and_error(level)
            row["slopes"] = [
                {"from": first, "to": last}
                | {name: log_slope(steps, curves[name], first, last) for name in ("all", "here")}
                for first, last in ranges
            ]
            for name, values in curves.items():  # per task, or of all tasks together
                per_task = np.ndim(values[0]) > 0
                row[name] = [mean_and_error(v) if per_task else float(v) for v in values]
            rows.append(row)
            print(f"measured {row['tasks']}, {title}", flush=True)
    return {"agents": [agent.to_dict() for agent in agents], "rows": rows}


def show(record):
    """Print slopes, and where the error lies at the end, for each kind of tasks."""
    for tasks in dict.fromkeys(row["tasks"] for row in record["rows"]):
        rows = [row for row in record["rows"] if row["tasks"] == tasks]
        print(f"{tasks}\n")
        head = ["policy", "steps", "all: error", "all: slope", "here: error", "here: slope"]
        print(aligned(head, [line for row in rows for line in slope_lines(row)]) + "\n")
        head = [
            "policy",
            "step",
            "pairs, %",
            "squared error, %",
            "mean error",
            "mean error, unsmoothed",
        ]
        print(aligned([*head, "error, unsmoothed"], [end_line(row) for row in rows]) + "\n")
    print(
        f"{record['tasks']} held-out tasks. `error`: root mean square, mean over the tasks ± "
        "standard error, at the first and last step of the range; at step 0 all estimates are 0. "
        "`slope`: of log error over log t, with its 95 % interval over the tasks. Three numbers: "
        f"state-actions that are {', '.join(KINDS)}; `mean error` is estimate minus Q*."
    )


def slope_lines(row):
    """Return a line of the first table for each range."""
    for fit in row["slopes"]:
        cells = [row["policy"], f"{fit['from']} to {fit['to']}"]
        for name in ("all", "here"):
            ends = [np.argmin(np.abs(np.array(row["t"]) - fit[end])) for end in ("from", "to")]
            values = [f"{row[name][i][0]:.3g} ± {row[name][i][1]:.1g}" for i in ends]
            first = f"{row['level'][0]:.3g} at 0, " if name == "all" else ""
            cells.append(first + " to ".join(values))
            cells.append("{:.2f} ({:.2f} to {:.2f})".format(*fit[name][:3]))
        yield cells


def end_line(row):
    """Return a line of the second table: the last look."""
    parts = [
        " / ".join(f"{factor * row[f'{what}, {kind}'][-1]:{form}}" for kind in KINDS)
        for what, factor, form in (
            ("pairs", 100, ".0f"),
            ("error", 100, ".0f"),
            ("bias", 1, "+.2f"),
            ("bias unsmoothed", 1, "+.2f"),
        )
    ]
    return [row["policy"], str(row["t"][-1]), *parts, f"{row['unsmoothed'][-1][0]:.3g}"]


def draw(record, file):
    """Draw the errors over the steps, a panel for each kind of tasks."""
    kinds = list(dict.fromkeys(row["tasks"] for row in record["rows"]))
    n_columns = min(4, len(kinds))
    n_lines = -(-len(kinds) // n_columns)
    figure = Figure(figsize=(3.6 * n_columns, 3.6 * n_lines), layout="constrained")
    panels = figure.subplots(n_lines, n_columns, squeeze=False).ravel()
    for axes, tasks in zip(panels, kinds, strict=False):
        for row in (row for row in record["rows"] if row["tasks"] == tasks):
            colour, t = colour_of(row["policy"], GREY), np.array(row["t"])
            mean, error = np.array(row["all"]).T
            axes.loglog(t, mean, color=colour, label=row["policy"])
            axes.fill_between(t, mean - error, mean + error, color=colour, alpha=0.2)
            axes.loglog(t, np.array(row["here"])[:, 0], ":", color=colour)
            if row["policy"] == "random":
                c, late = row["slopes"][-1]["all"][3], t >= t[-1] / 200
                axes.loglog(t[late], c / np.sqrt(t[late]), "k--", linewidth=0.8, label="c / √t")
        axes.set_title(tasks, fontsize=10)
        axes.set_xlabel("step")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize=8)
    for axes in panels[len(kinds) :]:
        axes.remove()
    panels[0].set_ylabel("error of Q: all (line), here (dotted)")
    figure.savefig(file, dpi=100)


STUDY = Study(
    title=__doc__.splitlines()[0],
    sizes=Sizes(),
    smoke={"tasks": 3, "longer": 2, "looks": 8},
    measure=measure,
    show=show,
    draw=draw,
)

if __name__ == "__main__":
    sys.exit(run_study(STUDY, Path(__file__)))
