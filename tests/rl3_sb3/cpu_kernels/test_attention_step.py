"""Attention of single new tokens: torch's in double precision is the other road to the answer."""

import numpy as np
import pytest
import torch as th

from rl3_sb3 import cpu_kernels
from rl3_sb3.cpu_kernels.attention_step import append_kernel
from rl3_sb3.networks import attention
from rl3_sb3.networks.attention import Places
from rl3_sb3.networks.transformer import CausalTransformer


def random_inputs(B, length, n_heads, D, scale=1.0):
    generator = th.Generator().manual_seed(B + 10 * length + 1000 * D)
    qkv = th.randn(B, 3, n_heads, D, generator=generator) * scale
    return qkv, *(th.randn(2, B, n_heads, length, D, generator=generator) * scale)


def torchs(qkv, keys, values, positions):
    """Return torch's result in double precision, and the keys and values after it."""
    rows, length = th.arange(len(qkv)), keys.shape[2]
    where = rows, slice(None), th.as_tensor(positions)
    hidden = (th.arange(length) > where[2][:, None])[:, None, None]
    memory = keys.double(), values.double()
    places = Places(where, length, hidden, None)
    return attention.cached_attention(qkv.double(), *memory, places, cpu_kernels=True), *memory


# Rows of every length: around the number of lanes, in both directions, and up to the last place.
@pytest.mark.parametrize("D", [16, 48])
@pytest.mark.parametrize(("scale", "tolerance"), [(1e-3, 3e-6), (1.0, 3e-6), (10.0, 2e-4)])
def test_values_are_torchs_and_the_new_tokens_are_stored(D, scale, tolerance):
    qkv, keys, values = random_inputs(37, 37, 3, D, scale)
    positions = np.arange(37)
    expected = torchs(qkv, keys, values, positions)
    found = cpu_kernels.cached_attention(qkv, keys, values, positions)
    assert (found - expected[0]).abs().max().item() <= tolerance * max(1.0, scale)
    assert th.equal(keys, expected[1].float())
    assert th.equal(values, expected[2].float())


def test_what_is_stored_after_the_new_token_is_not_read():
    qkv, keys, values = random_inputs(16, 40, 2, 16)
    positions = np.arange(16)
    found = cpu_kernels.cached_attention(qkv, keys.clone(), values.clone(), positions)
    for row in range(16):
        keys[row, :, row + 1 :] = values[row, :, row + 1 :] = th.nan
    assert th.equal(cpu_kernels.cached_attention(qkv, keys, values, positions), found)


def test_nan_reaches_its_own_row_and_head_only():
    qkv, keys, values = random_inputs(16, 20, 2, 16)
    positions = np.full(16, 19)
    clean = cpu_kernels.cached_attention(qkv, keys, values, positions)
    keys[3, 1, 4, 5] = th.nan
    found = cpu_kernels.cached_attention(qkv, keys, values, positions)
    assert found[3, 1].isnan().all()
    found[3, 1] = clean[3, 1]
    assert th.equal(found, clean)


def test_a_row_does_not_depend_on_the_batch_it_is_in():
    qkv, keys, values = random_inputs(20, 30, 2, 16)
    positions = np.arange(20)
    together = cpu_kernels.cached_attention(qkv, keys.clone(), values.clone(), positions)
    for row in range(20):
        rows = slice(row, row + 1)
        alone = cpu_kernels.cached_attention(qkv[rows], keys[rows], values[rows], positions[rows])
        assert th.equal(alone, together[rows])


def test_strided_queries_are_understood():
    qkv, keys, values = random_inputs(16, 20, 2, 16)
    positions = np.arange(16)
    found = cpu_kernels.cached_attention(qkv, keys.clone(), values.clone(), positions)
    strided = qkv.transpose(0, 1).contiguous().transpose(0, 1)
    assert th.equal(cpu_kernels.cached_attention(strided, keys, values, positions), found)


