"""GELU of vectors and its slope against the normal distribution in double precision, and by what polynomials it is."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.polynomial.polynomial import polyval
from scipy.special import erfcx
from torch import Tensor

pytest.importorskip("numba")

from harness.engine.kernels.activation import _DOUBLE, _SINGLE, _Format, gelu
from harness.engine.kernels.autograd import lanes_of
from harness.engine.kernels.lanes import arrays_at, compiled, load, store, width

FORMATS = {torch.float32: _SINGLE, torch.float64: _DOUBLE}


@compiled
def _over(addresses: Any, like: Any, count: int) -> None:
    x, values, slopes = arrays_at(addresses, like)
    for i in range(0, count, width(x)):
        value, slope = gelu(load(x, i))
        store(values, i, value)
        store(slopes, i, slope)


def found(x: Tensor) -> tuple[Tensor, Tensor]:
    """GELU and its slope, of as many numbers as fill vectors."""
    assert not len(x) % lanes_of(x.dtype)
    values, slopes = torch.empty_like(x), torch.empty_like(x)
    _over((x.data_ptr(), values.data_ptr(), slopes.data_ptr()), x.new_zeros(()).numpy()[()], len(x))
    return values, slopes


def exact(x: Tensor) -> tuple[Tensor, Tensor]:
    """The same by the complementary error function, in double precision."""
    x = x.double()
    distribution = torch.special.erfc(-x / math.sqrt(2)) / 2
    return x * distribution, distribution + x * torch.exp(-x * x / 2) / math.sqrt(2 * math.pi)


def by_pytorch(x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    y = F.gelu(x)
    (slope,) = torch.autograd.grad(y.sum(), [x])
    return y.detach(), slope


def numbers(dtype: torch.dtype) -> Tensor:
    near_zero = torch.linspace(-1e-3, 1e-3, 1 << 12, dtype=torch.float64)
    return torch.cat([torch.linspace(-14, 14, 1 << 16, dtype=torch.float64), near_zero]).to(dtype)


def units(found: Tensor, expected: Tensor) -> float:
    """The greatest error, in units in the last place of what is expected, or of .1 where that is less."""
    error = (found.double() - expected).abs() / expected.abs().clamp(min=0.1)
    return error.max().item() / torch.finfo(found.dtype).eps


@pytest.mark.parametrize(("dtype", "of_value", "of_slope"), [(torch.float32, 4, 8), (torch.float64, 20, 30)])
def test_errors_are_some_units_in_the_last_place(dtype: torch.dtype, of_value: float, of_slope: float) -> None:
    """In single precision fewer than those of PyTorch's; in double precision of the order of erfc's own."""
    x = numbers(dtype)
    (value, slope), expected = found(x), exact(x)
    assert units(value, expected[0]) < of_value
    assert units(slope, expected[1]) < of_slope
    if dtype == torch.float32:
        for mine, theirs, true in zip((value, slope), by_pytorch(x), expected, strict=True):
            assert units(mine, true) < units(theirs, true)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_it_is_pytorchs(dtype: torch.dtype, tolerance: float) -> None:
    """To a share of .1, or of what is greater."""
    x = numbers(dtype)
    for mine, theirs in zip(found(x), by_pytorch(x), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=12 * tolerance / 10)


@pytest.mark.parametrize("dtype", FORMATS)
def test_small_values_below_zero_are_right_too(dtype: torch.dtype) -> None:
    """Where PyTorch's are 1 - 1: as shares of themselves, of which the square of x may lose some digits."""
    x = torch.linspace(-12, -1, 1 << 10, dtype=torch.float64).to(dtype)
    torch.testing.assert_close(found(x)[0].double(), exact(x)[0], rtol=200 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("dtype", FORMATS)
def test_far_away_it_is_zero_or_the_number(dtype: torch.dtype) -> None:
    greatest = torch.finfo(dtype).max
    x = torch.tensor([-greatest, -1e30, -40, 0.0, -0.0, 40, 1e30, greatest], dtype=dtype).repeat(2)
    value, slope = found(x)
    assert torch.equal(value, torch.where(x > 0, x, 0))
    there = torch.tensor([0, 0, 0, 0.5, 0.5, 1, 1, 1], dtype=dtype).repeat(2)
    torch.testing.assert_close(slope, there, rtol=16 * torch.finfo(dtype).eps, atol=0)
    x = torch.tensor([math.nan, math.inf, -math.inf, 0.0], dtype=dtype).repeat(4)
    for result in found(x):
        assert torch.equal(result.isnan(), torch.tensor([True, True, True, False]).repeat(4))


@pytest.mark.parametrize("form", FORMATS.values(), ids=["single", "double"])
def test_polynomials_meet_their_functions_at_chebyshev_points(form: _Format) -> None:
    f, s = (np.polynomial.chebyshev.chebpts1(len(known)) for known in (form.power, form.tail))
    np.testing.assert_allclose(polyval(f / 2, form.power), np.exp2(f / 2), rtol=1e-14)
    a = 4 * (1 + s) / (1 - s)
    np.testing.assert_allclose(polyval(s, form.tail), (a + 4) * erfcx(a / math.sqrt(2)) / 2, rtol=1e-13)
