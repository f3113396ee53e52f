"""What a training iteration costs: TransformerPPO beside sb3-contrib's RecurrentPPO.

All learn from the same volume of data (`steps` environment steps in meta-episodes of H) in the same
environments, RL3's random MDPs, in one process and in turns, so that a busy machine slows all. An
iteration is

    collecting      the environments (of which planning), the networks' steps; for the transformer
                    also the critic's pass over whole sequences; advantages
    n_epochs times  gradients over all minibatches; for the transformer also the exact divergence,
                    another pass of the actor (RecurrentPPO estimates its divergence in passing)

Timed are collecting and one epoch; the iteration is their sum with the epoch taken n_epochs times.
The actor never stops. "without limit" is the iteration with `target_kl=None`, RecurrentPPO's
default, which computes the divergence once, to report it. "arithmetic limit" is the share of the
iteration that its arithmetic alone would take, see `arithmetic`; memory is the peak of a fresh
process that runs one iteration, over the same process before it.

Only the ratios travel between machines. Run:

    OMP_NUM_THREADS=1 python benchmarks/training.py
    OMP_NUM_THREADS=1 python benchmarks/training.py --smoke         (seconds; no figures)
    python benchmarks/training.py --device cuda [--mixed-precision]
"""

import dataclasses
import platform
import re
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch as th
from arithmetic import iteration_operations, peak_rate
from command_line import parse
from phases import Clock, duration, planner
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import configure
from timing import spread

from rl3_sb3 import TransformerPPO
from rl3_sb3.experiments.runs.training import make_model, make_training_env
from rl3_sb3.experiments.settings.run_config import RunConfig

PHASES = ("collect", "environment", "planning", "gradients", "divergence")


@dataclasses.dataclass
class Arguments:
    """What to measure."""

    horizons: tuple[int, ...] = (100, 250, 350, 512, 1024, 2048)
    """Steps per meta-episode and rollout."""
    lstm_sizes: tuple[int, ...] = (64, 256)
    """Hidden sizes of RecurrentPPO's LSTM; the rest is sb3-contrib's default."""
    steps: int = 32768
    """Steps per rollout, rounded down to whole meta-episodes."""
    batch_size: int = 4096
    """Steps per minibatch, for all."""
    n_epochs: int = 8
    """Epochs of an iteration."""
    repeats: int = 3
    """Measurements of each; the median is reported."""
    threads: int = 1
    """CPU threads of torch."""
    device: str = "cpu"
    """Where the networks live."""
    mixed_precision: bool = False
    """bfloat16 in the transformer's matrix products."""
    memory_of: int = 0
    """Only run one iteration of this horizon and print its peak memory (used by the benchmark)."""
    smoke: bool = False
    """Tiny sizes: only shows that all works."""


def make_transformer(args: Arguments, horizon: int) -> TransformerPPO:
    """Return a model with environments of its own, whose actor never stops."""
    config = RunConfig.of(
        "random-mdp",
        recipe="paper",
        horizon=horizon,
        n_envs=args.steps // horizon,
        batch_size=args.batch_size,
        n_epochs=args.n_epochs,
        target_kl=1e9,
        mixed_precision=args.mixed_precision,
    )
    return ready(make_model(config, make_training_env(config), args.device))


def make_lstm(args: Arguments, horizon: int, size: int) -> RecurrentPPO:
    """Return sb3-contrib's learner on the same environments."""
    config = RunConfig.of(
        "random-mdp", recipe="paper", horizon=horizon, n_envs=args.steps // horizon
    )
    model = RecurrentPPO(
        "MlpLstmPolicy",
        make_training_env(config),
        n_steps=horizon,
        batch_size=args.batch_size,
        n_epochs=1,
        policy_kwargs={"lstm_hidden_size": size},
        device=args.device,
        seed=0,
    )
    return ready(model)


def ready(model: Any) -> Any:
    """Let a model be asked for rollouts and updates without `learn`."""
    model.set_logger(configure(None, []))
    model._setup_learn(10**9)
    model._callback = CallbackList([])
    model._callback.init_callback(model)
    return model


def collect(model: Any) -> None:
    """Collect one rollout."""
    model.collect_rollouts(model.env, model._callback, model.rollout_buffer, model.n_steps)


def time_transformer(args: Arguments, model: TransformerPPO) -> dict[str, float]:
    """Return seconds of each phase."""
    environment = Clock(model.env, "step", args.device)
    planning = Clock(planner(model.env), "write")
    with environment.running(), planning.running():
        _, collecting = duration(lambda: collect(model), args.device)
    model.n_epochs = 1
    divergence = Clock(model._own_updates(), "mean_divergence", args.device)
    with divergence.running():
        _, training = duration(model.train, args.device)
    model.n_epochs = args.n_epochs
    return {
        "collect": collecting,
        "environment": environment.seconds,
        "planning": planning.seconds,
        "gradients": training - divergence.seconds,
        "divergence": divergence.seconds,
    }


def time_lstm(args: Arguments, model: RecurrentPPO) -> dict[str, float]:
    """Return seconds of the phases that there are."""
    _, collecting = duration(lambda: collect(model), args.device)
    _, training = duration(model.train, args.device)
    return {"collect": collecting, "gradients": training, "divergence": 0.0}


