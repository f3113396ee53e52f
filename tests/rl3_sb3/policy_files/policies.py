"""Small policies of every kind, and what they do."""

import numpy as np
import torch as th
from gymnasium import spaces

from rl3_sb3.policy import POLICIES

SIZES = {
    "TransformerPolicy": {
        "context_length": 7,
        "d_model": 16,
        "n_layers": 3,
        "n_heads": 4,
        "d_ff": 24,
        "input_hidden": 20,
    },
    "LstmPolicy": {"hidden": 12, "n_layers": 2, "input_hidden": 20},
    "MarkovPolicy": {"context_length": 7, "hidden": 64},
}
BOX = spaces.Box(-np.inf, np.inf, (4,), np.float32)
OBSERVATIONS = {
    "box": BOX,
    "matrix": spaces.Box(np.arange(6.0).reshape(2, 3) - 9, 9.0, dtype=np.float64),
    "image": spaces.Box(0, 255, (4, 5, 1), np.uint8),
    "dict": spaces.Dict({"b": BOX, "a": spaces.Discrete(3), "c": spaces.MultiBinary(2)}),
    "discrete": spaces.Discrete(5),
    "multi": spaces.MultiDiscrete([2, 3]),
}
FILES = {"policy.safetensors", "policy.json", "README.md"}  # of an exported policy
ACTIONS = {"discrete": spaces.Discrete(3), "box": spaces.Box(-0.5, 0.5, (2, 1), np.float32)}


assert SIZES.keys() == POLICIES.keys(), "a policy is missing: add small sizes of it to SIZES"


def make(kind="TransformerPolicy", obs="box", action="discrete", seed=0, **kwargs):
    th.manual_seed(seed)
    kwargs = SIZES[kind] | kwargs
    policy = POLICIES[kind](OBSERVATIONS[obs], ACTIONS[action], lambda _: 1e-2, **kwargs)
    with th.no_grad():  # far from what a constructor would make
        for parameter in policy.parameters():
            parameter += 0.1 * th.randn_like(parameter)
    return policy


def contents(folder):
    return {entry.name: entry.read_bytes() for entry in folder.iterdir()}


def batch(space, B, seed):
    """B observations, as a vector environment stacks them."""
    space.seed(seed)
    if isinstance(space, spaces.Dict):
        return {key: batch(part, B, seed) for key, part in space.spaces.items()}
    return np.stack([space.sample() for _ in range(B)])


def actions(policy, T=7, B=3):
    th.manual_seed(5)
    state, taken = None, []
    for t in range(T):
        action, state = policy.predict(batch(policy.observation_space, B, t), state)
        taken.append(action)
    return np.stack(taken)
