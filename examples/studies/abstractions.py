"""What is lost, and what is saved, when neighbouring tiles are one state to the learner?

    python examples/studies/abstractions.py              from the stored records
    python examples/studies/abstractions.py --measure    again: some minutes on one core
    python examples/studies/abstractions.py --train      train what is missing (cost: --help)

RL3-coarse puts up to `size` tiles no farther apart than `radius` into one state of the model. In
gridworlds the informed agent, which knows how maps are drawn, acts for the first half of a
meta-episode while learners with different clusters watch. Then each of them acts alone, greedily
on its values, for the second half: its reward there says what its values are worth to who
exploits them. The learner of single tiles (size 1) is what RL3 has; the informed agent that goes on
is the yardstick.

`us per step`: CPU time of one task's update, planning and look-up in a batch of all tasks; `ratio`
to size 1. `meta-episode`: the time of a whole one of RL3 with these clusters, its transformer
included (not trained, so that it wanders about), over that of RL2 (`--players` at a time). The
paper: RL3-coarse (size 2, radius 1) keeps 90 % of RL3's return or more, and costs 1.1 times RL2,
where RL3 costs twice.

Published gridworld agents of this learner, where there are some, play the same tasks with each of
the clusters in the place of those that they were trained with.

Beside that, RL3 is trained with clusters of each size (radius 1 only), and RL2, for as many steps
as a quarter of the published agents' runs had, with the same schedules.
"""

import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from rl3_sb3.experiments.baselines import make_baselines
from rl3_sb3.experiments.domains import CANONICAL
from rl3_sb3.experiments.drawing import Figure
from rl3_sb3.experiments.errors import InputError
from rl3_sb3.experiments.evaluation.evaluation import play
from rl3_sb3.experiments.evaluation.policy_agent import PolicyAgent
from rl3_sb3.experiments.evaluation.scores import mean_and_error
from rl3_sb3.experiments.paper.published import OVERHEAD
from rl3_sb3.experiments.pretrained.agents import published_agents
from rl3_sb3.experiments.results.labels import tasks_title
from rl3_sb3.experiments.results.table import aligned, mean_label
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.studies.figures import (
    by_agent,
    by_tasks,
    draw_runs,
    runs_table,
    seeds_means,
)
from rl3_sb3.experiments.studies.script import Study, run_study
from vamdp.baselines.tabular.ties import best_actions
from vamdp.estimators import Scales
from vamdp.estimators.model_based.batch_value_estimator import BatchValueEstimator
from vamdp.estimators.table import DEFAULT

# Size and radius.
CLUSTERS = ((1, 1.0), (2, 1.0), (4, 1.0), (4, 2.0), (8, 1.0), (8, 2.0), (8, 3.0))
GRIDS = (11, 13)
# What a meta-episode costs in the paper, over RL2's, and how the line is drawn.
PAPER = {
    OVERHEAD["rl3-coarse"]: ("paper: RL³-coarse", "--"),
    OVERHEAD["rl3"]: ("paper: RL³", ":"),
}
# Of RL3's return, above a random policy's: in the paper RL3-coarse keeps this much or more.
KEPT = 0.9
COLOURS = {1: "C1", 2: "C2", 4: "C3", 8: "C4"}  # by size, as those of the trained agents
MARKERS = {1.0: "o", 2.0: "s", 3.0: "^"}  # by radius


@dataclass(frozen=True)
class Sizes:
    """What can be changed."""

    tasks: int = 250
    """held-out tasks of each size"""
    rounds: int = 5
    """turns in which whole meta-episodes are timed"""
    players: int = 32
    """meta-episodes at a time there"""


class Exploiter:
    """Acts as the informed agent did for half a meta-episode, then greedily on learned values.

    Args:
        config: Of a run with the tasks.
        informed: The informed agent, which then acts to the end, or the `Exploiter` that had it.
        options: Of the learner; None: the informed agent acts.
    """

    sees: ClassVar[Literal["states"]] = "states"
    title = "informed, then values"

    def __init__(self, config, informed, options):
        self._config, self._informed, self._options = config, informed, options
        self.exploited, self.n_states, self.seconds, self.n_steps = [], [], 0.0, 0
        self.acted = []  # in each batch, at each step

    def start(self, n_tasks, seed):
        """Begin meta-episodes in so many new tasks."""
        self._rng, self._t = np.random.default_rng(seed), 0
        self.exploited.append(np.zeros(n_tasks))
        self.acted.append([])
        if self._options is None:
            self._informed.start(n_tasks, seed)
        else:
            self._learner = BatchValueEstimator(n_tasks, 5, **self._options)
            self._shown = np.zeros((n_tasks, 11), np.float32)

    def act(self, seen):
        """Choose actions, shape (n_tasks,)."""
        if self._options is None:
            actions = self._informed.act(seen)
        elif self._t < self._config.horizon // 2:
            actions = self._informed.acted[len(self.acted) - 1][self._t]
        else:
            actions = best_actions(self._learner.q_values(self._places(seen)), self._rng)
        self.acted[-1].append(actions)
        return actions

    def learn(self, states, actions, rewards, next_states, terminated, truncated):
        """Take in a step."""
        if self._t >= self._config.horizon // 2:
            self.exploited[-1] += rewards
        self._t += 1
        if self._options is None:
            self._informed.learn(states, actions, rewards, next_states, terminated, truncated)
            return
        here, there = self._places(states), self._places(next_states)
        start = time.process_time()
        self._learner.update(here, actions, rewards, there, terminated)
        self._learner.write(there, Scales(), self._shown)
        self.seconds += time.process_time() - start
        self.n_steps += len(states)
        if self._t == self._config.horizon:
            self.n_states.append(self._learner.n_states)

    def _places(self, states):
        """Return rows and columns, (n_tasks, 2)."""
        return np.stack(np.divmod(states, self._config.size), axis=1).astype(float)


