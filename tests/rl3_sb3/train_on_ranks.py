"""Train small models, alone or as one of two processes; started by `test_ranks`.

    python train_on_ranks.py OUT
    torchrun --nproc-per-node 2 train_on_ranks.py OUT

Rank 0 writes what came out to the folder OUT. Alone, minibatches are dealt as two ranks would.
"""

import copy
import itertools
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch as th
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from rl3_sb3 import GymnasiumVecEnv, Symmetry, TransformerPPO
from rl3_sb3.policy import POLICIES, LstmPolicy, TransformerPolicy
from rl3_sb3.ranks import gather_over_ranks, joined_ranks, launched_ranks, n_ranks, this_rank
from rl3_sb3.update.symmetry import Relabelling

sys.path.insert(0, str(Path(__file__).parent))
from conftest import SIZES, SMALL, ScriptedEnv

N_RANKS = 2
CASES = {
    "aligned": {"lengths": [4] * 6},
    "ragged": {"lengths": [4, 3, 7, 5, 8, 2]},
    "truncated": {"lengths": [4, 3, 7, 5], "truncates": True},
    "box": {"lengths": [4] * 4, "box_actions": True},
    "unequal": {"lengths": [4] * 5},
    "relabelled": {
        "lengths": [3, 5, 8],
        "symmetry": Symmetry([[0, 1, 2]], share=0.5),
        "target_kl": 1e-4,
    },
    "masked": {
        "lengths": [4, 3, 7, 5],
        "masked": True,
        "symmetry": Symmetry([[0, 1, 2]], share=0.5),
        "target_kl": 1e-4,
    },
    "lstm": {"lengths": [4, 3, 7, 5, 8, 2], "truncates": True, "policy": "LstmPolicy"},
}


class Double:
    """Computes in double precision."""

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        self.double()

    def extract_features(self, obs: Any, features_extractor: Any = None) -> th.Tensor:
        return super().extract_features(obs, features_extractor).double()


class DoubleTransformerPolicy(Double, TransformerPolicy):
    pass


class DoubleLstmPolicy(Double, LstmPolicy):
    pass


DOUBLE = {"TransformerPolicy": DoubleTransformerPolicy, "LstmPolicy": DoubleLstmPolicy}


def make_env(lengths: list[int], **kwargs: Any) -> VecMonitor:
    fns = [lambda n=n: ScriptedEnv(n, **kwargs) for n in lengths]
    envs = GymnasiumVecEnv(SyncVectorEnv(fns, autoreset_mode=AutoresetMode.SAME_STEP))
    return VecMonitor(envs)


def deal_as_ranks(model: TransformerPPO, n_envs: list[int]) -> None:
    """Compose each minibatch as ranks with so many environments do together, and relabel it so."""
    buffer = model.rollout_buffer
    bounds = np.cumsum([0, *n_envs]) * buffer.buffer_size

    def deal(n_batches: int) -> list[Any]:
        segments = buffer.segments
        seed = np.random.randint(2**32, dtype=np.uint64)  # noqa: NPY002 - what ranks draw from
        shares = []
        for low, high in itertools.pairwise(bounds):
            own = np.flatnonzero((segments.starts >= low) & (segments.starts < high))
            order = np.random.default_rng(seed).permutation(len(own))
            shares.append(segments.deal(own[order], n_batches))
        return [np.concatenate(parts) for parts in zip(*shares, strict=True)]

    buffer.deal = deal  # type: ignore[method-assign]

    def draw(own: Symmetry, n_sequences: int) -> Relabelling:
        state = np.random.get_state()  # noqa: NPY002 - what ranks draw from
        parts = []
        for rank, (low, high) in enumerate(itertools.pairwise(bounds)):
            starts = buffer.segments.starts
            n_own = int(((starts >= low) & (starts < high)).sum())
            np.random.set_state(state)  # noqa: NPY002 - see above
            with mock.patch("rl3_sb3.update.symmetry.this_rank", lambda rank=rank: rank):
                parts.append(Symmetry.draw(own, n_own))
        labels = np.concatenate([part.new_labels for part in parts])
        return Relabelling(own, labels, np.concatenate([part.chosen for part in parts]))

    if model.symmetry is not None:
        own = copy.copy(model.symmetry)
        object.__setattr__(own, "draw", partial(draw, own))
        model.symmetry = own


