"""What a step costs: the wrapper against a bare one, the batched engine against a loop.

Two comparisons, each with its ways timed in turn within one run, on one thread, so that the ratios
hold while the machine's speed drifts:

1. one `vamdp.ValueAugment` step against a pass-through wrapper that copies an observation of the
   same size (goal: at most 1.8x on Bandit);
2. the batched engine with `vamdp.vector.ValueAugment` and `vamdp.vector.MetaEpisode` against
   gymnasium's SyncVectorEnv of the single wrappers, at 327 environments (goal: at least 20x the
   steps per second on Bandit, 4x on RandomMDP).

    python benchmarks/stepping.py
"""

import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import gymnasium
import numpy as np
from command_line import parse
from gymnasium.vector import AutoresetMode, SyncVectorEnv

import vamdp


@dataclass(frozen=True)
class Args:
    """What to measure."""

    num_envs: int = 327
    """environments in the batch: 32768 steps a rollout at H = 100"""
    horizon: int = 100
    """steps of a meta-episode"""
    rounds: int = 15
    """times that each way is measured; medians are printed"""
    steps: int = 20000
    """steps of a single environment in a round"""
    smoke: bool = False
    """tiny sizes, to see that the script runs"""


ESTIMATOR: dict[str, dict[str, Any]] = {
    "vamdp/Bandit-v0": {"task_horizon": 1, "reward_model": "state_action"},
    "vamdp/RandomMDP-v0": {"task_horizon": 10},
}


class CopyObservation(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Passes everything through, but for the observation: a copy of a vector of `size`."""

    def __init__(self, env: gymnasium.Env[Any, Any], size: int) -> None:
        super().__init__(env)
        self.vector = np.zeros(size, np.float32)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step and copy."""
        _, reward, terminated, truncated, info = self.env.step(action)
        return self.vector.copy(), reward, terminated, truncated, info


def single_step_seconds(env: gymnasium.Env[Any, Any], steps: int) -> Callable[[], float]:
    """A measurement of the mean seconds of env.step, resets not counted."""
    actions = np.random.default_rng(0).integers(0, env.action_space.n, steps).tolist()
    env.reset(seed=0)

    def measure() -> float:
        spent = 0.0
        clock = time.perf_counter
        for action in actions:
            start = clock()
            _, _, terminated, truncated, _ = env.step(action)
            spent += clock() - start
            if terminated or truncated:
                env.reset()
        return spent / steps

    return measure


def batch_step_seconds(
    env: gymnasium.vector.VectorEnv[Any, Any, Any], steps: int
) -> Callable[[], float]:
    """A measurement of the mean seconds of a vector step, new tasks included."""
    actions = np.random.default_rng(0).integers(0, 5, (steps, env.num_envs))
    env.reset(seed=0)

    def measure() -> float:
        start = time.perf_counter()
        for action in actions:
            env.step(action)
        return (time.perf_counter() - start) / steps

    return measure


def interleave(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way, measured in turn."""
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(way())
    return seconds


def report(title: str, unit: str, scale: float, seconds: dict[str, list[float]]) -> None:
    """Print medians, spreads and the ratio of the first way to the others."""
    print(f"\n{title}")
    (first, reference), *_ = seconds.items()
    for name, values in seconds.items():
        ratios = [a / b for a, b in zip(reference, values, strict=True)]
        against = (
            ""
            if name == first
            else (
                f"   {first} / this: {statistics.median(ratios):.2f}"
                f" ({min(ratios):.2f}-{max(ratios):.2f})"
            )
        )
        print(
            f"  {name:<34}{statistics.median(values) * scale:9.2f} {unit}"
            f" ({min(values) * scale:.2f}-{max(values) * scale:.2f}){against}"
        )


def compare_wrapper(env_id: str, args: Args) -> None:
    """Time one ValueAugment step against a bare copying wrapper, both made by gymnasium.make."""
    augmented = vamdp.ValueAugment(gymnasium.make(env_id), **ESTIMATOR[env_id])
    (size,) = augmented.observation_space.shape
    ways = {
        "vamdp.ValueAugment": single_step_seconds(augmented, args.steps),
        "pass-through, observation copied": single_step_seconds(
            CopyObservation(gymnasium.make(env_id), size), args.steps
        ),
        "the environment itself": single_step_seconds(gymnasium.make(env_id), args.steps),
    }
    seconds = interleave(ways, args.rounds)
    report(f"One step of {env_id}, {size} numbers observed", "us", 1e6, seconds)


def compare_batch(env_id: str, args: Args) -> None:
    """Time the batched engine against SyncVectorEnv of the single wrappers."""

    def single() -> gymnasium.Env[Any, Any]:
        env = vamdp.ValueAugment(gymnasium.make(env_id), **ESTIMATOR[env_id])
        return vamdp.MetaEpisode(env, args.horizon)

    engine = gymnasium.make_vec(
        env_id, num_envs=args.num_envs, vectorization_mode="vector_entry_point"
    )
    batched = vamdp.vector.MetaEpisode(
        vamdp.vector.ValueAugment(engine, **ESTIMATOR[env_id]), args.horizon
    )
    loop = SyncVectorEnv([single] * args.num_envs, autoreset_mode=AutoresetMode.SAME_STEP)
    ways = {
        "SyncVectorEnv of the single wrappers": batch_step_seconds(loop, args.horizon // 2),
        "batched engine": batch_step_seconds(batched, args.horizon // 2),
    }
    seconds = interleave(ways, args.rounds)
    report(f"One step of {args.num_envs} x {env_id}, H = {args.horizon}", "ms", 1e3, seconds)


def main(args: Args) -> None:
    """Run all comparisons."""
    if args.smoke:
        args = Args(num_envs=8, horizon=20, rounds=2, steps=200)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, one thread, ")
    print(f"Python {platform.python_version()}, numpy {np.__version__}, vamdp {vamdp.__version__}")
    for env_id in ESTIMATOR:
        compare_wrapper(env_id, args)
    for env_id in ESTIMATOR:
        compare_batch(env_id, args)


if __name__ == "__main__":
    main(parse(Args, __doc__))
