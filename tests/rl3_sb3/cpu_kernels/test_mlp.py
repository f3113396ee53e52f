"""Two layers on one core: torch's in double precision are the other road to the same answer."""

import copy

import pytest
import torch as th
from torch import nn
from torch.nn.utils import parametrizations, prune

from rl3_sb3 import cpu_kernels
from rl3_sb3.networks.mlp import Mlp

ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU}


class Counted:
    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *args):
        self.calls += 1
        return self.function(*args)


@pytest.fixture
def fast(monkeypatch):
    """Count the calls of the fast way, open to single precision on any number of threads."""
    monkeypatch.setattr(cpu_kernels, "suits", lambda x: x.dtype == th.float32)
    monkeypatch.setattr(cpu_kernels, "mlp", counted := Counted(cpu_kernels.mlp))
    return counted


def outputs_and_gradients(mlp, x, weights):
    x = x.detach().clone().requires_grad_()
    y = mlp(x)
    gradients = th.autograd.grad((y * weights.to(y)).sum(), [x, *mlp.parameters()])
    return [y.detach(), *gradients]


def make(n_inputs=5, n_hidden=16, n_outputs=3, activation="gelu"):
    th.manual_seed(n_inputs)
    layers = nn.Linear(n_inputs, n_hidden), nn.Linear(n_hidden, n_outputs)
    mlp = Mlp(layers[0], ACTIVATIONS[activation](), layers[1])
    return mlp, th.randn(3, 7, n_inputs) * 2, th.randn(3, 7, n_outputs)


def assert_agrees_with_double_precision(mlp, x, weights):
    found = outputs_and_gradients(mlp, x, weights)
    expected = outputs_and_gradients(copy.deepcopy(mlp).double(), x.double(), weights)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert one.is_contiguous()
        scale = max(1.0, other.abs().max().item()) if other.numel() > 0 else 1.0
        th.testing.assert_close(one.double(), other, rtol=0, atol=2e-6 * scale)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("n_inputs", "n_hidden", "n_outputs"), [(1, 16, 1), (29, 48, 5)])
def test_values_and_gradients_are_torchs(fast, n_inputs, n_hidden, n_outputs, activation):
    assert_agrees_with_double_precision(*make(n_inputs, n_hidden, n_outputs, activation))
    assert fast.calls == 1


@pytest.mark.parametrize("shape", [(0, 7), (3, 0)])
def test_nothing_in_gives_nothing_out(fast, shape):
    mlp, x, weights = make()
    B, T = shape
    assert_agrees_with_double_precision(mlp, x[:B, :T], weights[:B, :T])
    assert fast.calls == 1


def test_layers_that_follow_are_applied(fast):
    mlp, x, _ = make()
    whole = Mlp(*mlp, nn.Tanh())
    assert th.equal(whole(x), mlp(x).tanh())
    assert fast.calls == 2
    assert len(whole[:2]) == 2


def strided(x):
    return x.transpose(0, 1).contiguous().transpose(0, 1)


def test_strided_inputs_gradients_and_parameters_are_understood(fast):
    mlp, x, weights = make()
    expected = outputs_and_gradients(mlp, x, weights)
    for layer in (mlp[0], mlp[2]):
        layer.weight = nn.Parameter(layer.weight.detach().T.contiguous().T)
        layer.bias = nn.Parameter(th.stack([layer.bias.detach()] * 3, dim=1)[:, 1])
    x = strided(x).requires_grad_()
    y = mlp(x)
    gradients = th.autograd.grad(y, [x, *mlp.parameters()], strided(weights))
    for one, other in zip([y, *gradients], expected, strict=True):
        th.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
    assert fast.calls == 2


