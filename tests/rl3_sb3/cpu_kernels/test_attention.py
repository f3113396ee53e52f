"""Attention on one core: torch's in double precision is the other road to the same answer."""

import io

import numpy as np
import pytest
import torch as th
from torch.fx.experimental.proxy_tensor import make_fx

from rl3_sb3 import cpu_kernels
from rl3_sb3.networks.attention import torch_attention
from rl3_sb3.networks.transformer import CausalTransformer


def value_and_gradient(function, qkv, weights):
    qkv = qkv.detach().clone().requires_grad_()
    out = function(qkv)
    (gradient,) = th.autograd.grad((out * weights.to(out)).sum(), qkv)
    return out.detach(), gradient


def random_inputs(B, T, n_heads, D, scale=1.0):
    generator = th.Generator().manual_seed(B + 10 * T + 1000 * D)
    qkv = th.randn(B, T, 3, n_heads, D, generator=generator) * scale
    return qkv, th.randn(B, T, n_heads, D, generator=generator)


def assert_agrees_with_double_precision(qkv, weights, tolerance):
    found = value_and_gradient(cpu_kernels.causal_attention, qkv, weights)
    expected = value_and_gradient(torch_attention, qkv.double(), weights)
    for one, other in zip(found, expected, strict=True):
        scale = max(1.0, other.abs().max().item())
        assert (one - other).abs().max().item() <= tolerance * scale


# Around the width of a tile, in both directions.
@pytest.mark.parametrize("T", [1, 2, 15, 16, 17, 33, 100])
@pytest.mark.parametrize("D", [1, 5, 16, 17, 40])
def test_values_and_gradients_are_torchs(T, D):
    assert_agrees_with_double_precision(*random_inputs(2, T, 3, D), tolerance=3e-6)


# Scores reach 500 and 50 000: no exponential may overflow, nor vanish for the token's best key.
# Their own rounding, in single precision, is the tolerance. With D = 24 the scale is not exact.
@pytest.mark.parametrize("D", [8, 24])
@pytest.mark.parametrize(("scale", "tolerance"), [(1e-3, 3e-6), (10.0, 2e-4), (100.0, 4e-3)])
def test_faint_and_strong_attention_is_torchs_too(D, scale, tolerance):
    assert_agrees_with_double_precision(*random_inputs(3, 37, 2, D, scale), tolerance)


def test_the_weights_of_both_passes_are_the_same_at_any_strength():
    # One token sees one key, so its weight is 1 whatever the score; then dv = g to the bit.
    for D in range(1, 41):
        qkv = th.full((1, 1, 3, 1, D), 300.0)
        _, gradient = value_and_gradient(cpu_kernels.causal_attention, qkv, th.ones(1, 1, 1, D))
        assert th.equal(gradient[0, 0, 2], th.ones(1, D))


def test_empty_lanes_take_nothing_from_the_tile_before():
    # The first token of a sequence of 17 leaves 15 lanes of its tile empty. The tile before, the
    # first sequence's last, has scores whose powers of two are infinite in single precision.
    qkv, weights = random_inputs(2, 17, 1, 4)
    qkv[0, :, 0], qkv[0, :, 1] = 20.0, 20.0
    assert_agrees_with_double_precision(qkv, weights, tolerance=1e-4)


def test_equal_keys_give_the_mean_of_the_values_so_far():
    qkv, _ = random_inputs(2, 50, 2, 6)
    qkv[:, :, 1] = 1.0
    v = qkv[:, :, 2]
    mean = v.cumsum(1) / th.arange(1, 51).view(1, -1, 1, 1)
    th.testing.assert_close(cpu_kernels.causal_attention(qkv), mean, rtol=0, atol=2e-6)


def test_a_later_token_moves_no_bit_of_earlier_outputs_nor_has_gradients_from_them():
    qkv, weights = random_inputs(1, 40, 2, 8)
    weights[:, 21:] = 0
    out, gradient = value_and_gradient(cpu_kernels.causal_attention, qkv, weights)
    assert (gradient[:, 21:] == 0).all()
    assert (gradient[:, :21] != 0).any()
    qkv[:, 21:] *= -3
    changed = cpu_kernels.causal_attention(qkv)
    assert th.equal(changed[:, :21], out[:, :21])
    assert not th.equal(changed[:, 21:], out[:, 21:])


def test_a_sequence_does_not_depend_on_the_batch_it_is_in():
    qkv, weights = random_inputs(5, 30, 2, 8)
    together = value_and_gradient(cpu_kernels.causal_attention, qkv, weights)
    for row in range(5):
        rows = slice(row, row + 1)
        alone = value_and_gradient(cpu_kernels.causal_attention, qkv[rows], weights[rows])
        for one, many in zip(alone, together, strict=True):
            assert th.equal(one, many[rows])


