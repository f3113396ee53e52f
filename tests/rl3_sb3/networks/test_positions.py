"""Rotary positions, by the equations of their source and the law that they were made for."""

import numpy as np
import pytest
import torch as th
from torch import nn

from rl3_sb3.networks.positions import factors, rotate, rotations
from rl3_sb3.networks.transformer import CausalTransformer


def drawn(*shape, seed=0):
    return th.randn(*shape, dtype=th.float64, generator=th.Generator().manual_seed(seed))


def turned(qkv, n_positions):
    return rotate(qkv, factors(rotations(n_positions, qkv.shape[-1]).double()))


def test_follows_the_equations_of_its_source():
    """Blocks of 2 x 2 rotation matrices, whose angles are 1 to 100^(-3/4) a step."""
    D, T = 8, 7
    qkv = drawn(T, 3, 2, D)
    found = turned(qkv, T).numpy()
    for t in range(T):
        R = np.zeros((D, D))
        for i in range(D // 2):
            angle = t * 100 ** (-2 * i / D)
            c, s = np.cos(angle), np.sin(angle)
            R[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[c, -s], [s, c]]
        for part in (0, 1):
            expected = qkv[t, part].numpy() @ R.T
            np.testing.assert_allclose(found[t, part], expected, atol=1e-6)
        np.testing.assert_array_equal(found[t, 2], qkv[t, 2])  # values are not turned


def test_a_product_of_query_and_key_depends_on_their_distance_alone():
    vectors = drawn(1, 3, 4, 16).expand(50, 3, 4, 16)
    q, k, _ = turned(vectors, 50).unbind(1)
    products = th.einsum("thd,jhd->htj", q, k)
    for distance in range(-40, 41, 8):
        along = products.diagonal(distance, dim1=1, dim2=2)
        th.testing.assert_close(along, along[:, :1].expand_as(along), atol=1e-5, rtol=0)
    of_distances = products[:, 0]  # (heads, 50): keys 0 to 49 steps later
    assert (of_distances[:, 1:] - of_distances[:, :1]).abs().min() > 1e-4


def test_turning_keeps_precision_and_shape():
    qkv = drawn(2, 9, 3, 2, 8)
    exact = turned(qkv, 9)
    for dtype, error in ((th.float32, 1e-6), (th.bfloat16, 0.02)):
        found = rotate(qkv.to(dtype), factors(rotations(9, 8)))
        assert found.dtype == dtype
        assert (found - exact).abs().max() < error * exact.abs().max()


@pytest.fixture
def network():
    th.manual_seed(0)
    network = CausalTransformer(
        5, 3, 9, d_model=16, n_layers=2, n_heads=4, d_ff=32, input_hidden=24, positions="rotary"
    )
    with th.no_grad():
        for parameter in network.parameters():
            nn.init.normal_(parameter, std=0.6)
    return network


def test_where_a_sequence_starts_to_count_is_all_one(network):
    x = drawn(2, 10, 5).float()
    expected = network(x, bootstrap=True)
    network.rotations = rotations(17, 4)[7:]
    th.testing.assert_close(network(x, bootstrap=True), expected, atol=1e-4, rtol=1e-4)


def test_the_order_of_earlier_tokens_counts(network):
    x = drawn(1, 5, 5).float()
    swapped = x[:, [1, 0, 2, 3, 4]]
    assert (network(x) - network(swapped))[:, -1].abs().max() > 1e-3
    network.rotations = rotations(1, 4).repeat(10, 1, 1)  # nothing is turned
    network.layers = network.layers[:1]
    th.testing.assert_close(network(x)[:, -1], network(swapped)[:, -1], atol=1e-5, rtol=1e-5)


def test_the_bootstrap_token_has_a_position_of_its_own(network):
    longer = CausalTransformer(
        5, 3, 10, d_model=16, n_layers=2, n_heads=4, d_ff=32, input_hidden=24, positions="rotary"
    )
    longer.load_state_dict(network.state_dict())
    x = drawn(1, 10, 5).float()
    th.testing.assert_close(network(x, bootstrap=True), longer(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"positions": "sinus"}, "`positions` must be one of learned, rotary, got 'sinus'"),
        ({"d_model": 6, "n_heads": 2}, r"an even width for rotary positions, got 6\. Use 8,"),
    ],
)
def test_positions_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        CausalTransformer(5, 3, 9, **arguments)
    assert CausalTransformer(5, 3, 9, d_model=6, n_heads=2, positions="learned").rotations is None