def measure(args, pretrained):
    """Return a row for each kind of clusters in each size of grids."""
    try:
        published = published_agents(pretrained)
    except InputError:  # there are none
        published = []
    # Clusters are of the model-based learner; RL2 has none.
    grids = [
        agent
        for agent in published
        if agent.config.domain == "gridworld" and agent.config.estimator in (None, DEFAULT)
    ]
    rows = []
    for size in GRIDS:
        rows += measured(size, args, [agent for agent in grids if agent.config.size == size])
        print(f"measured {size}x{size}", flush=True)
    return {"rows": rows, "agents": [agent.to_dict() for agent in grids]}


def measured(size, args, published):
    """Return the rows of grids of one size, the informed agent's first."""
    config = RunConfig.of("gridworld", algo="rl3", size=size)
    (informed,) = make_baselines(config, CANONICAL, ["informed"])
    tasks = {"n_tasks": args.tasks, "variation": CANONICAL}
    title = tasks_title("gridworld", size, config.horizon)
    guide = Exploiter(config, informed, None)
    play(config, guide, **tasks)
    rows = [{"tasks": title, "size": 0, "radius": 0, "exploited": score(guide)}]
    ratios = episode_ratios(size, args)
    compiling = Exploiter(config, guide, config.estimator_options)  # not to be timed below
    play(config, compiling, **tasks)
    first = None
    for n, radius in CLUSTERS:
        options = {**config.estimator_options, "cluster_size": n, "cluster_radius": radius}
        agent = Exploiter(config, guide, options)
        play(config, agent, **tasks)
        us = 1e6 * agent.seconds / agent.n_steps
        first = first or us
        row = {
            "tasks": title,
            "size": n,
            "radius": radius,
            "exploited": score(agent),
            "n_states": float(np.concatenate(agent.n_states).mean()),
            "us": us,
            "ratio": us / first,
            "episode": ratios[n, radius],
            "published": {},
        }
        for each in published:
            if each.config.estimator is not None:
                own = replace(each.config, estimator_options=options)
                total = play(own, PolicyAgent(each.policy), **tasks)
                row["published"][each.name] = mean_and_error(total.returns)
        rows.append(row)
    return rows


def score(agent):
    """Return mean and error of what an agent got in the second half."""
    return mean_and_error(np.concatenate(agent.exploited))


def episode_ratios(size, args):
    """Return the time of a whole meta-episode over RL2's, by size and radius of the clusters."""
    rl2 = RunConfig.of("gridworld", recipe="paper", algo="rl2", size=size, n_envs=2)
    rl3 = RunConfig.of("gridworld", recipe="paper", algo="rl3", size=size, n_envs=2)
    configs = {None: rl2}
    for n, radius in CLUSTERS:
        options = {**rl3.estimator_options, "cluster_size": n, "cluster_radius": radius}
        configs[n, radius] = replace(rl3, estimator_options=options)
    agents = {
        key: PolicyAgent(make_model(each, make_training_env(each), "cpu").policy)
        for key, each in configs.items()
    }
    seconds = {key: [] for key in configs}
    for i in range(args.rounds + 1):  # the first compiles
        for key, each in configs.items():
            start = time.process_time()
            play(each, agents[key], n_tasks=args.players, variation=CANONICAL)
            if i > 0:
                seconds[key].append(time.process_time() - start)
    base = np.array(seconds.pop(None))
    return {key: float(np.median(np.array(own) / base)) for key, own in seconds.items()}


