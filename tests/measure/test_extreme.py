"""Extreme eigenpairs against ``torch.linalg.eigvalsh``: degenerate, singular, zero, definite, indefinite."""

from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.errors import InvariantBroken, RequestError
from harness.measure.curvature import products, rows, symmetric
from harness.measure.extreme import MOST_PRODUCTS, extreme
from harness.measure.spectrum import dense
from tests.measure.problems import problem
from tests.measure.test_spectrum import POWER_LAW, N, check, matrix_of

End = Literal["top", "bottom"]
ENDS: tuple[End, ...] = ("top", "bottom")


class Matrix:
    """A matrix with its products counted, and how exactly its extreme eigenvalues are to be found."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix, self.products = matrix, 0
        self.values = torch.linalg.eigvalsh(matrix.double()).flip(0)

    def times(self, directions: Tensor) -> Tensor:
        self.products += len(directions)
        return directions.to(self.matrix) @ self.matrix

    def wanted(self, count: int, end: End) -> Tensor:
        return self.values[:count] if end == "top" else self.values[-count:]

    def error(self, values: Tensor, tolerance: float) -> Tensor:
        """What the docstring of ``extreme`` allows."""
        norm = float(self.values.abs().max())
        rounding = 32 * torch.finfo(self.matrix.dtype).eps
        return torch.maximum(tolerance * values.abs().clamp_min(tolerance * norm), torch.tensor(rounding * norm))


_VALUES = st.one_of(
    st.sampled_from([0.0, 0.0, 1.0, 2.0, -1.0, -0.151, -0.117]),
    st.floats(-9, 4).map(lambda exponent: 10**exponent),
    st.floats(-9, 4).map(lambda exponent: -(10**exponent)),
    st.floats(0, 1e-6).map(lambda gap: 1 + gap),
)
"""Of eigenvalues: repeated ones and zeros, tiny gaps, both signs, thirteen decades."""


@st.composite
def spectra(draw: st.DrawFn) -> Tensor:
    """[n] eigenvalues: some values, each repeated; all of one sign in some."""
    some = draw(st.lists(_VALUES, min_size=1, max_size=40))
    repeats = draw(st.lists(st.integers(1, 12), min_size=len(some), max_size=len(some)))
    turned = {"as they are": some, "semidefinite": [abs(one) for one in some], "negative": [-abs(one) for one in some]}
    values = torch.tensor(turned[draw(st.sampled_from(sorted(turned)))], dtype=torch.float64)
    return values.repeat_interleave(torch.tensor(repeats)) * 10.0 ** draw(st.integers(-6, 6))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    spectrum=spectra(),
    rotated=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    end=st.sampled_from(ENDS),
    count=st.integers(1, 5),
    exponent=st.integers(-8, -3),
)
def test_extremes_of_any_spectrum_are_those_of_all_its_eigenvalues(
    spectrum: Tensor, rotated: bool, dtype: torch.dtype, end: End, count: int, exponent: int
) -> None:
    if len(spectrum) <= count:
        return
    here, tolerance = Matrix((matrix_of(spectrum) if rotated else torch.diag(spectrum)).to(dtype)), 10.0**exponent
    pairs = extreme(here.times, len(spectrum), count, end=end, tolerance=tolerance)
    assert here.products < MOST_PRODUCTS
    assert pairs.converged
    wanted = here.wanted(count, end)
    # A residual bounds the distance to some eigenvalue: where others lie nearer than that, it may be one of them.
    assert bool(((pairs.values - wanted).abs() <= 3 * here.error(wanted, tolerance)).all()), (pairs.values, wanted)
    whole = here.matrix.double()
    again = (pairs.vectors @ whole - pairs.values[:, None] * pairs.vectors).norm(dim=1)
    rounding = float(here.error(wanted, 0.0).max())
    torch.testing.assert_close(pairs.residuals, again, rtol=1e-3, atol=rounding + 1e-300)
    assert bool((again <= here.error(pairs.values, tolerance) + rounding).all())
    identity = torch.eye(count, dtype=torch.float64)
    torch.testing.assert_close(pairs.vectors @ pairs.vectors.t(), identity, rtol=0, atol=1e-9)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("tolerance", [1e-3, 1e-10])
def test_the_zero_eigenvalue_of_a_singular_semidefinite_matrix(end: End, tolerance: float) -> None:
    values = torch.diag(torch.tensor([0.0, 0, 0, 1, 2, 3, 4, 5, 6, 7] * 3, dtype=torch.float64))
    here = Matrix(values if end == "bottom" else -values)
    pairs = extreme(here.times, 30, 1, end=end, tolerance=tolerance)
    assert pairs.converged
    assert pairs.values.tolist() == pytest.approx([0.0], abs=7 * max(tolerance**2, 1e-14))


def test_all_pairs_of_a_degenerate_eigenvalue_are_found() -> None:
    values = torch.cat([torch.tensor([-0.151, -0.151, -0.117, -0.117]), torch.linspace(0.01, 50, 60)]).double()
    here = Matrix(matrix_of(values))
    pairs = extreme(here.times, 64, 3, end="bottom", tolerance=1e-3)
    assert pairs.converged
    assert pairs.values.tolist() == pytest.approx([-0.117, -0.151, -0.151], rel=2e-3)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("count", [1, 3])
def test_a_large_matrix_that_does_not_settle_ends_and_is_not_called_converged(end: End, count: int) -> None:
    """Eigenvalues that crowd at zero, more of them than products: Lanczos does not tell them apart."""
    falling = -(10 ** torch.linspace(-3, 2, 5000, dtype=torch.float64)) * (1 if end == "top" else -1)
    products_made = 0

    def times(directions: Tensor) -> Tensor:
        nonlocal products_made
        products_made += len(directions)
        return directions * falling

    pairs = extreme(times, 5000, count, end=end, tolerance=1e-3)
    assert products_made < 1.5 * MOST_PRODUCTS
    assert not pairs.converged
    again = (pairs.vectors * falling - pairs.values[:, None] * pairs.vectors).norm(dim=1)
    torch.testing.assert_close(pairs.residuals, again)
    assert float(pairs.residuals.max()) > 1e-3 * float(pairs.values.abs().min())


def test_the_largest_of_few_large_ones_takes_few_products() -> None:
    """As of trained networks: what is followed through training is cheap."""
    values = torch.cat([torch.linspace(-0.1, 0.1, 4900), torch.logspace(-1, 2, 100)]).double()
    products_made = 0

    def times(directions: Tensor) -> Tensor:
        nonlocal products_made
        products_made += len(directions)
        return directions * values

    pairs = extreme(times, 5000, 1, end="top", tolerance=1e-3)
    assert pairs.values.tolist() == pytest.approx([100.0], rel=1e-3)
    assert pairs.converged
    assert products_made <= 45


def test_a_product_that_is_not_finite() -> None:
    with pytest.raises(InvariantBroken, match="a product with the matrix is not finite"):
        extreme(lambda v: v * torch.nan, 50, 1, end="top", tolerance=1e-3)


@pytest.mark.parametrize(("end", "count"), [("top", 1), ("top", 5), ("bottom", 1), ("bottom", 4)])
def test_extreme_pairs_of_a_known_spectrum(end: End, count: int) -> None:
    matrix = matrix_of(POWER_LAW)
    pairs = extreme(lambda v: v @ matrix, N, count, end=end, tolerance=1e-10)
    ordered = POWER_LAW.sort(descending=True).values
    check(pairs, matrix, ordered[:count] if end == "top" else ordered[-count:], 1e-10)
    assert pairs.converged
    assert float(pairs.residuals.max()) < 1e-8


@pytest.mark.parametrize("name", ["lenet", "resnet9"])
def test_extremes_of_a_network_are_those_of_its_dense_hessian(name: str) -> None:
    here = problem(name)
    objective = here.objective("batch")
    matrix, _ = symmetric(rows(objective, here.weights, 0, objective.size), objective.layers)
    every = dense(matrix).values
    for end, expected in zip(ENDS, (every[:3], every[-2:]), strict=True):
        pairs = extreme(
            lambda v: products(objective, here.weights, v), objective.size, len(expected), end=end, tolerance=1e-9
        )
        assert pairs.converged
        assert float((pairs.values - expected).abs().max() / expected.abs().max()) < 1e-6
        assert float(pairs.residuals.max()) < 1e-6 * float(expected.abs().max())


def test_what_did_not_converge_is_reported() -> None:
    crowded = matrix_of(torch.linspace(1.0, 1.001, 400, dtype=torch.float64))
    pairs = extreme(lambda v: v @ crowded, 400, 3, end="top", tolerance=1e-14, most=1)
    assert not pairs.converged
    assert len(pairs.values) == len(pairs.vectors) == len(pairs.residuals) < 3


def test_a_product_less_exact_than_the_tolerance_is_not_called_converged() -> None:
    """ARPACK trusts the products it is given; the residuals are measured."""
    matrix = matrix_of(POWER_LAW)
    calls = 0

    def noisy(v: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return v @ matrix + 1e-3 * torch.sin(1e4 * calls * v)

    assert not extreme(noisy, N, 2, end="top", tolerance=1e-8).converged


@pytest.mark.parametrize("count", [0, -1, N, N + 5])
def test_more_pairs_than_there_are(count: int) -> None:
    with pytest.raises(RequestError, match=rf"found {count} eigenpairs of a matrix of {N}: ask for 1 to {N - 1}, or"):
        extreme(lambda v: v, N, count, end="top", tolerance=1e-3)


def test_a_seed_gives_the_same_pairs_again_and_no_global_state_moves() -> None:
    """Also where a Krylov space ends and ARPACK draws a direction at random."""
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].tolist()
    for matrix in (matrix_of(POWER_LAW), torch.diag(torch.tensor([1.0, 2.0, 3.0, 0.0]).double().repeat(15))):
        times = Matrix(matrix).times
        one, two = (extreme(times, N, 2, end="top", tolerance=1e-8, seed=3) for _ in range(2))
        assert torch.equal(one.vectors, two.vectors)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert numpy_state == np.random.get_state()[1].tolist()
