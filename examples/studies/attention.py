"""What does the decision rest on: values and counts, or the history beside them?

    python examples/studies/attention.py              from the stored record
    python examples/studies/attention.py --measure    again: minutes on one core

Asked of every published agent with a transformer, in held-out tasks, with sampled actions:

1. Attention. How its mass is spread over the agent's own token, the previous step, the rest of this
   episode, the last one and older ones; and whether earlier tokens with the present state get more
   than tokens have on average ("lift", 1: no more), or tokens one step after it, which hold the
   action taken there and its reward.
2. Gradients of the margin, the logit of the likeliest action less that of the second. (The gradient
   of the chosen action's log-probability has a factor 1 - probability, and so vanishes where the
   policy is sure; what would tip the decision does not.) Each input is scaled by its standard
   deviation over the data. The squares then add up to the margin's variance, to first order, if all
   inputs moved by themselves; shown is which share comes from which part of which tokens.
3. Ablations, which are causal. Parts of the observation are replaced by those of another task at
   the same step, through the whole meta-episode, everywhere or in older tokens only; or older
   tokens are hidden from all layers. The agent acts on what is left, and the loss of return is
   measured in the same tasks. No agent was trained for that, so a loss says what this network uses,
   not what one could do without.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rl3_sb3 import CausalTransformer
from rl3_sb3.experiments.drawing import Figure
from rl3_sb3.experiments.environments import make_envs
from rl3_sb3.experiments.evaluation.evaluation import evaluate_agents, play
from rl3_sb3.experiments.evaluation.scores import mean_and_error
from rl3_sb3.experiments.pretrained.agents import published_agents
from rl3_sb3.experiments.results.labels import tasks_title
from rl3_sb3.experiments.results.statistics import paired_difference
from rl3_sb3.experiments.results.table import aligned
from rl3_sb3.experiments.studies.attention import (
    PARTS,
    Ablated,
    Watched,
    attention_mass,
    gradient_shares,
)
from rl3_sb3.experiments.studies.script import Study, run_study
from vamdp.baselines import RandomAgent

ESTIMATES = ("advantage", "value", "count")
OUTCOMES = ("previous_action", "previous_reward")
EVERYTHING = ("state", *ESTIMATES, *OUTCOMES)  # but the clocks, which are the same in all tasks
# What is taken away: see `Ablated`.
ABLATIONS = {
    "values of another task": {"parts": ("advantage", "value")},
    "counts of another task": {"parts": ("count",)},
    "values, counts of another task": {"parts": ESTIMATES},
    "the same, in older tokens only": {"parts": ESTIMATES, "only_remembered": True},
    "actions, rewards of another task": {"parts": OUTCOMES},
    "these, in older tokens only": {"parts": OUTCOMES, "only_remembered": True},
    "older tokens of another task": {"parts": EVERYTHING, "only_remembered": True},
    "all but this episode": {"sees": "episode"},
    "all but the present step": {"sees": "self"},
}
# Okabe and Ito's, and greys for what is older.
COLOURS = ["#f0e442", "#0072b2", "#56b4e9", "#009e73", "#d55e00", "#e69f00", "#cc79a7"]
COLOURS += ["#999999", "#444444"]


@dataclass(frozen=True)
class Sizes:
    """What can be changed."""

    tasks: int = 100
    """held-out tasks of which attention and gradients are taken"""
    played: int = 500
    """held-out tasks that are played with each ablation"""
    looks: int = 40
    """steps, evenly spaced, at which gradients are taken"""


def measure(args, pretrained):
    """Return one row for each agent."""
    agents, rows, skipped = [], [], []
    for agent in published_agents(pretrained):
        if not isinstance(agent.policy.actor, CausalTransformer):
            skipped.append(agent.name)
            continue
        layout = make_envs(agent.config, 1).layout
        n_heads = agent.config.policy_arguments["n_heads"]
        tasks = tasks_title(*agent.tasks)
        agents.append(agent.to_dict())
        row = {"agent": agent.to_dict() | {"n_heads": n_heads}, "tasks": tasks}
        row |= look_inside(agent, layout, args)
        row["ablations"] = ablate(agent, layout, args)
        rows.append(row)
        print(f"measured {agent.name}", flush=True)
    return {"agents": agents, "skipped": skipped, "rows": rows}


def look_inside(agent, layout, args):
    """Return where attention and gradients go."""
    watched = Watched(agent.policy)
    play(agent.config, watched, n_tasks=args.tasks, variation=agent.config.variation)
    x, H = watched.sequences(), agent.config.horizon
    looks = np.unique(np.linspace(1, H - 1, args.looks).round().astype(int))
    late = slice(H // 2, H)
    mass = attention_mass(agent.policy.actor, x, layout)
    gradients = grouped(gradient_shares(agent.policy.actor, x, layout, looks))
    halves = [looks < H // 2, looks >= H // 2]
    return {
        "t": looks.tolist(),
        # All heads together over the meta-episode; then each one late in it.
        "mass": {k: v.mean((0, 1, 2)).round(4).tolist() for k, v in mass.by_distance.items()},
        "uniform": {k: float(v[:, late].mean()) for k, v in mass.uniform.items()},
        "heads": {k: by_head(v[..., late].mean(-1)) for k, v in mass.by_distance.items()},
        "lift": {k: by_head(mass.lift(k, late)) for k in mass.by_state},
        "gradients": {k: v.mean(1).tolist() for k, v in gradients.items()},
        "halves": {k: [mean_and_error(v[h].mean(0)) for h in halves] for k, v in gradients.items()},
    }


def by_head(values):
    """Return mean and error over the tasks for each head, of (n_layers, n_tasks, n_heads)."""
    return [mean_and_error(head) for layer in values for head in layer.T]


def grouped(shares):
    """Return gradients' shares by part of the present token; of older ones in two groups."""
    zero = np.zeros_like(next(iter(shares.values())))
    columns = {f"{part}, now": shares.get(f"{part}, now", zero) for part in PARTS}
    older = {part: shares.get(f"{part}, before", zero) for part in PARTS}
    columns["older: estimates"] = sum(older[part] for part in ESTIMATES)
    columns["older: the rest"] = sum(older.values()) - columns["older: estimates"]
    return columns


