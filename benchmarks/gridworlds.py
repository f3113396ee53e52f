"""What gridworlds cost: drawing tasks, planning in them, and a training iteration with either.

tasks       accepted grids drawn on one core, and how much faster the generator's own backward
            induction accepts them than the library's sparse one
planning    microseconds per step and task of the batched learner, on the walks of an exploring
            agent (`walks.py`), with the experiments' settings: full resolution, RL3-coarse
            (pairs of tiles), and full resolution from the last values on (warm start)
iteration   one PPO iteration (collection and all epochs) of RL2, RL3-coarse and RL3, in turns on
            one thread; the paper's figures are 1x, 1.1x and 2x per meta-episode on 13x13

The agent of an iteration is untrained and explores little. The last column therefore adds to RL2's
iteration what planning takes on the walks of the exploring agent.

Run: OMP_NUM_THREADS=1 python benchmarks/gridworlds.py
     OMP_NUM_THREADS=1 python benchmarks/gridworlds.py --smoke      (checks that everything runs)
"""

import dataclasses
import platform
import statistics
import time
from typing import Any

import numpy as np
import torch as th
from command_line import parse
from phases import Clock, planner
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import configure
from timing import cpu_seconds, spread
from walks import WalkArguments, walk

import vamdp
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig
from vamdp.domains import GridWorlds
from vamdp.domains.grids.generator import ACCEPTED_HORIZON, best_return, draw_grid

PAPER = {"rl2": 1.0, "rl3-coarse": 1.1, "rl3": 2.0}


@dataclasses.dataclass
class Arguments:
    """What to measure."""

    size: int = 13
    """Rows and columns, 11 or 13."""
    horizon: int = 350
    """Steps of a meta-episode."""
    n_envs: int = 93
    """Environments of an iteration: 93 * 350 steps are about the paper's 32768."""
    batch_size: int = 4096
    """Steps per minibatch."""
    n_epochs: int = 8
    """Passes over an iteration's steps."""
    tasks: int = 2000
    """Grids drawn."""
    walks: int = 32
    """Meta-episodes planned through."""
    rounds: int = 3
    """How often everything is measured; medians and ranges are reported."""
    seed: int = 0
    """Of everything random."""
    smoke: bool = False
    """Tiny sizes: checks that everything runs."""


