"""What action masks bring and cost: Taxi with its masks and without them, at equal steps.

Taxi says in `info["action_mask"]` which actions do anything: a move into a wall, and picking up or
dropping where that is forbidden, change nothing and cost 1 or 10. The agent is `TransformerPPO`
with an LSTM, or another of its policies; "without" is the same agent in the same environment, which
keeps its masks to itself.

Printed are

- the mean return of the training episodes (actions are sampled, an episode is cut after 200 steps)
  that ended in each of `points` equal parts of the steps. A perfect driver gets about 8;
- the processor's seconds per iteration with masks that allow all, beside those without masks: both
  play and learn the same, bit for bit, so the difference is what masks cost. The two take turns.

Run:

    python benchmarks/action_masks.py                   (half an hour or more)
    python benchmarks/action_masks.py --seeds 0
    python benchmarks/action_masks.py --smoke           (seconds; no figures)
"""

import dataclasses
import statistics
import time
from typing import Any

import gymnasium
import numpy as np
import torch as th
from command_line import parse
from returns import Returns
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.utils import set_random_seed

from rl3_sb3 import TransformerPPO

TAXI = "Taxi-v4" if "Taxi-v4" in gymnasium.registry else "Taxi-v3"
N_STEPS = 200
TIMED_ITERATIONS = 12


@dataclasses.dataclass
class Arguments:
    """Which runs."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """A run with masks and one without for each."""
    steps: int = 120_000
    """Of all environments together."""
    points: int = 8
    """Parts of the steps."""
    policy: str = "LstmPolicy"
    """One of TransformerPPO's."""
    n_envs: int = 8
    """Environments."""
    smoke: bool = False
    """Tiny sizes: only shows that all works."""


class Masks(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Leaves Taxi's masks as they are, takes them away, or allows everything.

    Args:
        env: Taxi.
        kind: "with", "without" or "all allowed".
    """

    def __init__(self, env: gymnasium.Env[Any, Any], kind: str) -> None:
        super().__init__(env)
        self._kind = kind

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        if self._kind == "with":
            return info
        told = {name: value for name, value in info.items() if name != "action_mask"}
        if self._kind == "all allowed":
            told["action_mask"] = np.ones_like(info["action_mask"])
        return told

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Reset."""
        observation, info = self.env.reset(**kwargs)
        return observation, self._told(info)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, self._told(info)


def make_model(args: Arguments, kind: str, seed: int) -> TransformerPPO:
    """Return an untrained agent."""
    env = make_vec_env(
        TAXI, args.n_envs, seed=1000 * seed, wrapper_class=Masks, wrapper_kwargs={"kind": kind}
    )
    return TransformerPPO(
        args.policy, env, n_steps=N_STEPS, batch_size=400, n_epochs=6, learning_rate=2e-3,
        gamma=0.98, ent_coef=0.01, target_kl=0.05, seed=seed, device="cpu",
    )  # fmt: skip


def curve(args: Arguments, kind: str, seed: int) -> list[float]:
    """Learn, and return the mean return in each part of the steps; nan where no episode ended."""
    returns = Returns()
    make_model(args, kind, seed).learn(args.steps, returns)
    return returns.means(args.steps, args.points)


def seconds_per_iteration(args: Arguments, n_iterations: int) -> dict[str, float]:
    """Return the median of the processor's seconds of an iteration, taken in turns."""
    models = {kind: make_model(args, kind, 0) for kind in ("without", "all allowed")}
    taken: dict[str, list[float]] = {kind: [] for kind in models}
    for i in range(n_iterations + 1):
        for kind, model in models.items():
            set_random_seed(i)  # they share the generators
            start = time.process_time()
            model.learn(N_STEPS * args.n_envs, reset_num_timesteps=False)
            if i > 0:  # the first one compiles
                taken[kind].append(time.process_time() - start)
    ends = [model.policy.parameters_to_vector() for model in models.values()]
    assert np.array_equal(*ends), "masks that allow all change nothing"
    return {kind: statistics.median(seconds) for kind, seconds in taken.items()}


def main(args: Arguments) -> None:
    """Print the curves as they are ready, and the cost."""
    th.set_num_threads(1)
    n_iterations = TIMED_ITERATIONS
    if args.smoke:
        args = dataclasses.replace(args, seeds=(0,), steps=1600, points=1, n_envs=2)
        n_iterations = 1
    cost = seconds_per_iteration(args, n_iterations)
    print(f"{TAXI}, {args.policy}, {args.n_envs} environments, torch {th.__version__}")
    print(
        f"processor's seconds per iteration: {cost['without']:.2f} without masks, "
        f"{cost['all allowed']:.2f} with masks that allow all "
        f"({cost['all allowed'] / cost['without'] - 1:+.1%})",
        flush=True,
    )
    ends = [round(args.steps * (i + 1) / args.points / 1000) for i in range(args.points)]
    print(f"\n{'masks':<9} seed" + "".join(f"{f'{end}k':>8}" for end in ends) + "  minutes")
    for seed in args.seeds:
        for kind in ("with", "without"):
            start = time.perf_counter()
            means = curve(args, kind, seed)
            minutes = (time.perf_counter() - start) / 60
            row = "".join(f"{mean:>8.1f}" for mean in means)
            print(f"{kind:<9} {seed:>4}{row}  {minutes:>7.1f}", flush=True)


if __name__ == "__main__":
    main(parse(Arguments, __doc__))