def main(case: str, out: Path, dtype: str) -> None:
    """Train two iterations."""
    options = dict(CASES[case])
    lengths, policy = options.pop("lengths"), options.pop("policy", "TransformerPolicy")
    symmetry, target_kl = options.pop("symmetry", None), options.pop("target_kl", 2e-4)
    own = np.array_split(lengths, N_RANKS)
    env = make_env(own[this_rank()].tolist() if n_ranks() > 1 else lengths, **options)
    n_iterations, n_steps = (2, 8) if dtype == "float64" else (1, 8)
    model = TransformerPPO(
        (DOUBLE if dtype == "float64" else POLICIES)[policy],
        env,
        n_steps=n_steps,
        # in single precision one gradient of the whole rollout, otherwise several minibatches
        batch_size=16 if dtype == "float64" else 10**6,
        n_epochs=3 if dtype == "float64" else 1,
        learning_rate=3e-3,
        target_kl=target_kl,
        symmetry=symmetry,
        seed=0,
        device="cpu",
        policy_kwargs=SIZES[policy],
    )
    if n_ranks() == 1:
        deal_as_ranks(model, [len(part) for part in own])
    model.learn(n_iterations * n_steps * len(lengths))
    if this_rank() == 0:
        parameters = dict(model.policy.named_parameters())
        np.savez(out / f"{case}-{dtype}-parameters.npz", **_arrays(parameters))
        gradients = {name: parameter.grad for name, parameter in parameters.items()}
        np.savez(out / f"{case}-{dtype}-gradients.npz", **_arrays(gradients))
        log = {k: float(v) for k, v in model.logger.name_to_value.items() if "time" not in k}
        log["num_timesteps"] = model.num_timesteps
        episodes = sorted(float(episode["r"]) for episode in model.ep_info_buffer or ())
        (out / f"{case}-{dtype}.json").write_text(json.dumps({"log": log, "episodes": episodes}))


def make_small(**options: Any) -> TransformerPPO:
    """Return a model whose seed is the same on all ranks."""
    options |= {"batch_size": 16, "seed": 0, "device": "cpu", "policy_kwargs": SMALL}
    return TransformerPPO("TransformerPolicy", make_env([4] * 2), n_steps=8, **options)


def go_on_from_rank_0(out: Path) -> None:
    """Train on from parameters and an optimizer that rank 0 alone has; write where ranks end."""
    trained, model = make_small().learn(32), make_small()
    if this_rank() == 0:
        model.set_parameters(trained.get_parameters())
    model.learn(32)
    ends = gather_over_ranks(model.policy.parameters_to_vector())
    if this_rank() == 0:
        np.savez(out / "ends.npz", *ends)


def start_from_on_rank_0(out: Path) -> None:
    """Let rank 0 alone start from another policy; write where ranks end, and that policy's actor.

    Then rank 0's critic trains first, though the other ranks have trained theirs already.
    """
    source, model = make_small().learn(32), make_small(critic_first=1).learn(32)
    if this_rank() == 0:
        model.start_from(source.policy)
    model.learn(32)
    ends = gather_over_ranks([p.detach().numpy() for p in model.policy.actor.parameters()])
    if this_rank() == 0:
        actor = [p.detach().numpy() for p in source.policy.actor.parameters()]
        flat = [np.concatenate([p.ravel() for p in each]) for each in (actor, *ends)]
        np.savez(out / "starts.npz", *flat)


class StopRank1(BaseCallback):
    """Says stop on rank 1 alone, in the third step."""

    def _on_step(self) -> bool:
        return this_rank() != 1 or self.n_calls < 3


def stop_on_rank_1(out: Path) -> None:
    """Write the steps that each rank counts when one has stopped, and what is refused."""
    options = {"n_steps": 8, "device": "cpu", "policy_kwargs": SMALL}
    stopped = TransformerPPO("TransformerPolicy", make_env([4] * 2), **options)
    stopped.learn(64, StopRank1())
    steps = gather_over_ranks(stopped.num_timesteps)
    refusals = []
    if n_ranks() > 1:
        normalised = VecNormalize(make_env([4] * 2))
        lengths = {**options, "n_steps": 8 * (1 + this_rank())}
        for env, given in ((normalised, options), (make_env([4] * 2), lengths)):
            try:
                TransformerPPO("TransformerPolicy", env, **given).learn(32)
            except ValueError as error:
                refusals.append(str(error))
    if this_rank() == 0:
        (out / "stopped.json").write_text(json.dumps({"steps": steps, "refusals": refusals}))


def _arrays(tensors: dict[str, Any]) -> dict[str, Any]:
    return {name: t.detach().numpy() for name, t in tensors.items() if t is not None}


if __name__ == "__main__":
    th.set_num_threads(1)
    with joined_ranks("cpu"):
        assert n_ranks() == launched_ranks()
        for name in CASES:
            main(name, Path(sys.argv[1]), "float64")
        main("ragged", Path(sys.argv[1]), "float32")
        go_on_from_rank_0(Path(sys.argv[1]))
        start_from_on_rank_0(Path(sys.argv[1]))
        stop_on_rank_1(Path(sys.argv[1]))
    os._exit(0)  # see rl3_sb3/__main__.py
