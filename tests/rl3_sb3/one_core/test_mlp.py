"""Two layers on one core: torch's in double precision are the other road to the same answer."""

import numpy as np
import pytest
import torch as th

from rl3_sb3 import one_core
from rl3_sb3.mlp import Mlp
from rl3_sb3.one_core import activations


def outputs_and_gradients(mlp, x, weights):
    x = x.detach().clone().requires_grad_()
    y = mlp(x)
    gradients = th.autograd.grad((y * weights.to(y)).sum(), [x, *mlp.parameters()])
    return [y.detach(), *gradients]


def make(n_inputs, n_hidden, n_outputs, activation):
    th.manual_seed(n_inputs)
    mlp = Mlp(n_inputs, n_hidden, n_outputs, activation)
    return mlp, th.randn(3, 7, n_inputs) * 2, th.randn(3, 7, n_outputs)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize(("n_inputs", "n_hidden", "n_outputs"), [(1, 16, 1), (29, 48, 5)])
def test_values_and_gradients_are_torchs(n_inputs, n_hidden, n_outputs, activation, monkeypatch):
    mlp, x, weights = make(n_inputs, n_hidden, n_outputs, activation)
    monkeypatch.setattr(one_core, "suits_mlp", lambda x, n_hidden: x.dtype == th.float32)
    monkeypatch.setattr(one_core, "mlp", counted := Counted(one_core.mlp))
    found = outputs_and_gradients(mlp, x, weights)
    expected = outputs_and_gradients(mlp.double(), x.double(), weights)
    assert counted.calls == 1
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        scale = max(1.0, other.abs().max().item())
        assert (one - other).abs().max().item() <= 2e-6 * scale


class Counted:
    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *args):
        self.calls += 1
        return self.function(*args)


def kernels(name):
    kernel = getattr(activations, name)
    return pytest.mark.parametrize("kernel", [kernel, kernel.py_func], ids=["compiled", "python"])


def activated(kernel, numbers, bias=0.0):
    h = np.zeros((-(-len(numbers) // 16), 16), np.float32)
    h.reshape(-1)[: len(numbers)] = numbers
    slope = np.full_like(h, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        kernel(h, np.full(16, bias, np.float32), slope)
    return h.reshape(-1)[: len(numbers)], slope.reshape(-1)[: len(numbers)]


@kernels("gelu")
def test_gelu_and_its_slope_are_exact_to_a_few_parts_in_ten_million(kernel):
    x = th.linspace(-12, 12, 2001, dtype=th.float32)
    exact = (x.double() + 0.25).requires_grad_()
    expected = th.nn.functional.gelu(exact)
    (slope,) = th.autograd.grad(expected.sum(), exact)
    values, slopes = activated(kernel, x.numpy(), bias=0.25)
    np.testing.assert_allclose(values, expected.detach(), rtol=2e-7, atol=3e-7)
    np.testing.assert_allclose(slopes, slope, rtol=2e-7, atol=3e-7)


@kernels("gelu")
def test_gelu_far_out_is_the_identity_or_nothing(kernel):
    values, slopes = activated(kernel, [40.0, -40.0, 1e30, -1e30])
    np.testing.assert_array_equal(values, np.float32([40, 0, 1e30, 0]))
    np.testing.assert_array_equal(slopes, [1, 0, 1, 0])


@kernels("relu")
def test_relu_has_no_slope_at_nothing(kernel):
    values, slopes = activated(kernel, [-1.0, 0.0, 1e-30, 2.0])
    np.testing.assert_array_equal(values, np.float32([0, 0, 1e-30, 2]))
    np.testing.assert_array_equal(slopes, [0, 0, 1, 1])


@pytest.mark.parametrize("name", ["gelu", "relu"])
def test_nan_stays(name):
    values, _ = activated(getattr(activations, name), [1.0, np.nan, -1.0])
    assert np.isnan(values).tolist() == [False, True, False]


def test_strided_inputs_and_gradients_are_understood():
    mlp, x, weights = make(5, 16, 3, "gelu")
    plain = outputs_and_gradients(mlp, x, weights)

    def strided(x):
        return x.transpose(0, 1).contiguous().transpose(0, 1)

    x = strided(x).requires_grad_()
    y = one_core.mlp(x, mlp[0], mlp[2], "gelu")
    gradients = th.autograd.grad(y, [x, *mlp.parameters()], strided(weights))
    for one, other in zip([y, *gradients], plain, strict=True):
        th.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


def test_inputs_that_need_no_gradient_get_none_and_change_no_others():
    mlp, x, weights = make(5, 16, 3, "relu")
    _, _, *expected = outputs_and_gradients(mlp, x, weights)
    y = one_core.mlp(x, mlp[0], mlp[2], "relu")
    (y * weights).sum().backward()
    assert x.grad is None
    for parameter, gradient in zip(mlp.parameters(), expected, strict=True):
        th.testing.assert_close(parameter.grad, gradient)


def test_a_second_derivative_is_refused_on_every_way_to_it():
    mlp, x, _ = make(5, 16, 3, "gelu")
    x.requires_grad_()
    y = one_core.mlp(x, mlp[0], mlp[2], "gelu")
    (gradient,) = th.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        th.autograd.grad(y.square().sum() + gradient.square().sum(), x)


@pytest.mark.parametrize(
    ("shape", "n_hidden", "ours"), [((2, 3, 5), 16, 1), ((6, 5), 16, 0), ((2, 3, 5), 24, 0)]
)
def test_it_is_for_sequences_whose_hidden_units_fill_registers(shape, n_hidden, ours, monkeypatch):
    monkeypatch.setattr(one_core, "suits", lambda x: True)
    monkeypatch.setattr(one_core, "mlp", counted := Counted(one_core.mlp))
    Mlp(5, n_hidden, 3, "gelu")(th.randn(shape))
    assert counted.calls == ours


def test_mixed_precision_is_torchs():
    threads = th.get_num_threads()
    try:
        th.set_num_threads(1)
        with th.autocast("cpu", th.bfloat16):
            assert not one_core.suits(th.zeros(2))
        assert one_core.suits(th.zeros(2))
    finally:
        th.set_num_threads(threads)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_without_gradients_the_values_are_the_same_and_nothing_is_kept(activation):
    mlp, x, _ = make(5, 16, 3, activation)
    y = one_core.mlp(x, mlp[0], mlp[2], activation)
    with th.no_grad():
        alone = one_core.mlp(x, mlp[0], mlp[2], activation)
    assert y.requires_grad
    assert not alone.requires_grad
    assert th.equal(y, alone)