def ablate(agent, layout, args):
    """Return total rewards with and without each part."""
    config, n_actions = agent.config, int(agent.policy.action_space.n)
    players = [RandomAgent(n_actions), Ablated(agent.policy, "intact", layout)]
    for title, ablation in ABLATIONS.items():
        wanted = ablation.get("parts", ())
        parts = [part for part in wanted if part in layout]
        if len(parts) < len(wanted) and wanted != EVERYTHING:
            continue
        if config.task_horizon > 1 or ablation.get("sees") != "episode":
            players.append(Ablated(agent.policy, title, layout, **ablation | {"parts": parts}))
    found = evaluate_agents(config, players, n_tasks=args.played)
    random, intact = (score.returns for score in found.scores[:2])
    gain = float((intact - random).mean())
    return [
        {
            "title": score.title,
            "return": mean_and_error(score.returns),
            "loss": paired_difference(intact, score.returns),
            "share": float((intact - score.returns).mean()) / gain,
        }
        for score in found.scores
    ]


def show(record):
    """Print three tables: attention, gradients, ablations."""
    rows, n = record["rows"], record["tasks"]
    classes, columns = list(rows[0]["heads"]), list(rows[0]["halves"])
    print(f"Attention in the second half of the meta-episode, % of the mass, {n} tasks.\n")
    head = ["agent", "layer, head", *classes, "lift, same state", "lift, step after it"]
    print(aligned(head, [line for row in rows for line in attention_lines(row, classes)]) + "\n")
    print(f"Squared gradient of the margin, %, {n} tasks.\n")
    head = ["agent", "half", *columns]
    print(aligned(head, [line for row in rows for line in gradient_lines(row, columns)]) + "\n")
    print(f"What is lost when something is taken away, {record['played']} tasks.\n")
    head = ["agent", "taken away", "total reward", "loss", "of the gain over random"]
    print(aligned(head, [line for row in rows for line in ablation_lines(row)]) + "\n")
    if record["skipped"]:
        print(f"without attention, so left out: {', '.join(record['skipped'])}\n")
    print("± standard error over the tasks; losses are paired by task.")