def iteration(args: Arguments, times: dict[str, float]) -> float:
    """Return the seconds of a whole iteration."""
    return times["collect"] + args.n_epochs * (times["gradients"] + times["divergence"])


def iteration_without_limit(times: dict[str, float], n_epochs: int) -> float:
    """Return the seconds of a whole iteration with `target_kl=None`."""
    return times["collect"] + n_epochs * times["gradients"] + times["divergence"]


def peak_memory(args: Arguments, horizon: int) -> float:
    """Return the MiB that one iteration adds in a fresh process, at its peak."""
    options = [f"--{field}" for field in ("mixed-precision",) if args.mixed_precision]
    numbers = ("steps", "batch_size", "n_epochs", "threads", "device")
    for name in numbers:
        options += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    command = [sys.executable, __file__, "--memory-of", str(horizon), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def print_own_memory(args: Arguments) -> None:
    """Run one iteration and print what it added at its peak, in MiB."""
    model = make_transformer(args, args.memory_of)
    before = _most_memory()
    collect(model)
    model.train()
    if args.device.startswith("cuda"):
        print(th.cuda.max_memory_allocated() / 2**20)
    else:
        print(_most_memory() - before)


def _most_memory() -> float:
    """Return the MiB that this process had at its peak; NaN where nobody tells."""
    # Not getrusage: a process started by a large one reports the large one's peak.
    status = Path("/proc/self/status")
    text = status.read_text() if status.exists() else ""
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    return float("nan") if found is None else int(found[1]) / 1024


def measure(args: Arguments, horizon: int, peak: float) -> dict[str, float]:
    """Measure and report one horizon; return the ratios of epochs to each LSTM's."""
    transformer = make_transformer(args, horizon)
    lstms = {size: make_lstm(args, horizon, size) for size in args.lstm_sizes}
    ours: list[dict[str, float]] = []
    theirs: dict[int, list[dict[str, float]]] = {size: [] for size in lstms}
    for repeat in range(args.repeats + 1):
        rounds = [(ours, time_transformer(args, transformer))]
        rounds += [(theirs[size], time_lstm(args, model)) for size, model in lstms.items()]
        if repeat > 0:  # the first round warms up
            for times, found in rounds:
                times.append(found)
    whole = [iteration(args, times) for times in ours]
    middle = {phase: statistics.median(times[phase] for times in ours) for phase in PHASES}
    total = iteration(args, middle)
    limit = iteration_operations(transformer) / peak
    print(f"\nH = {horizon}, {transformer.n_envs} environments; seconds")
    print(
        f"  transformer  iteration {spread(whole, 2)}, memory {peak_memory(args, horizon):.0f} MiB"
    )
    for phase in PHASES:
        times = [found[phase] for found in ours]
        share = middle[phase] * (args.n_epochs if phase in ("gradients", "divergence") else 1)
        print(f"    {phase:<12} {spread(times, 3):<22} {share / total:6.1%} of the iteration")
    print(f"    arithmetic limit {limit:.2f}: {limit / total:.0%} of the iteration")
    ratios = {}
    for size, found in theirs.items():
        print(
            f"  LSTM-{size:<7} iteration {spread([iteration(args, t) for t in found], 2)}", end=""
        )
        compared = {
            "iteration": [iteration(args, t) for t in found],
            "without limit": [iteration(args, t) for t in found],
            "epoch": [t["gradients"] for t in found],
            "collect": [t["collect"] for t in found],
        }
        own = {
            "iteration": whole,
            "without limit": [iteration_without_limit(t, args.n_epochs) for t in ours],
            "epoch": [t["gradients"] for t in ours],
            "collect": [t["collect"] for t in ours],
        }
        for name, values in compared.items():
            paired = [mine / other for mine, other in zip(own[name], values, strict=True)]
            print(f"; {name} {spread(paired, 2)}x", end="")
            if name == "epoch":
                ratios[f"{horizon}/{size}"] = statistics.median(paired)
        print(flush=True)
    return ratios


def hardware(device: str) -> str:
    """Return one line that names what this ran on."""
    if device.startswith("cuda"):
        return f"{th.cuda.get_device_name()}, torch {th.__version__}"
    cpu = platform.processor() or platform.machine()
    return f"{cpu} CPU, {th.get_num_threads()} thread(s), torch {th.__version__}"


def main(args: Arguments) -> dict[str, float]:
    """Print the tables; return the epochs' ratios by "horizon/LSTM size"."""
    th.set_num_threads(args.threads)
    if args.memory_of:
        print_own_memory(args)
        return {}
    if args.smoke:
        args = dataclasses.replace(
            args, horizons=(10, 20), lstm_sizes=(8,), steps=80, batch_size=40, repeats=1
        )
    peak = peak_rate(args.device, th.bfloat16 if args.mixed_precision else th.float32)
    print(f"{hardware(args.device)}, {peak / 1e9:.0f} GFLOP/s at best\n{args}")
    print("ratios are TransformerPPO's time over RecurrentPPO's; median (min-max)")
    ratios: dict[str, float] = {}
    for horizon in args.horizons:
        ratios |= measure(args, horizon, peak)
    return ratios


if __name__ == "__main__":
    main(parse(Arguments, __doc__))