@pytest.mark.parametrize("frozen", range(5))
def test_what_needs_no_gradient_gets_none_and_changes_no_other(fast, frozen):
    mlp, x, weights = make()
    _, *expected = outputs_and_gradients(mlp, x, weights)
    inputs = [x.requires_grad_(), *mlp.parameters()]
    inputs[frozen].requires_grad_(False)
    (mlp(x) * weights).sum().backward()
    for i, (tensor, gradient) in enumerate(zip(inputs, expected, strict=True)):
        if i == frozen:
            assert tensor.grad is None
        else:
            assert th.equal(tensor.grad, gradient)
    assert fast.calls == 2


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_without_gradients_the_values_are_the_same(fast, activation):
    mlp, x, _ = make(activation=activation)
    with th.no_grad():
        alone = mlp(x)
    assert th.equal(mlp(x), alone)
    assert not alone.requires_grad
    assert fast.calls == 2


def test_an_output_may_be_changed_in_place(fast):
    mlp, x, weights = make()
    expected = outputs_and_gradients(mlp, x, 2 * weights)
    y = mlp(x).mul_(2)
    gradients = th.autograd.grad((y * weights).sum(), list(mlp.parameters()))
    for one, other in zip(gradients, expected[2:], strict=True):
        th.testing.assert_close(one, other)


@pytest.mark.parametrize("loss", [lambda y: y.square().sum(), lambda y: y.sum()])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_second_derivative_is_refused_on_every_way_to_it(fast, activation, loss):
    mlp, x, _ = make(activation=activation)
    x.requires_grad_()
    y = mlp(x)
    (gradient,) = th.autograd.grad(loss(y), x, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        th.autograd.grad(loss(y) + gradient.square().sum(), x)


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def replaced(i, layer):
    def change(mlp):
        mlp[i] = layer

    return change


def without_bias(mlp):
    mlp[2].bias = None


def widened(mlp):
    mlp[0].weight = nn.Parameter(th.randn(24, 5))
    mlp[0].bias = nn.Parameter(th.randn(24))
    mlp[2] = nn.Linear(24, 3)


def silent(module, inputs, output):
    return output * 0


@pytest.mark.parametrize(
    "change",
    [
        replaced(1, nn.SiLU()),
        replaced(1, nn.GELU(approximate="tanh")),
        replaced(0, Doubled(5, 16)),
        replaced(2, Doubled(16, 3)),
        replaced(1, nn.Sequential(nn.GELU(), nn.Dropout(0.0))),
        without_bias,
        widened,
        lambda mlp: mlp[0].register_forward_hook(silent),
        lambda mlp: mlp[1].register_forward_hook(silent),
        lambda mlp: mlp[2].register_forward_pre_hook(lambda module, inputs: inputs[0] * 0),
        lambda mlp: mlp[2].register_full_backward_hook(lambda *_: None),
        lambda mlp: mlp[0].register_full_backward_pre_hook(lambda *_: None),
        lambda mlp: prune.l1_unstructured(mlp[0], "weight", amount=0.5),
        lambda mlp: parametrizations.weight_norm(mlp[0]),
        lambda mlp: mlp.pop(2),
    ],
)
def test_layers_that_are_not_as_torch_made_them_are_called(fast, change):
    mlp, x, _ = make()
    change(mlp)
    plain = nn.Sequential(*mlp)
    th.manual_seed(0)
    expected = plain(x)
    assert th.equal(mlp(x), expected)
    assert fast.calls == 0


@pytest.mark.parametrize(("shape", "ours"), [((2, 3, 5), 1), ((6, 5), 0), ((1, 2, 3, 5), 0)])
def test_the_fast_way_is_for_sequences(fast, shape, ours):
    make()[0](th.randn(shape))
    assert fast.calls == ours


def test_mixed_precision_is_torchs():
    threads = th.get_num_threads()
    try:
        th.set_num_threads(1)
        with th.autocast("cpu", th.bfloat16):
            assert not cpu_kernels.suits(th.zeros(2))
        assert cpu_kernels.suits(th.zeros(2))
    finally:
        th.set_num_threads(threads)