def attention_lines(row, classes):
    """Return a line for each head, and one of attention that treats all tokens alike."""
    name, n_heads = row["agent"]["name"], row["agent"]["n_heads"]
    chance = [f"{100 * row['uniform'][each]:.1f}" for each in classes]
    yield [name, "all tokens alike", *chance, *["1" if row["lift"] else ""] * 2]
    for i in range(len(row["heads"][classes[0]])):
        shares = [percent(*row["heads"][each][i]) for each in classes]
        lifts = ["{:.2f} ± {:.2f}".format(*heads[i]) for heads in row["lift"].values()]
        yield [name, f"{1 + i // n_heads}, {1 + i % n_heads}", *shares, *(lifts or ["", ""])]


def gradient_lines(row, columns):
    """Return a line for each half of the meta-episode."""
    for i, half in enumerate(("first", "second")):
        yield [row["agent"]["name"], half, *(percent(*row["halves"][each][i]) for each in columns)]


def ablation_lines(row):
    """Return a line for each ablation, after the random policy and the whole agent."""
    for played in row["ablations"]:
        cells = [row["agent"]["name"], played["title"], "{:.1f} ± {:.1f}".format(*played["return"])]
        if played["title"] not in ("random", "intact", "oracle"):
            cells += ["{:.1f} ± {:.1f}".format(*played["loss"]), f"{100 * played['share']:.0f} %"]
        yield cells + [""] * (5 - len(cells))


def percent(mean, error):
    """Return a share in %."""
    return f"{100 * mean:.1f} ± {100 * error:.1f}"


def draw(record, file):
    """Draw attention and gradients over the steps, and the losses: a line for each agent."""
    rows = record["rows"]
    figure = Figure(figsize=(13, 2.8 * len(rows) + 0.8), layout="constrained")
    lines = figure.subplots(len(rows), 3, squeeze=False)
    for (attention, gradients, losses), row in zip(lines, rows, strict=True):
        steps = np.arange(1, len(row["mass"]["self"]) + 1)
        attention.stackplot(steps, *row["mass"].values(), labels=list(row["mass"]), colors=COLOURS)
        shares = row["gradients"]
        gradients.stackplot(row["t"], *shares.values(), labels=list(shares), colors=COLOURS)
        for axes in (attention, gradients):
            axes.set_ylim(0, 1)
            axes.set_xlim(1, len(steps))
        attention.set_title(f"{row['agent']['name']}: attention", fontsize=10)
        gradients.set_title("squared gradient of the margin", fontsize=10)
        ablations = row["ablations"][2:-1]  # without random, intact and oracle
        titles = [played["title"] for played in ablations]
        losses.barh(titles, [100 * played["share"] for played in ablations], color=COLOURS[1])
        losses.invert_yaxis()
        losses.set_xlim(-5, 115)
        losses.set_title("loss, % of the gain over random", fontsize=10)
        losses.spines[["top", "right"]].set_visible(False)
    for axes in lines[-1][:2]:
        axes.set_xlabel("step")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, fontsize=7)
    figure.savefig(file, dpi=80)


STUDY = Study(
    title=__doc__.splitlines()[0],
    sizes=Sizes(),
    smoke={"tasks": 3, "played": 3, "looks": 4},
    measure=measure,
    show=show,
    draw=draw,
)

if __name__ == "__main__":
    sys.exit(run_study(STUDY, Path(__file__)))
