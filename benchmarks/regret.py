"""What learning from regret costs: a training iteration with either signal, in turns.

`vamdp.RegretReward` solves every task that an iteration draws, and looks the advantages up. Timed
are collecting with either signal, and one epoch; the iteration is collecting plus n_epochs epochs.
The cost is (collecting from regret - collecting from reward) / (iteration from reward), round by
round. Run:

    OMP_NUM_THREADS=1 python benchmarks/regret.py
    OMP_NUM_THREADS=1 python benchmarks/regret.py --smoke           (seconds; no figures)
"""

import dataclasses
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch as th
from command_line import parse
from phases import duration
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import configure

from rl3_sb3.experiments.domains import DOMAINS
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.run_config import SIGNALS, RunConfig


@dataclasses.dataclass
class Arguments:
    """What to measure."""

    steps: int = 32768
    """Steps per rollout, rounded down to whole meta-episodes."""
    batch_size: int = 4096
    """Steps per minibatch."""
    n_epochs: int = 8
    """Epochs of an iteration."""
    rounds: int = 5
    """Rounds; the median is reported, with the least and the greatest."""
    smoke: bool = False
    """Tiny sizes: only shows that all works."""


def make(args: Arguments, domain: str, signal: str) -> Any:
    """Return a model that can be asked for rollouts and updates without `learn`."""
    config = RunConfig.of(domain)
    config = RunConfig.of(
        domain,
        signal=signal,
        n_envs=max(2, args.steps // config.horizon),
        batch_size=args.batch_size,
        n_epochs=1,
        target_kl=None,
    )
    model = make_model(config, make_training_env(config), "cpu")
    model.set_logger(configure(None, []))
    model._setup_learn(10**9)
    model._callback = CallbackList([])
    model._callback.init_callback(model)
    return model


def collect(model: Any) -> float:
    """Collect one rollout and return its seconds."""
    arguments = (model.env, model._callback, model.rollout_buffer, model.n_steps)
    return seconds_of(lambda: model.collect_rollouts(*arguments))


def seconds_of(call: Callable[[], Any]) -> float:
    """Return the seconds of this process's CPU: other processes do not count."""
    return duration(call, now=time.process_time)[1]


def main() -> None:
    """Measure and print."""
    args = parse(Arguments, __doc__ or "")
    if args.smoke:
        args = dataclasses.replace(args, steps=500, batch_size=250, rounds=1)
    th.set_num_threads(1)
    for domain in DOMAINS:
        models = {signal: make(args, domain, signal) for signal in SIGNALS}
        for model in models.values():  # compiles
            collect(model)
            model.train()
        costs = []
        for _ in range(args.rounds):
            seconds = {signal: collect(model) for signal, model in models.items()}
            epoch = seconds_of(models["reward"].train)
            iteration = seconds["reward"] + args.n_epochs * epoch
            costs.append(100 * (seconds["regret"] - seconds["reward"]) / iteration)
        print(
            f"{domain:<12} regret costs {statistics.median(costs):5.2f} % of an iteration "
            f"({min(costs):.2f} to {max(costs):.2f}); iteration {iteration:.1f} s"
        )


if __name__ == "__main__":
    main()
