"""What knowing the true task costs in training: iterations with and without, in turns.

`vamdp.RegretReward` solves every task that an iteration draws, and looks the advantages up.
`vamdp.ShowTask` shows the critic what they are in the present state. Timed are collecting and one
epoch; an iteration is collecting plus n_epochs epochs. The cost is what is added to the iteration
that knows nothing, in shares of it, round by round: by the signal to collecting, by a critic that
sees the task to its epochs too. Run:

    OMP_NUM_THREADS=1 python benchmarks/regret.py
    OMP_NUM_THREADS=1 python benchmarks/regret.py --smoke           (seconds; no figures)
"""

import dataclasses
import statistics
from typing import Any

import torch as th
from command_line import parse
from timing import cpu_seconds

from rl3_sb3.experiments.domains import DOMAINS
from rl3_sb3.experiments.settings.run_config import RunConfig
from rl3_sb3.experiments.studies.trainable import collect, trainable

WAYS: dict[str, dict[str, Any]] = {
    "neither": {},
    "regret": {"signal": "regret"},
    "task": {"critic_sees": "task"},
}


@dataclasses.dataclass
class Arguments:
    """What to measure."""

    steps: int = 32768
    """Steps per rollout, rounded down to whole meta-episodes."""
    batch_size: int = 4096
    """Steps per minibatch."""
    n_epochs: int = 8
    """Epochs of an iteration."""
    horizon: int = 0
    """Steps of a meta-episode; 0: each domain's own."""
    rounds: int = 5
    """Rounds; the median is reported, with the least and the greatest."""
    smoke: bool = False
    """Tiny sizes: only shows that all works."""


def make(args: Arguments, domain: str, settings: dict[str, Any]) -> Any:
    """Return a model that can be asked for rollouts and updates without `learn`."""
    horizon = args.horizon or RunConfig.of(domain).horizon
    config = RunConfig.of(
        domain,
        **settings,
        recipe="paper",
        horizon=horizon,
        n_envs=max(2, args.steps // horizon),
        batch_size=args.batch_size,
        n_epochs=1,
        target_kl=None,
    )
    return trainable(config)


def main() -> None:
    """Measure and print."""
    args = parse(Arguments, __doc__ or "")
    if args.smoke:
        args = dataclasses.replace(args, steps=500, batch_size=250, rounds=1)
    th.set_num_threads(1)
    for domain in (name for name, facts in DOMAINS.items() if facts.has_tables):
        models = {way: make(args, domain, settings) for way, settings in WAYS.items()}
        for model in models.values():  # compiles
            collect(model)
            model.train()
        costs: dict[str, list[float]] = {"regret": [], "task": []}
        for _ in range(args.rounds):
            rollout = {
                way: cpu_seconds(lambda m=model: collect(m)) for way, model in models.items()
            }
            epoch = {way: cpu_seconds(models[way].train) for way in ("neither", "task")}
            iteration = rollout["neither"] + args.n_epochs * epoch["neither"]
            for way, found in costs.items():
                added = rollout[way] - rollout["neither"]
                added += args.n_epochs * (epoch.get(way, epoch["neither"]) - epoch["neither"])
                found.append(100 * added / iteration)
        print(f"{domain:<12} {spread('regret', costs)}, {spread('task', costs)} % of an iteration")


def spread(way: str, costs: dict[str, list[float]]) -> str:
    """Return the median of the rounds, with the least and the greatest."""
    found = costs[way]
    return f"{way} costs {statistics.median(found):5.2f} ({min(found):.2f} to {max(found):.2f})"


if __name__ == "__main__":
    main()