@pytest.mark.parametrize("T", [16, 40])
def test_nan_reaches_every_later_output_and_no_other_head_or_sequence(T):
    qkv, weights = random_inputs(3, T, 2, 8)
    clean, clean_gradient = value_and_gradient(cpu_kernels.causal_attention, qkv, weights)
    qkv[1, T // 2, 1, 0, 3] = th.nan  # a key of the first head
    out, gradient = value_and_gradient(cpu_kernels.causal_attention, qkv, weights)
    assert out[1, T // 2 :, 0].isnan().all()
    assert gradient[1, :, :, 0].isnan().any()
    out[1, :, 0], gradient[1, :, :, 0] = clean[1, :, 0], clean_gradient[1, :, :, 0]
    assert th.equal(out, clean)
    assert th.equal(gradient, clean_gradient)


def test_what_is_kept_for_the_gradient_grows_linearly_with_the_length():
    def kept(T):
        sizes = []
        qkv = random_inputs(1, T, 2, 8)[0].requires_grad_()
        with th.autograd.graph.saved_tensors_hooks(
            lambda x: sizes.append(x.numel()) or x, lambda x: x
        ):
            cpu_kernels.causal_attention(qkv)
        return sum(sizes)

    assert kept(100) > 0
    assert kept(400) == 4 * kept(100)


def test_strided_inputs_and_gradients_are_understood():
    def strided(x):
        return x.transpose(0, 1).contiguous().transpose(0, 1)

    qkv, weights = random_inputs(4, 20, 2, 8)
    out, gradient = value_and_gradient(cpu_kernels.causal_attention, qkv, weights)
    qkv = strided(qkv).requires_grad_()
    found = cpu_kernels.causal_attention(qkv)
    assert th.equal(found, out)
    assert th.equal(*th.autograd.grad(found, qkv, strided(weights)), gradient)


def test_it_suits_single_precision_on_one_thread_of_a_cpu():
    x = th.zeros(2)
    threads = th.get_num_threads()
    try:
        th.set_num_threads(1)
        assert cpu_kernels.suits(x)
        assert not cpu_kernels.suits(x.double())
        assert not cpu_kernels.suits(x.bfloat16())
        assert not cpu_kernels.suits(x.to("meta"))
        th.set_num_threads(2)
        assert not cpu_kernels.suits(x)
    finally:
        th.set_num_threads(threads)


def test_the_transformer_says_the_same_with_it_and_without(monkeypatch):
    th.manual_seed(0)
    net = CausalTransformer(6, 3, 40, d_model=24, n_heads=3)
    x = th.randn(4, 40, 6)
    calls = []

    def outputs(suits):
        monkeypatch.setattr(cpu_kernels, "suits", lambda x: calls.append(suits) or suits)
        out = net(x)
        return out.detach(), th.autograd.grad(out.square().mean(), list(net.parameters()))

    ours, our_gradients = outputs(True)
    torchs, torch_gradients = outputs(False)
    n_parts = 5  # the embedding; attention and feed-forward of each layer
    assert calls == [True] * n_parts + [False] * n_parts
    th.testing.assert_close(ours, torchs, rtol=0, atol=3e-6)
    for one, other in zip(our_gradients, torch_gradients, strict=True):
        th.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_transformer_can_be_told_to_leave_all_to_torch(monkeypatch):
    th.manual_seed(0)
    net = CausalTransformer(6, 3, 40, d_model=24, n_heads=3, cpu_kernels=False)
    monkeypatch.setattr(cpu_kernels, "causal_attention", None)
    monkeypatch.setattr(cpu_kernels, "mlp", None)
    monkeypatch.setattr(cpu_kernels, "suits", lambda x: True)
    net(th.randn(4, 40, 6)).sum().backward()


def test_a_policy_keeps_what_it_was_told_about_kernels(make_vec, make_model, tmp_path):
    model = make_model(make_vec([6, 6], horizon=6), policy_kwargs={"cpu_kernels": False})
    model.save(tmp_path / "model.zip")
    loaded = type(model).load(tmp_path / "model.zip", device="cpu")
    assert not any(layer.cpu_kernels for layer in loaded.policy.critic.layers)
    assert not loaded.policy.actor.embedding.cpu_kernels


@pytest.mark.parametrize("loss", [lambda out: out.square().sum(), lambda out: out.sum()])
def test_a_second_derivative_is_refused_on_every_way_to_it(loss):
    qkv, _ = random_inputs(1, 5, 1, 4)
    qkv.requires_grad_()
    out = cpu_kernels.causal_attention(qkv)
    (gradient,) = th.autograd.grad(loss(out), qkv, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        th.autograd.grad(loss(out) + gradient.square().sum(), qkv)


@pytest.mark.parametrize(("B", "T"), [(0, 5), (2, 0)])
def test_nothing_in_gives_nothing_out(B, T):
    found = value_and_gradient(cpu_kernels.causal_attention, *random_inputs(B, T, 2, 4))
    assert [x.shape for x in found] == [(B, T, 2, 4), (B, T, 3, 2, 4)]


def traced_and_stored(net, x):
    file = io.BytesIO()
    th.jit.save(th.jit.trace(net, x), file)
    return th.jit.load(io.BytesIO(file.getvalue()))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(
    "recorded",
    [
        traced_and_stored,
        lambda net, x: th.export.export(net, (x,)).module(),
        lambda net, x: th.compile(net, backend="eager", fullgraph=True),
        lambda net, x: make_fx(net)(x),
        lambda net, x: lambda y: th.func.vmap(lambda row: net(row[None])[0])(y),
    ],
    ids=["trace", "export", "compile", "make_fx", "vmap"],
)
def test_a_recorded_transformer_computes_with_other_inputs_too(recorded):
    th.manual_seed(0)
    net = CausalTransformer(6, 3, 20, d_model=8, n_heads=2)
    x = th.randn(2, 20, 6)
    net_again = recorded(net, x)
    with th.no_grad():
        th.testing.assert_close(net_again(-x), net(-x), rtol=0, atol=3e-6)


def test_compiled_passes_do_what_they_say_in_python():
    from rl3_sb3.cpu_kernels import attention

    qkv, weights = random_inputs(1, 18, 1, 3)
    results = []
    for forward, backward in (
        (attention.forward_kernel, attention.backward_kernel),
        (attention.forward_kernel.py_func, attention.backward_kernel.py_func),
    ):
        attended, d_qkv = np.zeros_like(weights.numpy()), np.zeros_like(qkv.numpy())
        forward(qkv.numpy(), attended)
        backward(weights.numpy(), qkv.numpy(), d_qkv)
        results.append((attended, d_qkv))
    for compiled, python in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, python, rtol=2e-6, atol=2e-6)
