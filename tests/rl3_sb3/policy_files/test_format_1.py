"""Folders in the first version of the format, written out here, load and act as they did then.

The names and shapes of the weights stand here once more on purpose: whoever renames a weight cannot
read the policies that others have exported.
"""

import hashlib
import json

import pytest
import safetensors.torch
import torch as th

from rl3_sb3 import load_policy

BODIES = {
    "TransformerPolicy": {
        "positions": (5, 4),
        "embedding.0.weight": (5, 2), "embedding.0.bias": (5,),
        "embedding.2.weight": (4, 5), "embedding.2.bias": (4,),
        "embedding.3.weight": (4,), "embedding.3.bias": (4,),
        "layers.0.qkv.weight": (12, 4), "layers.0.qkv.bias": (12,),
        "layers.0.projection.weight": (4, 4), "layers.0.projection.bias": (4,),
        "layers.0.attention_norm.weight": (4,), "layers.0.attention_norm.bias": (4,),
        "layers.0.feed_forward.0.weight": (6, 4), "layers.0.feed_forward.0.bias": (6,),
        "layers.0.feed_forward.2.weight": (4, 6), "layers.0.feed_forward.2.bias": (4,),
        "layers.0.output_norm.weight": (4,), "layers.0.output_norm.bias": (4,),
    },
    "LstmPolicy": {
        "embedding.0.weight": (5, 2), "embedding.0.bias": (5,),
        "lstm.weight_ih_l0": (16, 5), "lstm.weight_hh_l0": (16, 4),
        "lstm.bias_ih_l0": (16,), "lstm.bias_hh_l0": (16,),
    },
    "MarkovPolicy": {
        "body.0.weight": (4, 2), "body.0.bias": (4,),
        "body.2.weight": (4, 4), "body.2.bias": (4,),
    },
}  # fmt: skip
SIZES = {
    "TransformerPolicy": {
        "context_length": 5, "d_model": 4, "n_layers": 1, "n_heads": 2, "d_ff": 6,
        "input_hidden": 5,
    },
    "LstmPolicy": {"hidden": 4, "n_layers": 1, "input_hidden": 5},
    "MarkovPolicy": {"context_length": 5, "hidden": 4},
}  # fmt: skip
DISCRETE = {"type": "Discrete", "n": 3, "start": 0, "dtype": "int64"}
BOX = {"type": "Box", "shape": [1], "dtype": "float32", "low": -1.0, "high": 1.0}
ACTIONS = {"TransformerPolicy": DISCRETE, "LstmPolicy": DISCRETE, "MarkovPolicy": BOX}
RECORD = {
    "algorithm": "", "environment": "", "description": "", "n_steps": 0, "seed": None,
    "hyper_parameters": {}, "results": {}, "versions": {"python": "3"},
}  # fmt: skip
# Computed by the code that first wrote the format, and for the LSTM by its equations in NumPy:
# parameters of the second sequence, and values of both.
PARAMS = {
    "TransformerPolicy": [
        2.723263, -2.177763, 2.762821, 2.693807, -2.076799, 2.602016, 2.712554, -2.12336, 2.67101,
    ],
    "LstmPolicy": [
        1.27155, 0.224295, -0.23509, 1.328659, 0.274144, -0.386138, 1.392434, 0.204529, -0.318728,
    ],
    "MarkovPolicy": [-1.043933, -0.536573, -2.294867, -0.536573, -1.966843, -0.536573],
}  # fmt: skip
VALUES = {
    "TransformerPolicy": [1.021407, 0.956376, 1.003272, 1.029729, 0.956376, 1.002411],
    "LstmPolicy": [-0.173245, -0.101986, -0.006448, -0.159896, -0.067793, -0.082443],
    "MarkovPolicy": [-1.703289, -3.143392, -2.411137, -1.849699, -2.927354, -2.713747],
}


def weights(policy):
    """Sines, in the order of the names."""
    is_box = ACTIONS[policy] is BOX
    shapes = {"log_std": (1,)} if is_box else {}
    for network, n_out in (("actor", 1 if is_box else 3), ("critic", 1)):
        shapes |= {f"{network}.{name}": shape for name, shape in BODIES[policy].items()}
        shapes |= {f"{network}.head.weight": (n_out, 4), f"{network}.head.bias": (n_out,)}
    return {name: sines(th.Size(shapes[name]), k) for k, name in enumerate(sorted(shapes))}


def sines(shape, k):
    return th.sin(th.arange(shape.numel(), dtype=th.float64) * 0.7 + k).float().reshape(shape)


@pytest.mark.parametrize("policy", BODIES)
def test_a_folder_of_the_first_version_acts_as_it_did(tmp_path, policy):
    content = safetensors.torch.save(weights(policy))
    numbers = {"critic_weight_decay": 0.01, "adam_eps": 1e-07, "log_std_init": 0.0}
    described = {
        "format": "rl3_sb3 policy",
        "format_version": 1,
        "policy": policy,
        "arguments": SIZES[policy] | numbers,
        "observation_space": {
            "type": "Box", "shape": [2], "dtype": "float32", "low": ["-inf", -1.0], "high": "inf",
        },
        "action_space": ACTIONS[policy],
        "weights": {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()},
        "training": RECORD,
    }  # fmt: skip
    (tmp_path / "policy.json").write_text(json.dumps(described))
    (tmp_path / "policy.safetensors").write_bytes(content)
    loaded = load_policy(tmp_path, "cpu")
    tokens = th.cos(th.arange(12, dtype=th.float64)).float().reshape(2, 3, 2)
    params = loaded.sequence_params(tokens)[1].flatten().tolist()
    assert params == pytest.approx(PARAMS[policy], abs=2e-5)
    values = loaded.sequence_values(tokens).flatten().tolist()
    assert values == pytest.approx(VALUES[policy], abs=2e-5)