def show(record):
    """Print the trained agents, then a line for each kind of clusters."""
    for title, runs in by_tasks(record["runs"]).items():
        print(f"{title}, trained\n\n{runs_table(runs)}\n")
    for title in dict.fromkeys(row["tasks"] for row in record["rows"]):
        informed, *rows = (row for row in record["rows"] if row["tasks"] == title)
        names = list(rows[0]["published"])
        head = ["size", "radius", "second half", "minus size 1", "states", "us per step", "ratio"]
        lines = [["informed", "", mean_label(*informed["exploited"]), *[""] * (5 + len(names))]]
        for row in rows:
            difference = row["exploited"][0] - rows[0]["exploited"][0]
            lines.append(
                [
                    str(row["size"]),
                    f"{row['radius']:.0f}" if row["size"] > 1 else "",
                    mean_label(*row["exploited"]),
                    f"{difference:+.1f}" if row["size"] > 1 else "",
                    f"{row['n_states']:.1f}",
                    f"{row['us']:.1f}",
                    f"{row['ratio']:.2f}",
                    f"{row['episode']:.2f}x",
                    *(mean_label(*row["published"][name]) for name in names),
                ]
            )
        print(f"{title}\n\n{aligned([*head, 'meta-episode', *names], lines)}\n")
    if not record["agents"]:
        print(
            "No gridworld agent was published when this was measured: nothing here is of trained "
            "agents."
        )


def draw(record, file):
    """Draw the return of the second half against the time of planning, and of a meta-episode.

    Below that, the learning curves of trained agents, and what these get in the held-out tasks.
    """
    titles = list(dict.fromkeys(row["tasks"] for row in record["rows"]))
    groups = by_tasks(record["runs"])
    n_rows = 2 + len(groups)
    figure = Figure(figsize=(4.6 * len(titles), 3.7 * n_rows), layout="constrained")
    panels = figure.subplots(n_rows, len(titles), squeeze=False)
    for (title, runs), row in zip(groups.items(), panels[2:], strict=True):
        draw_trained(row, title, runs, [r for r in record["rows"] if r["tasks"] == title])
    for (upper, lower), title in zip(panels[:2].T, titles, strict=True):
        informed, *rows = (row for row in record["rows"] if row["tasks"] == title)
        for axes, cost in ((upper, "ratio"), (lower, "episode")):
            for row in rows:
                kind = {"color": COLOURS[row["size"]], "fmt": MARKERS[row["radius"]]}
                axes.errorbar(row[cost], *row["exploited"], label=name_of(row), **kind)
            level = informed["exploited"][0]
            axes.axhline(level, color="#777777", linestyle="-.", label="informed agent")
            axes.set_ylabel("reward in the second half")
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.25)
        upper.set_title(title)
        upper.set_xlabel("time of planning, single tiles: 1")
        lower.set_xlabel("time of a meta-episode, RL²: 1")
        draw_costs_of_paper(lower)
        lower.legend(frameon=False, fontsize=8, loc="center right")
    figure.savefig(file, dpi=120)


def name_of(row):
    """Return what a row's clusters are called in the legend."""
    return f"size {row['size']}, radius {row['radius']:.0f}" if row["size"] > 1 else "single tiles"


def draw_costs_of_paper(axes):
    """Mark what a meta-episode costs in the paper."""
    for cost, (what, style) in PAPER.items():
        axes.axvline(cost, color="#009e73", linestyle=style, linewidth=1, label=what)


def draw_trained(row, title, runs, measured):
    """Draw the learning curves, and the held-out return against the time of a meta-episode."""
    learning, costs = row[0], row[-1]
    colours = {name: f"C{i}" for i, name in enumerate(by_agent(runs))}
    draw_runs(learning, runs, colours)
    learning.set_title(f"{title}, trained")
    learning.set_ylabel("total reward of the training meta-episodes")
    learning.legend(frameon=False, fontsize=8)
    times = {f"size-{r['size']}": r["episode"] for r in measured[1:] if r["radius"] == 1}
    for name, seeds in by_agent(runs).items():
        scores = seeds_means(seeds, "sampled")
        x = np.full(len(scores), times.get(seeds[0].variant, 1.0))  # RL2's is 1
        costs.plot(x, scores, ".", color=colours[name], alpha=0.5)
        costs.plot(x[0], scores.mean(), "o", color=colours[name])
        if seeds[0].variant == "size-1":
            random = seeds[0].scores[CANONICAL]["random"].mean
            kept = random + KEPT * (scores.mean() - random)
            label = f"{KEPT:.0%} of single tiles"
            costs.axhline(kept, color="#777777", linestyle="--", linewidth=1, label=label)
    draw_costs_of_paper(costs)
    costs.legend(frameon=False, fontsize=8)
    costs.set_title("held-out tasks")
    costs.set_xlabel("time of a meta-episode, RL²: 1")
    costs.set_ylabel("total reward")
    costs.spines[["top", "right"]].set_visible(False)
    costs.grid(alpha=0.25)


STUDY = Study(
    title="What do clusters of states lose and save?",
    sizes=Sizes(),
    smoke={"tasks": 2, "rounds": 1, "players": 2},
    measure=measure,
    show=show,
    draw=draw,
    trains=True,
)

if __name__ == "__main__":
    sys.exit(run_study(STUDY, Path(__file__)))