def test_compiled_steps_do_what_they_say_in_python():
    results = []
    for kernel in (append_kernel, append_kernel.py_func):
        qkv, keys, values = (x.numpy() for x in random_inputs(4, 18, 2, 32))
        attended = np.zeros((4, 2, 32), np.float32)
        kernel(qkv, keys, values, np.array([0, 3, 16, 17]), attended)
        results.append((attended, keys, values))
    for compiled, python in zip(*results, strict=True):
        np.testing.assert_allclose(compiled, python, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_steps_of_aligned_and_ragged_rows_are_the_whole_pass(positions, monkeypatch):
    """Rows that start over at different times, each compared with its sequence since then."""
    th.manual_seed(0)
    net = CausalTransformer(5, 3, 12, d_model=32, n_heads=2, positions=positions)
    appended = []
    monkeypatch.setattr(
        cpu_kernels,
        "cached_attention",
        lambda *args, known=cpu_kernels.cached_attention: appended.append(1) or known(*args),
    )
    x = th.randn(18, 12, 5)
    starts = np.zeros(18, np.int64)
    cache = net.new_memory(18)
    for t in range(12):
        begins = np.arange(18) == t if t >= 3 else np.zeros(18, bool)
        starts[begins] = t
        out, cache = net.step(x[:, t], cache.reset_rows(begins))
        for row, start in enumerate(starts):
            whole = net(x[row : row + 1, start : t + 1])[0, -1]
            th.testing.assert_close(out[row], whole, rtol=0, atol=3e-6)
    assert len(appended) == 2 * 12  # two layers


@pytest.mark.parametrize(
    ("rows", "sizes"),
    [
        (15, {"d_model": 32}),  # few rows: numba is not loaded for them
        (16, {"d_model": 16}),  # narrow heads
        (16, {"d_model": 32, "cpu_kernels": False}),
        (16, {"d_model": 32, "mixed_precision": True}),
    ],
)
def test_other_steps_are_torchs(rows, sizes, monkeypatch):
    monkeypatch.setattr(cpu_kernels, "cached_attention", None)
    net = CausalTransformer(5, 3, 12, n_heads=2, **sizes)
    net.step(th.randn(rows, 5), net.new_memory(rows))


def test_steps_with_hidden_tokens_are_torchs(monkeypatch):
    monkeypatch.setattr(cpu_kernels, "cached_attention", None)
    net = CausalTransformer(5, 3, 12, d_model=32, n_heads=2)
    net.step(th.randn(16, 5), net.new_memory(16), th.zeros(16, 1, dtype=th.bool))


@pytest.mark.parametrize("part", [np.s_[:, :, ::2], np.s_[:, :, :, :, :6], np.s_[:, :, :, ::2]])
def test_a_cache_in_pieces_is_torchs(part):
    net = CausalTransformer(5, 3, 12, d_model=64, n_heads=4)
    cache = net.new_memory(40)
    cut = cache.storage[part]
    keys, values = cut[0]
    rows, heads = keys.shape[:2]
    places = Places((slice(None), slice(None), 0), 1, None, np.zeros(rows, np.int64))
    qkv = th.randn(rows, 3, heads, 16)
    attended = attention.cached_attention(qkv, keys, values, places, cpu_kernels=True)
    th.testing.assert_close(attended, qkv[:, 2])


def test_forward_gradients_are_torchs():
    def tangent(rows):
        th.manual_seed(0)
        net = CausalTransformer(5, 3, 12, d_model=32, n_heads=2)
        with th.autograd.forward_ad.dual_level():
            x = th.autograd.forward_ad.make_dual(th.ones(rows, 5), th.ones(rows, 5))
            out, _ = net.step(x, net.new_memory(rows))
            return th.autograd.forward_ad.unpack_dual(out).tangent

    th.testing.assert_close(tangent(16)[:15], tangent(15))
