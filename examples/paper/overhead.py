"""What RL3's values cost in a meta-episode on 13x13 gridworlds, as a multiple of RL2's time.

    python examples/paper/overhead.py              from the stored record
    python examples/paper/overhead.py --measure    again: minutes; on an idle machine

The paper: about 2 times for RL3, 1.1 times for RL3-coarse. Agents are not trained here, so that
they wander about and meet many tiles, which is when planning costs most. They play in turns.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch as th

from rl3_sb3.experiments.algorithms import algorithm_of
from rl3_sb3.experiments.evaluation.evaluation import play
from rl3_sb3.experiments.evaluation.policy_agent import PolicyAgent
from rl3_sb3.experiments.paper.published import OVERHEAD
from rl3_sb3.experiments.results.records import start_record, write_record
from rl3_sb3.experiments.results.table import aligned
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.run_config import FIRST_HELD_OUT_SEED, RunConfig

ALGOS = ("rl2", "rl3", "rl3-coarse")


@dataclass
class Arguments:
    """What to measure."""

    measure: bool = False
    """Measure again, and replace the record."""
    record: Path = Path(__file__).parent / "records" / "overhead.json"
    """Where the result is stored."""
    batches: tuple[int, ...] = (1, 93)
    """Meta-episodes at a time: one, and as many as an iteration of the paper has."""
    rounds: int = 9
    """Turns; the median of their ratios is shown."""
    horizon: int = 350
    """Steps of a meta-episode."""
    smoke: bool = False
    """Tiny sizes, nothing stored: only shows that all works."""


def measure(args: Arguments) -> dict[str, dict[str, list[float]]]:
    """Return the seconds of all turns, by batch size and algorithm."""
    th.set_num_threads(1)
    agents = {}
    for algo in ALGOS:
        config = RunConfig.of(
            "gridworld", recipe="paper", size=13, horizon=args.horizon, algo=algo, n_envs=2
        )
        env = make_training_env(config)
        agents[algo] = config, PolicyAgent(make_model(config, env, "cpu").policy)
    seconds: dict[str, dict[str, list[float]]] = {}
    for n_tasks in args.batches:
        seconds[str(n_tasks)] = {algo: [] for algo in ALGOS}
        for turn in range(args.rounds + 1):
            for algo, (config, agent) in agents.items():
                # Tasks are drawn in this time too, the same ones for all.
                start = time.perf_counter()
                play(
                    config,
                    agent,
                    n_tasks=n_tasks,
                    variation="canonical",
                    first_seed=FIRST_HELD_OUT_SEED + 1000 * turn,
                )
                if turn > 0:  # the first one compiles
                    seconds[str(n_tasks)][algo].append(time.perf_counter() - start)
    return seconds


def table(seconds: dict[str, dict[str, list[float]]]) -> str:
    """Return the ratios to RL2 of the same turn: the median, the lowest and the highest."""
    rows = []
    for algo in ALGOS[1:]:
        row = [algorithm_of(algo).title, f"{OVERHEAD[algo]:.1f}x"]
        for turns in seconds.values():
            ratios = [own / rl2 for own, rl2 in zip(turns[algo], turns["rl2"], strict=True)]
            median = statistics.median(ratios)
            row.append(f"{median:.2f}x ({min(ratios):.2f} to {max(ratios):.2f})")
        rows.append(row)
    heads = [f"{n} at a time" for n in seconds]
    return aligned(["agent", "paper", *heads], rows)


def main(args: Arguments) -> int:
    """Measure if asked to, and show the record."""
    if args.smoke:
        args.batches, args.rounds, args.horizon = (1, 2), 2, 20
        print(table(measure(args)))
        return 0
    if args.measure:
        start = start_record()
        write_record(args.record, start, horizon=args.horizon, turns=measure(args))
    if not args.record.is_file():
        print("not measured yet: python examples/paper/overhead.py --measure")
        return 0
    record = json.loads(args.record.read_text(encoding="utf-8"))
    print(table(record["turns"]))
    print(f"\ntime of a meta-episode of {record['horizon']} steps over RL²'s: median (range)")
    print(f"{record['command']}, commit {record['commit']}, {record['hardware']}")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="measure again")
    parser.add_argument("--smoke", action="store_true", help="only show that all works")
    sys.exit(main(Arguments(**vars(parser.parse_args()))))
