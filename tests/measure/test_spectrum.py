"""Spectra of matrices whose eigenvalues are known, and of small networks' Hessians against their dense ones."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.errors import RequestError
from harness.measure.curvature import products, rows, symmetric
from harness.measure.spectrum import Eigenpairs, dense, density
from tests.measure.problems import Problem, problem

N = 60
POWER_LAW = torch.cat([-0.3 / torch.arange(1, 11, dtype=torch.float64), 40 / torch.arange(50, 0, -1.0).double()])


def matrix_of(values: Tensor, seed: int = 0) -> Tensor:
    """A symmetric matrix with these eigenvalues, in a random basis."""
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(len(values), len(values), generator=generator, dtype=torch.float64))[0]
    whole = basis @ torch.diag(values) @ basis.t()
    return (whole + whole.t()) / 2


def check(pairs: Eigenpairs, matrix: Tensor, expected: Tensor, accuracy: float) -> None:
    assert pairs.values.tolist() == pytest.approx(expected.tolist(), rel=accuracy, abs=accuracy)
    again = (pairs.vectors @ matrix - pairs.values[:, None] * pairs.vectors).norm(dim=1)
    torch.testing.assert_close(pairs.residuals, again, rtol=1e-6, atol=1e-12)
    identity = torch.eye(len(expected), dtype=torch.float64)
    torch.testing.assert_close(pairs.vectors @ pairs.vectors.t(), identity, rtol=0, atol=1e-9)


def test_dense_pairs_of_a_known_spectrum() -> None:
    matrix = matrix_of(POWER_LAW)
    pairs = dense(matrix)
    check(pairs, matrix, POWER_LAW.sort(descending=True).values, 1e-12)
    assert pairs.converged
    assert float(pairs.residuals.max()) < 1e-12
    torch.testing.assert_close(pairs.vectors.t() @ torch.diag(pairs.values) @ pairs.vectors, matrix)


def test_dense_pairs_are_double_precision_whatever_the_matrix_is() -> None:
    matrix = matrix_of(POWER_LAW).float()
    pairs = dense(matrix)
    assert pairs.values.dtype == pairs.vectors.dtype == torch.float64
    assert float(pairs.residuals.max()) < 1e-12


def test_a_seed_gives_the_same_density_again_and_no_global_state_moves() -> None:
    matrix = matrix_of(POWER_LAW)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].tolist()
    first, second = (density(lambda v: v @ matrix, N, probes=2, steps=5, seed=3) for _ in range(2))
    assert torch.equal(first.nodes, second.nodes)
    assert not torch.equal(first.nodes, density(lambda v: v @ matrix, N, probes=2, steps=5, seed=4).nodes)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert numpy_state == np.random.get_state()[1].tolist()


def test_density_has_the_moments_of_the_matrix() -> None:
    """Moments within four standard errors, of which the estimate is not allowed to be generous."""
    matrix = matrix_of(POWER_LAW)
    found = density(lambda v: v @ matrix, N, probes=200, steps=10, seed=0)
    torch.testing.assert_close(found.weights.sum(1), torch.ones(200, dtype=torch.float64))
    for power, expected in ((1, matrix.trace() / N), (2, (matrix**2).sum() / N)):
        estimate, error = found.moment(power)
        assert error is not None
        assert abs(estimate - float(expected)) < 4 * error
        centred = torch.linalg.matrix_power(matrix, power) - torch.eye(N) * expected
        theory = math.sqrt(2 * float((centred**2).sum()) / (N * (N + 2)) / 200)  # of vᵀAv, v on the sphere
        assert error == pytest.approx(theory, rel=0.25)


def test_density_moments_of_a_network_are_its_trace_and_norm() -> None:
    here: Problem = problem("lenet")
    objective = here.objective("eval")
    matrix, _ = symmetric(rows(objective, here.weights, 0, objective.size), objective.layers)
    found = density(lambda v: products(objective, here.weights, v), objective.size, probes=40, steps=12, seed=1)
    for power, expected in ((1, matrix.trace()), (2, (matrix**2).sum())):
        estimate, error = found.moment(power)
        assert error is not None
        assert abs(estimate - float(expected) / objective.size) < 4 * error


def test_each_probe_is_a_gauss_quadrature() -> None:
    """With m steps, powers below 2 m are those of the probe itself: vᵀ A^p v."""
    matrix = matrix_of(POWER_LAW / 40)
    seen: list[Tensor] = []

    def product(v: Tensor) -> Tensor:
        seen.append(v.clone())
        return v @ matrix

    found = density(product, N, probes=3, steps=4, seed=0)
    for power in range(8):
        got = (found.weights * found.nodes**power).sum(1)
        expected = torch.einsum("pi,ij,pj->p", seen[0], torch.linalg.matrix_power(matrix, power), seen[0])
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("scale", [1.0, 1e-20, 1e20])
def test_density_of_few_values_is_exact_at_them(scale: float) -> None:
    """Lanczos ends early on an invariant subspace; what follows has no weight, at any scale."""
    unit = matrix_of(torch.tensor([2.0] * 30 + [-1.0] * 20 + [0.0] * 10, dtype=torch.float64))
    seen: list[Tensor] = []

    def product(v: Tensor) -> Tensor:
        seen.append(v.clone())
        return v @ unit * scale

    found = density(product, N, probes=4, steps=9, seed=0)
    near = [(found.nodes / scale - value).abs() < 1e-9 for value in (2.0, -1.0, 0.0)]
    at = torch.stack([(found.weights * one).sum(1) for one in near], 1)
    once, twice = ((seen[0] * (seen[0] @ torch.linalg.matrix_power(unit, power))).sum(1) for power in (1, 2))
    shares = torch.stack([(twice + once) / 6, (twice - 2 * once) / 3], 1)  # vᵀPv, P the projectors as polynomials
    torch.testing.assert_close(at, torch.cat([shares, 1 - shares.sum(1, keepdim=True)], 1), rtol=1e-9, atol=1e-12)


def test_smoothed_density_integrates_to_one_and_peaks_at_the_values() -> None:
    matrix = matrix_of(torch.tensor([3.0] * 40 + [-1.0] * 20, dtype=torch.float64))
    found = density(lambda v: v @ matrix, N, probes=50, steps=3, seed=0)
    at = torch.linspace(-4, 6, 2001, dtype=torch.float64)
    curve = found.smooth(at, 0.2)
    assert float(torch.trapezoid(curve, at)) == pytest.approx(1, abs=1e-9)
    assert float(at[curve.argmax()]) == pytest.approx(3, abs=0.01)
    assert float(torch.trapezoid(curve[at < 1], at[at < 1])) == pytest.approx(1 / 3, abs=0.05)


def test_a_single_probe_has_no_error() -> None:
    found = density(lambda v: 2 * v, N, probes=1, steps=1, seed=0)
    assert found.moment(1) == (pytest.approx(2.0, rel=1e-13), None)


@pytest.mark.parametrize(("probes", "steps"), [(0, 5), (2, 0), (2, N + 1)])
def test_a_density_of_nothing_or_of_too_much(probes: int, steps: int) -> None:
    with pytest.raises(RequestError, match=rf"found {probes} probes of {steps} Lanczos steps"):
        density(lambda v: v, N, probes=probes, steps=steps, seed=0)
