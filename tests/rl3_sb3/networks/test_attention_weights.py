import numpy as np
import pytest
import torch as th
from torch import nn

from rl3_sb3 import CausalTransformer
from rl3_sb3.networks.attention_weights import attend

SIZES = {"d_model": 16, "n_layers": 2, "n_heads": 4, "d_ff": 32, "input_hidden": 24}


@pytest.fixture(params=["learned", "rotary"])
def network(request):
    th.manual_seed(0)
    network = CausalTransformer(5, 3, context_length=9, positions=request.param, **SIZES)
    for layer in network.layers:  # sharp, so that the tokens' weights differ
        nn.init.normal_(layer.qkv.weight)
    return network


def tokens(B=2, T=9):
    return th.randn(B, T, 5, generator=th.Generator().manual_seed(1))


@pytest.mark.parametrize("n_threads", [1, 2])
def test_outputs_and_gradients_equal_the_networks_own(network, n_threads):
    before = th.get_num_threads()
    th.set_num_threads(n_threads)  # with one, our kernels; with two, torch's
    try:
        x = tokens().requires_grad_()
        own, attended = network(x), attend(network, x).outputs
        th.testing.assert_close(attended, own, atol=1e-5, rtol=1e-5)
        weights = th.randn(own.shape, generator=th.Generator().manual_seed(2))
        (wanted,) = th.autograd.grad((own * weights).sum(), x)
        (got,) = th.autograd.grad((attended * weights).sum(), x)
        th.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)
    finally:
        th.set_num_threads(before)


def test_weights_are_those_of_torchs_own_attention(network):
    x = tokens()
    layer = network.layers[0]
    h, turns = network.embedded(x)
    if turns is not None:
        pytest.skip("torch's layer turns nothing")
    theirs = nn.MultiheadAttention(16, 4, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": layer.qkv.weight,
            "in_proj_bias": layer.qkv.bias,
            "out_proj.weight": layer.projection.weight,
            "out_proj.bias": layer.projection.bias,
        }
    )
    later = th.ones(9, 9, dtype=th.bool).triu(1)
    _, wanted = theirs(h, h, h, attn_mask=later, average_attn_weights=False)
    weights = attend(network, x).weights
    th.testing.assert_close(weights[0], wanted, atol=1e-5, rtol=1e-5)
    assert weights.shape == (2, 2, 4, 9, 9)
    th.testing.assert_close(weights.sum(-1), th.ones(2, 2, 4, 9))


def test_a_hidden_token_gets_no_weight_and_moves_no_output(network):
    x = tokens()
    visible = th.ones(9, 9, dtype=th.bool)
    visible[5:, :3] = False  # nobody from 5 on sees 0 to 2; but 3 and 4 do, who are seen
    visible[5:, 3:5] = False
    outputs, weights = attend(network, x, visible)
    assert (weights[..., 5:, :5] == 0).all()
    moved = x.clone()
    moved[:, :5] += 1.0
    th.testing.assert_close(attend(network, moved, visible).outputs[:, 5:], outputs[:, 5:])
    assert (attend(network, moved).outputs - attend(network, x).outputs)[:, 5:].abs().max() > 1e-2


def test_steps_with_hidden_tokens_equal_the_whole_sequence(network):
    x = tokens(3)
    draw = th.rand(3, 9, 9, generator=th.Generator().manual_seed(3))
    visible = (draw < 0.5) | th.eye(9, dtype=th.bool)
    whole = attend(network, x, visible).outputs
    cache = network.new_memory(3)
    for t in range(9):
        out, cache = network.step(x[:, t], cache, hidden=~visible[:, t, : t + 1])
        th.testing.assert_close(out, whole[:, t], atol=1e-5, rtol=1e-5)


def test_rows_of_unequal_length_hide_their_own_tokens(network):
    x = tokens(2)
    cache = network.new_memory(2)
    for t in range(3):
        _, cache = network.step(x[:, t], cache)
    cache = cache.reset_rows(np.array([True, False]))
    hidden = th.tensor([[False, True, True, True], [False, True, False, False]])
    out, _ = network.step(x[:, 3], cache, hidden)
    visible = th.ones(4, 4, dtype=th.bool)
    visible[3, 1] = False
    th.testing.assert_close(
        out[1], attend(network, x[1:, :4], visible).outputs[0, 3], atol=1e-5, rtol=1e-5
    )
    th.testing.assert_close(out[0], network(x[:1, 3:4])[0, 0], atol=1e-5, rtol=1e-5)


def test_a_token_hidden_from_itself_is_refused(network):
    visible = th.ones(9, 9, dtype=th.bool)
    visible[4, 4] = False
    with pytest.raises(ValueError, match="must see itself"):
        attend(network, tokens(), visible)
    with pytest.raises(ValueError, match="must see itself"):
        network.step(tokens()[:, 0], network.new_memory(2), th.tensor([[False], [True]]))


def test_a_sequence_longer_than_the_context_is_refused(network):
    with pytest.raises(ValueError, match="at most 9 tokens per sequence, got 10"):
        attend(network, tokens(T=10))
