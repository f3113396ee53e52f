import copy

import pytest
import torch as th
from torch import nn

from rl3_sb3 import CausalTransformer

SIZES = {"d_model": 16, "n_layers": 2, "n_heads": 4, "d_ff": 32, "input_hidden": 24}
SIZES |= {"positions": "learned"}  # rotary ones: test_positions.py


@pytest.fixture
def network():
    th.manual_seed(0)
    network = CausalTransformer(5, 3, context_length=9, **SIZES)
    nn.init.normal_(network.positions)  # large, so that a wrong position shows
    return network


def tokens(B, T=9):
    return th.randn(B, T, 5, generator=th.Generator().manual_seed(1))


def test_cached_steps_equal_the_causal_pass(network):
    x = tokens(3)
    cache = network.new_memory(3)
    for t in range(9):
        out, cache = network.step(x[:, t], cache)
        th.testing.assert_close(out, network(x)[:, t], atol=1e-5, rtol=1e-5)


def test_equals_torch_own_post_norm_layers(network):
    x = tokens(2)
    first, _, second, norm = network.embedding
    h = norm(second(first(x).relu())) + network.positions
    for ours in network.layers:
        theirs = nn.TransformerEncoderLayer(
            16, 4, 32, dropout=0.0, activation=nn.GELU(), batch_first=True
        )
        theirs.load_state_dict(
            {
                "self_attn.in_proj_weight": ours.qkv.weight,
                "self_attn.in_proj_bias": ours.qkv.bias,
                "self_attn.out_proj.weight": ours.projection.weight,
                "self_attn.out_proj.bias": ours.projection.bias,
                "norm1.weight": ours.attention_norm.weight,
                "norm1.bias": ours.attention_norm.bias,
                "linear1.weight": ours.feed_forward[0].weight,
                "linear1.bias": ours.feed_forward[0].bias,
                "linear2.weight": ours.feed_forward[2].weight,
                "linear2.bias": ours.feed_forward[2].bias,
                "norm2.weight": ours.output_norm.weight,
                "norm2.bias": ours.output_norm.bias,
            }
        )
        h = theirs(h, src_mask=nn.Transformer.generate_square_subsequent_mask(9), is_causal=True)
    th.testing.assert_close(network(x), network.head(h.relu()), atol=1e-5, rtol=1e-5)


def test_a_deep_copied_cache_branches(network):
    x = tokens(2)
    _, cache = network.step(x[:, 0], network.new_memory(2))
    branch = copy.deepcopy(cache)
    network.step(x[:, 5], branch)
    _, cache = network.step(x[:, 1], cache)
    network.step(x[:, 5], branch)
    out, _ = network.step(x[:, 2], cache)
    th.testing.assert_close(out, network(x)[:, 2], atol=1e-5, rtol=1e-5)


def test_a_bootstrap_token_beyond_the_context_changes_no_earlier_output(network):
    x = tokens(2, T=10)
    with_extra = network(x, bootstrap=True)
    th.testing.assert_close(with_extra[:, :9], network(x[:, :9]), atol=1e-6, rtol=1e-6)
    assert (with_extra[:, 9] - network(x[:, 1:])[:, 8]).abs().max() > 1e-3  # it sees token 0


def test_the_bootstrap_token_shares_the_last_position(network):
    x = tokens(1, T=10)
    with th.no_grad():
        longer = CausalTransformer(5, 3, context_length=10, **SIZES)
        state = network.state_dict()
        state["positions"] = th.cat([network.positions, network.positions[-1:]])
        longer.load_state_dict(state)
    th.testing.assert_close(network(x, bootstrap=True), longer(x))


def test_a_sequence_longer_than_the_context_is_refused(network):
    with pytest.raises(ValueError, match=r"`x` must have at most 9 tokens per sequence, got 10"):
        network(tokens(1, T=10))


def test_a_full_cache_refuses_another_token_and_keeps_its_content(network):
    x = tokens(2)
    cache = network.new_memory(2)
    for t in range(9):
        _, cache = network.step(x[:, t], cache)
    before = cache.storage.clone()
    with pytest.raises(ValueError, match=r"row 0 with 9 of `context_length` = 9 tokens"):
        network.step(x[:, 0], cache)
    assert th.equal(before, cache.storage)
    assert (cache.positions == 9).all()


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"d_model": 10, "n_heads": 4}, r"`d_model` must be a multiple of `n_heads` = 4, got 10"),
        ({"n_layers": 0}, r"`n_layers` must be at least 1, got 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        CausalTransformer(5, 3, 9, **sizes)


def saved_bytes(network, x):
    """What a forward pass keeps for the backward pass, weights and tables aside."""
    weights = {p.data_ptr() for p in (*network.parameters(), *network.buffers())}
    kept = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with th.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = network(x)
    assert out.requires_grad
    return sum(kept.values())


def test_activation_memory_grows_linearly_with_the_sequence():
    network = CausalTransformer(4, 2, context_length=1024)
    short, long = (saved_bytes(network, th.randn(1, T, 4)) for T in (128, 1024))
    # one 1024 x 1024 matrix of scores alone would be 4 MiB for each of 4 heads and 2 layers
    assert long == pytest.approx(8 * short, rel=0.02)
