"""Where does the advantage of RL3 over RL2 vanish, as the tasks shift?

    python examples/studies/shifts.py              from the stored record
    python examples/studies/shifts.py --measure    again: minutes on one core

Agents play tasks that they were not trained on, with one number changed:

- random MDPs: the concentration of the transitions' Dirichlet distribution. They learned from 1; at
  0.05 one or two successors are likely, and at 5 all actions lead about everywhere, so that
  planning gains little above the best immediate reward.
- gridworlds: how often a move slips. They learned from 0.2. The maps are the canonical held-out
  ones, the same at every slip.

All published agents of these domains play the same held-out tasks, with sampled actions, so that
differences are paired by task. The classical agents play the first few of them. Scores are
fractions of the oracle's mean total, (sum of totals) / (sum of the oracle's). An advantage counts
as gone where it is less than two standard errors from 0. It is of these two policies: what another
seed of their training would show, the errors do not say.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rl3_sb3.experiments.algorithms import ALGORITHMS, colour_of
from rl3_sb3.experiments.baselines import make_baselines
from rl3_sb3.experiments.domains import CANONICAL, DOMAINS, register_domain
from rl3_sb3.experiments.drawing import Figure
from rl3_sb3.experiments.evaluation.evaluation import evaluate_agents
from rl3_sb3.experiments.evaluation.policy_agent import PolicyAgent
from rl3_sb3.experiments.evaluation.scores import mean_and_error
from rl3_sb3.experiments.pretrained.agents import published_agents
from rl3_sb3.experiments.results.labels import tasks_title
from rl3_sb3.experiments.results.statistics import paired_difference
from rl3_sb3.experiments.results.table import aligned
from rl3_sb3.experiments.studies.script import Study, run_study
from vamdp import TabularMDP
from vamdp.domains import GridWorlds, RandomMDPs

# By domain: what is changed, its usual value, and the classical agents beside.
SHIFTS = {
    "random-mdp": ("concentration", 1.0, ["random", "psrl", "vamdp-bonus"]),
    "gridworld": ("slip", 0.2, ["random", "certainty-equivalent", "r-max"]),
}
RL2, RL3 = ALGORITHMS["rl2"].title, ALGORITHMS["rl3"].title
STYLES = ["#777777", "#009e73", "#e69f00"]


@dataclass(frozen=True)
class Sizes:
    """What can be changed."""

    tasks: int = 1000
    """held-out tasks that trained agents play in each setting"""
    classical_tasks: int = 200
    """the first so many of them are the classical agents'"""
    concentrations: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
    """of random MDPs"""
    slips: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    """of gridworlds"""


@dataclass(frozen=True)
class SlipperyGrids:
    """The maps of `GridWorlds`, with another slip."""

    size: int
    slip: float

    def __call__(self, rng):
        """Draw a canonical map, and let its moves slip as often as wanted."""
        return TabularMDP.from_grid(GridWorlds(size=self.size)(rng).grid, self.slip)


def shifted(config, value):
    """Return a run's settings with the tasks of a shifted domain, which is registered."""
    what = SHIFTS[config.domain][0]
    name = f"{config.kind}, {what} {value:g}"
    if config.domain == "gridworld":
        tasks, scale = SlipperyGrids(config.size, value), float(config.size)
    else:
        tasks, scale = RandomMDPs(concentration=value), None
    if name not in DOMAINS:
        known = config.facts.transformations_of(config.size)
        domain = replace(
            config.facts,
            env_id=None,
            tasks=tasks,
            variations={},
            horizons={None: config.horizon},
            feature_scale=scale,
            transformations=(lambda _: known) if known else None,
        )
        register_domain(name, domain)
    return replace(config, domain=name, size=None, variation=CANONICAL)


def measure(args, pretrained):
    """Return one row for each kind of tasks and value."""
    agents = [each for each in published_agents(pretrained) if each.config.domain in SHIFTS]
    rows, missing = [], [name for name in SHIFTS if name not in {a.config.domain for a in agents}]
    for tasks in dict.fromkeys(agent.tasks for agent in agents):
        here = [agent for agent in agents if agent.tasks == tasks]
        what, usual, classical = SHIFTS[tasks[0]]
        for value in args.concentrations if what == "concentration" else args.slips:
            row = {"tasks": tasks_title(*tasks), "what": what, "usual": usual}
            rows.append(row | {"value": value, **play(here, classical, value, args)})
            print(f"measured {row['tasks']}, {what} {value:g}", flush=True)
    return {"agents": [agent.to_dict() for agent in agents], "missing": missing, "rows": rows}


def play(agents, classical, value, args):
    """Let all play in one setting; return scores, and differences to RL2."""
    scores, returns, n_classical = {}, {}, min(args.classical_tasks, args.tasks)
    config = shifted(agents[0].config, value)
    found = evaluate_agents(
        config, make_baselines(config, CANONICAL, classical), n_tasks=n_classical
    )
    for score in found.scores[:-1]:  # the oracle's comes last
        scores[score.title] = fraction(score.returns, found.oracle)
    for agent in agents:
        player = PolicyAgent(agent.policy, agent.title)
        found = evaluate_agents(shifted(agent.config, value), [player], n_tasks=args.tasks)
        scores[agent.title] = fraction(found.scores[0].returns, found.oracle)
        returns[agent.title] = found.scores[0].returns
    others = [title for title in returns if title != RL2 and RL2 in returns]
    return {
        "oracle": mean_and_error(found.oracle),
        "scores": scores,
        "minus": {title: paired_difference(returns[title], returns[RL2]) for title in others},
    }