def measure_tasks(args: Arguments) -> None:
    """Draw tasks; accept grids in both ways."""
    rng = np.random.default_rng(args.seed)
    distribution = GridWorlds(args.size)
    distribution(rng)
    rates, ratios = [], []
    some = range(args.tasks // 4)
    keys, tiles = np.array([args.seed], np.uint64), np.empty((args.size, args.size), np.int8)
    draw_grid(keys, 11, 3, 5, 2, 2, 8, tiles)
    task = distribution(rng)
    for _ in range(args.rounds):
        rates.append(
            args.tasks / cpu_seconds(lambda: [distribution(rng) for _ in range(args.tasks)])
        )
        own = cpu_seconds(lambda: [best_return(tiles, 0.2, ACCEPTED_HORIZON) for _ in some])
        sparse = cpu_seconds(lambda: [task.optimal_values(ACCEPTED_HORIZON) for _ in some])
        ratios.append(sparse / own)
    print(f"tasks: {spread(rates, 0)} accepted {args.size}x{args.size} grids a second")
    print(f"       accepting takes 1/{spread(ratios)} of the time of sparse sweeps\n")


def measure_planning(args: Arguments) -> dict[str, list[float]]:
    """Return microseconds per step and task, by algorithm."""
    walk_arguments = WalkArguments(size=args.size, horizon=args.horizon, gamma=0.95, smoothing=0.01)
    rng = np.random.default_rng(args.seed)
    walks = [walk(rng, walk_arguments) for _ in range(args.walks)]
    cells = np.stack([w.cells for w in walks], axis=1)
    actions = np.stack([w.steps[:, 1] for w in walks], axis=1)
    rewards = np.stack([w.rewards for w in walks], axis=1)
    ends = np.stack([w.ends for w in walks], axis=1)

    def replay(learner: vamdp.BatchValueEstimator) -> None:
        learner.forget()
        for t in range(args.horizon):
            learner.update(cells[t, :, 0], actions[t], rewards[t], cells[t, :, 1], ends[t])
            learner.plan()

    learners = {}
    for name in ("rl3-coarse", "rl3", "rl3, warm start"):
        config = RunConfig.of(
            "gridworld",
            size=args.size,
            horizon=args.horizon,
            algo=name.split(",")[0],
            warm_start="warm" in name,
        )
        learners[name] = vamdp.BatchValueEstimator(args.walks, 5, **config.estimator_options)
        replay(learners[name])
    times: dict[str, list[float]] = {name: [] for name in learners}
    for _ in range(args.rounds):
        for name, learner in learners.items():
            steps = args.walks * args.horizon
            times[name].append(1e6 * cpu_seconds(lambda learner=learner: replay(learner)) / steps)
    n_states = [int(w.n_states[-1]) for w in walks]
    print(f"planning: exploring walks, {statistics.median(n_states):.0f} states at the end")
    for name, values in times.items():
        n_sweeps = learners[name].n_sweeps.mean()
        print(
            f"  {name:<16} {spread(values)} microseconds a step; {n_sweeps:.0f} sweeps at the end"
        )
    print()
    return times


def measure_iterations(args: Arguments) -> dict[str, dict[str, list[float]]]:
    """Return seconds of each phase of an iteration, by algorithm."""
    models: dict[str, Any] = {}
    for algo in PAPER:
        config = RunConfig.of(
            "gridworld",
            recipe="paper",
            size=args.size,
            horizon=args.horizon,
            algo=algo,
            n_envs=args.n_envs,
            batch_size=args.batch_size,
            n_epochs=args.n_epochs,
            target_kl=1e9,  # all epochs for both networks, so that all do the same work
        )
        model = make_model(config, make_training_env(config), "cpu")
        model.set_logger(configure(None, []))
        model._setup_learn(10**9, None)
        models[algo] = model
    times: dict[str, dict[str, list[float]]] = {
        algo: {phase: [] for phase in ("collect", "train", "planning")} for algo in models
    }
    for _ in range(args.rounds):
        for algo, model in models.items():
            planned = Clock(planner(model.env), "write", now=time.process_time)
            callback = CallbackList([])
            callback.init_callback(model)
            with planned.running():
                collect = cpu_seconds(
                    lambda model=model, callback=callback: model.collect_rollouts(
                        model.env, callback, model.rollout_buffer, model.n_steps
                    )
                )
            train = cpu_seconds(model.train)
            for phase, value in (
                ("collect", collect), ("train", train), ("planning", planned.seconds),
            ):  # fmt: skip
                times[algo][phase].append(value)
    return times


def report_iterations(
    args: Arguments,
    times: dict[str, dict[str, list[float]]],
    planning_times: dict[str, list[float]],
) -> None:
    """Print iterations beside the paper's figures."""
    steps = args.n_envs * args.horizon
    base = [c + t for c, t in zip(times["rl2"]["collect"], times["rl2"]["train"], strict=True)]
    print(f"iteration: {steps} steps, {args.n_epochs} epochs, one thread; CPU seconds")
    header = ("algorithm", "collect", "train", "planning", "of RL2's time", "exploring", "paper")
    print("  {:<12}{:<18}{:<18}{:<17}{:<21}{:<12}{}".format(*header))
    for algo, phases in times.items():
        whole = [c + t for c, t in zip(phases["collect"], phases["train"], strict=True)]
        ratio = [w / b for w, b in zip(whole, base, strict=True)]
        extra = statistics.median(planning_times.get(algo, [0.0])) * 1e-6 * steps
        exploring = 1.0 + extra / statistics.median(base)
        print(
            f"  {algo:<12}{spread(phases['collect'], 2):<18}{spread(phases['train']):<18}"
            f"{spread(phases['planning'], 2):<17}{spread(ratio, 3):<21}{exploring:<12.3f}"
            f"{PAPER[algo]}x"
        )


def main(args: Arguments) -> None:
    """Measure and report."""
    if args.smoke:
        args = dataclasses.replace(
            args, size=11, horizon=20, n_envs=4, batch_size=40, n_epochs=1, tasks=20, walks=2,
            rounds=1,
        )  # fmt: skip
    th.set_num_threads(1)
    print(f"{platform.platform()}, torch {th.__version__}, vamdp {vamdp.__version__}\n{args}\n")
    measure_tasks(args)
    planning_times = measure_planning(args)
    report_iterations(args, measure_iterations(args), planning_times)


if __name__ == "__main__":
    main(parse(Arguments, __doc__))
