"""What one PPO epoch costs: TransformerPPO beside sb3-contrib's RecurrentPPO (LSTM-64).

Both learn from the same volume of data (`steps` environment steps in rollouts of H) in one process
and one thread, in turns, so that a busy machine slows both. The phases:

collect     one rollout in a trivial environment, the critic's pass included
epoch       one pass of gradient steps over the rollout
with check  the same and the exact Kullback-Leibler check that TransformerPPO makes after each
            epoch, another pass of the actor (RecurrentPPO estimates its divergence in passing)

Only the ratios travel between machines.

Run: python benchmarks/training.py
     python benchmarks/training.py --steps 4000 --repeats 3       (a quick look)
"""

import argparse
import dataclasses
import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch as th
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import CallbackList
from stable_baselines3.common.logger import configure

from rl3_sb3 import GymnasiumVecEnv, TransformerPPO

PHASES = ("collect", "epoch", "with check")


@dataclasses.dataclass
class Arguments:
    """What to measure."""

    horizons: tuple[int, ...] = (100, 350, 500)
    """Steps per meta-episode and rollout."""
    steps: int = 32768
    """Steps per rollout, rounded down to whole meta-episodes."""
    batch_size: int = 4096
    """Steps per minibatch, for both."""
    repeats: int = 5
    """Measurements of each; the median is reported."""
    observation_size: int = 30
    """Length of an observation."""
    n_actions: int = 5
    """Number of actions."""
    threads: int = 1
    """CPU threads of torch."""
    device: str = "cpu"
    """Where the networks live."""


class NoiseEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """Meta-episodes of random observations and rewards: costs next to nothing to step."""

    def __init__(self, num_envs: int, horizon: int, observation_size: int, n_actions: int) -> None:
        self.num_envs, self.horizon = num_envs, horizon
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (observation_size,), np.float32)
        self.single_action_space = spaces.Discrete(n_actions)
        self.rng = np.random.default_rng(0)

    def _observation(self) -> npt.NDArray[np.float32]:
        shape = (self.num_envs, *self.single_observation_space.shape)
        return self.rng.standard_normal(shape, dtype=np.float32)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Start all meta-episodes."""
        self.t = 0
        return self._observation(), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Ignore the actions; all meta-episodes end in step."""
        self.t = (self.t + 1) % self.horizon
        over = np.full(self.num_envs, self.t == 0)
        obs = self._observation()
        infos = {"final_obs": obs, "_final_obs": over} if over[0] else {}
        return obs, self.rng.standard_normal(self.num_envs), over, np.zeros_like(over), infos


def timed(run: Callable[[], Any]) -> float:
    """Return the seconds one call takes."""
    if th.cuda.is_available():
        th.cuda.synchronize()
    start = time.perf_counter()
    run()
    if th.cuda.is_available():
        th.cuda.synchronize()
    return time.perf_counter() - start


def make_models(args: Arguments, horizon: int) -> dict[str, Any]:
    """Return both learners, each with an environment of its own and one epoch per train()."""
    n_envs = args.steps // horizon

    def env() -> GymnasiumVecEnv:
        return GymnasiumVecEnv(NoiseEnv(n_envs, horizon, args.observation_size, args.n_actions))

    common = {"batch_size": args.batch_size, "n_epochs": 1, "device": args.device, "seed": 0}
    lstm = {"lstm_hidden_size": 64}  # the rest is sb3-contrib's default
    return {
        "transformer": TransformerPPO("TransformerPolicy", env(), **common),
        "lstm-64": RecurrentPPO(
            "MlpLstmPolicy", env(), n_steps=horizon, policy_kwargs=lstm, **common
        ),
    }


def measure(args: Arguments, horizon: int) -> dict[str, dict[str, list[float]]]:
    """Return seconds per learner and phase, measured in turns."""
    models = make_models(args, horizon)
    seconds: dict[str, dict[str, list[float]]] = {
        name: {phase: [] for phase in PHASES} for name in models
    }
    for model in models.values():
        model.set_logger(configure(None, []))
        model._setup_learn(1)
    for repeat in range(args.repeats + 1):
        for name, model in models.items():
            callback = CallbackList([])
            callback.init_callback(model)

            def collect(model: Any = model, callback: Any = callback) -> None:
                model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)

            times = {"collect": timed(collect), "with check": timed(model.train)}
            check = 0.0
            if isinstance(model, TransformerPPO):
                check = timed(model.mean_divergence)
            times["epoch"] = times["with check"] - check
            if repeat > 0:  # the first round warms up
                for phase, value in times.items():
                    seconds[name][phase].append(value)
    return seconds


def hardware(device: str) -> str:
    """Return one line that names what this ran on."""
    if device.startswith("cuda"):
        return f"{th.cuda.get_device_name()}, torch {th.__version__}"
    cpu = platform.processor() or platform.machine()
    return f"{cpu} CPU, {th.get_num_threads()} thread(s), torch {th.__version__}"


def main(args: Arguments) -> dict[int, float]:
    """Print the table; return the epoch's cost relative to the LSTM's for each horizon."""
    th.set_num_threads(args.threads)
    print(f"{hardware(args.device)}; about {args.steps} steps, median (min-max) seconds")
    print(f"{'H':>5} {'phase':>10} {'transformer':>24} {'LSTM-64':>24} {'ratio':>6}")
    ratios = {}
    for horizon in args.horizons:
        seconds = measure(args, horizon)
        for phase in PHASES:
            ours, theirs = seconds["transformer"][phase], seconds["lstm-64"][phase]
            ratio = statistics.median(ours) / statistics.median(theirs)
            cells = [
                f"{statistics.median(x):7.3f} ({min(x):.3f}-{max(x):.3f})" for x in (ours, theirs)
            ]
            print(
                f"{horizon:>5} {phase:>10} {cells[0]:>24} {cells[1]:>24} {ratio:6.2f}", flush=True
            )
            if phase == "epoch":
                ratios[horizon] = ratio
    return ratios


def parse() -> Arguments:
    """Read the arguments from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for field in dataclasses.fields(Arguments):
        name = f"--{field.name.replace('_', '-')}"
        if field.name == "horizons":
            parser.add_argument(name, type=int, nargs="+", default=field.default)
        else:
            parser.add_argument(name, type=type(field.default), default=field.default)
    return Arguments(**vars(parser.parse_args()))


if __name__ == "__main__":
    main(parse())