def fraction(returns, oracle):
    """Return a score as a fraction of the oracle's, and its error; None if that gains nothing."""
    if oracle.sum() <= 0:
        return None, None
    share = returns.sum() / oracle.sum()
    # Of a ratio of means, to first order.
    error = mean_and_error(returns - share * oracle)[1] / oracle.mean()
    return float(share), float(error)


def show(record):
    """Print a table for each kind of tasks, and where the advantage is gone."""
    for tasks in dict.fromkeys(row["tasks"] for row in record["rows"]):
        rows = [row for row in record["rows"] if row["tasks"] == tasks]
        titles, others = list(rows[0]["scores"]), list(rows[0]["minus"])
        print(f"{tasks}\n")
        head = [rows[0]["what"], "oracle", *titles, *(f"{title} minus {RL2}" for title in others)]
        print(aligned(head, [line(row, titles, others) for row in rows]) + "\n")
        for title in others:
            print(f"{title}: {verdict(rows, title)}\n")
    for domain in record["missing"]:
        print(
            f"no row for the domain {domain}: no agent of it was published when this was "
            "measured.\n"
        )
    print(
        "Fractions of the oracle ± standard error over the tasks: trained agents in "
        f"{record['tasks']} held-out tasks, classical ones in the first "
        f"{record['classical_tasks']}. Differences: total reward, paired by task, and in % of the "
        "oracle."
    )


def line(row, titles, others):
    """Return a line of the table."""
    usual = " (trained on)" if row["value"] == row["usual"] else ""
    cells = [f"{row['value']:g}{usual}", "{:.1f} ± {:.1f}".format(*row["oracle"])]
    for title in titles:
        share, error = row["scores"][title]
        cells.append("-" if share is None else f"{share:.3f} ± {error:.3f}")
    for title in others:
        mean, error = row["minus"][title]
        cells.append(f"{mean:+.1f} ± {error:.1f} ({percent(mean, row)})")
    return cells


def percent(reward, row):
    """Return a reward in % of the oracle's."""
    return f"{100 * reward / row['oracle'][0]:+.1f} %" if row["oracle"][0] > 0 else "-"


def verdict(rows, title):
    """Say in which settings an agent's advantage over RL2 is gone."""
    gone = [
        f"{row['value']:g}" for row in rows if row["minus"][title][0] <= 2 * row["minus"][title][1]
    ]
    if gone:
        return f"no advantage over {RL2} at {rows[0]['what']} {', '.join(gone)}"
    least = min(rows, key=lambda row: row["minus"][title][0] / max(row["oracle"][0], 1e-9))
    return (
        f"ahead of {RL2} at every {least['what']}, least at {least['value']:g} "
        f"({percent(least['minus'][title][0], least)} of the oracle)"
    )


def draw(record, file):
    """Draw scores and differences over what is changed, a line of panels for each kind of tasks."""
    kinds = list(dict.fromkeys(row["tasks"] for row in record["rows"]))
    figure = Figure(figsize=(11, 3.8 * max(1, len(kinds))), layout="constrained")
    panels = figure.subplots(max(1, len(kinds)), 2, squeeze=False)
    for (scores, differences), tasks in zip(panels, kinds, strict=False):
        rows = [row for row in record["rows"] if row["tasks"] == tasks]
        x, oracle = [row["value"] for row in rows], np.array([row["oracle"][0] for row in rows])
        oracle[oracle <= 0] = np.nan
        styles = iter(STYLES)
        for title in rows[0]["scores"]:
            mean, error = np.array([row["scores"][title] for row in rows], float).T
            colour = colour_of(title, "")
            look = {"color": colour or next(styles), "linestyle": "-" if colour else "--"}
            scores.errorbar(x, mean, 2 * error, label=title, **look)
        for title in rows[0]["minus"]:
            mean, error = np.array([row["minus"][title] for row in rows]).T / oracle * 100
            differences.errorbar(x, mean, 2 * error, color=colour_of(title, "k"), label=title)
        differences.axhline(0, color="k", linewidth=0.5)
        scores.set_title(tasks)
        scores.set_ylabel("fraction of the oracle")
        differences.set_title(f"minus {RL2} (bars: two standard errors)")
        differences.set_ylabel("% of the oracle")
        for axes in (scores, differences):
            axes.axvline(rows[0]["usual"], color="k", linestyle=":", linewidth=0.8)
            axes.set_xlabel(f"{rows[0]['what']} (dotted: as in training)")
            axes.set_xscale("log" if rows[0]["what"] == "concentration" else "linear")
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.25)
        # One for both, outside, where it covers nothing.
        lines = scores.get_legend_handles_labels()
        differences.legend(*lines, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(file, dpi=100)


STUDY = Study(
    title=__doc__.splitlines()[0],
    sizes=Sizes(),
    smoke={"tasks": 3, "classical_tasks": 2, "concentrations": (0.05, 5.0), "slips": (0.0, 0.6)},
    measure=measure,
    show=show,
    draw=draw,
)

if __name__ == "__main__":
    sys.exit(run_study(STUDY, Path(__file__)))
