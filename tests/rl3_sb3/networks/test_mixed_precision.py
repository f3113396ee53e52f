"""What bfloat16 may change, and what not."""

import copy

import pytest
import torch as th

from rl3_sb3 import CausalTransformer, TransformerPPO


@pytest.fixture
def pair():
    """A network, and the same weights in mixed precision."""
    th.manual_seed(0)
    network = CausalTransformer(4, 3, 20, d_model=16, n_heads=2, d_ff=32, input_hidden=24)
    mixed = copy.deepcopy(network)
    mixed.mixed_precision = True
    return network, mixed


def test_outputs_and_gradients_differ_by_bfloat16s_rounding_and_no_more(pair):
    x = th.randn(5, 20, 4)
    outputs = [network(x) for network in pair]
    gradients = [
        th.cat([g.flatten() for g in th.autograd.grad(out.square().sum(), list(n.parameters()))])
        for out, n in zip(outputs, pair, strict=True)
    ]
    for (exact, mixed), bound in ((outputs, 0.02), (gradients, 0.05)):
        error = (exact - mixed).norm() / exact.norm()
        assert 1e-4 < error < bound  # bfloat16 has 8 bits: rounding is 2^-9 = 0.002
        assert mixed.dtype == th.float32


def test_cached_steps_equal_the_full_pass_within_rounding(pair):
    _, mixed = pair
    x = th.randn(5, 20, 4)
    cache = mixed.new_memory(5)
    assert cache.storage.dtype == th.bfloat16
    steps = []
    for t in range(20):
        out, cache = mixed.step(x[:, t], cache)
        steps.append(out)
    full = mixed(x)
    assert (th.stack(steps, 1) - full).norm() / full.norm() < 0.02


def test_a_policy_trains_saves_and_exports_in_mixed_precision(make_vec, make_model, tmp_path):
    model = make_model(make_vec([4, 3, 7]), n_steps=8, policy_kwargs={"mixed_precision": True})
    model.learn(72)
    assert all(p.dtype == th.float32 for p in model.policy.parameters())
    model.save(tmp_path / "model.zip")
    assert TransformerPPO.load(tmp_path / "model.zip").policy.actor.mixed_precision
    model.export(tmp_path / "policy")


def test_the_bytes_of_a_cache_in_bfloat16_are_known_without_it(pair):
    sizes = {"context_length": 20, "n_layers": 2, "d_model": 16}
    for network in pair:
        storage = network.new_memory(1).storage
        known = network.memory_bytes(**sizes, mixed_precision=network.mixed_precision)
        assert known == storage.nbytes
