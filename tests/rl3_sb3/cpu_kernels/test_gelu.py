import numpy as np
import pytest
import torch as th

from rl3_sb3.cpu_kernels.gelu import gelu

WAYS = pytest.mark.parametrize("kernel", [gelu, gelu.py_func], ids=["compiled", "python"])


def activated(kernel, numbers, bias=0.0):
    h = np.zeros((-(-len(numbers) // 16), 16), np.float32)
    h.reshape(-1)[: len(numbers)] = numbers
    slope = np.full_like(h, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        kernel(h, np.full(16, bias, np.float32), slope)
    return h.reshape(-1)[: len(numbers)], slope.reshape(-1)[: len(numbers)]


@WAYS
def test_values_and_slopes_are_exact_to_a_few_parts_in_ten_million(kernel):
    x = th.linspace(-12, 12, 2001, dtype=th.float32)
    exact = (x.double() + 0.25).requires_grad_()
    expected = th.nn.functional.gelu(exact)
    (slope,) = th.autograd.grad(expected.sum(), exact)
    values, slopes = activated(kernel, x.numpy(), bias=0.25)
    np.testing.assert_allclose(values, expected.detach(), rtol=2e-7, atol=3e-7)
    np.testing.assert_allclose(slopes, slope, rtol=2e-7, atol=3e-7)


@WAYS
def test_far_out_it_is_the_identity_or_nothing(kernel):
    values, slopes = activated(kernel, [40.0, -40.0, 1e30, -1e30])
    np.testing.assert_array_equal(values, np.float32([40, 0, 1e30, 0]))
    np.testing.assert_array_equal(slopes, [1, 0, 1, 0])


@WAYS
def test_each_unit_has_its_own_bias(kernel):
    h, bias = np.zeros((2, 32), np.float32), np.arange(32, dtype=np.float32)
    kernel(h, bias, np.empty(0, np.float32))
    expected = th.nn.functional.gelu(th.arange(32.0)).expand(2, 32)
    np.testing.assert_allclose(h, expected, rtol=2e-7, atol=2e-7)


def test_nan_stays():
    values, slopes = activated(gelu, [1.0, np.nan, -1.0])
    assert np.isnan(values).tolist() == [False, True, False]
    assert np.isnan(slopes).tolist() == [False, True, False]
