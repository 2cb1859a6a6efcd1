"""The closed forms against a discrete Lyapunov equation, the roots of a polynomial, and the Hessian."""

import math

import numpy as np
import pytest
import torch

from harness.measure import valley
from harness.protocols.noisy_quadratic import theory
from tests.measure.test_quadratic import lyapunov_level

POINTS = [
    (rate, curvature, momentum)
    for rate in (0.001, 0.01, 0.1, 0.19)
    for curvature in (0.3, 1.0, 4.0)
    for momentum in (0.0, 0.5, 0.9, 0.97)
]


@pytest.mark.parametrize(("rate", "curvature", "momentum"), POINTS)
def test_the_exact_level_solves_the_lyapunov_equation(rate: float, curvature: float, momentum: float) -> None:
    expected = lyapunov_level(rate, curvature, momentum, 1.7)
    assert theory.exact_level(rate, curvature, momentum, 1.7) == pytest.approx(expected, rel=1e-9)


def test_both_formulas_agree_without_momentum_and_only_there() -> None:
    for rate, curvature, momentum in POINTS:
        ratio = theory.exact_level(rate, curvature, momentum, 1.0) / theory.printed_level(
            rate, curvature, momentum, 1.0
        )
        assert (ratio == pytest.approx(1.0, rel=1e-12)) == (momentum == 0)


def test_numbers_at_the_settings_that_the_spec_names() -> None:
    assert round(theory.exact_level(0.01, 1.0, 0.9, 1.0), 4) == 0.1005
    assert round(theory.printed_level(0.01, 1.0, 0.9, 1.0), 4) == 0.0556
    assert round(theory.printed_level(0.01, 1.0, 0.0, 1.0), 6) == 0.010101


def test_the_printed_level_has_a_pole_and_is_negative_beyond() -> None:
    assert theory.printed_level(0.75, 1.0, 0.5, 1.0) == math.inf
    assert theory.printed_level(0.1, 5.0, 0.9, 1.0) < 0 < theory.exact_level(0.1, 5.0, 0.9, 1.0)


def test_levels_of_directions_add_up() -> None:
    parts = [lyapunov_level(0.1, one, 0.5, 2.0) for one in (3.0, 1.0, 0.2)]
    assert theory.total_level(0.1, [3.0, 1.0, 0.2], 0.5, 2.0) == pytest.approx(sum(parts), rel=1e-9)


@pytest.mark.parametrize(("rate", "curvature", "momentum"), POINTS)
def test_relaxation_follows_the_greater_root(rate: float, curvature: float, momentum: float) -> None:
    roots = np.roots([1.0, -(1 + momentum - 2 * rate * curvature), momentum])
    assert theory.relaxation_time(rate, curvature, momentum) == pytest.approx(-1 / math.log(abs(roots).max()), rel=1e-6)
    assert theory.is_stable(rate, curvature, momentum)
    real_and_positive = bool(np.isreal(roots).all() and (roots.real >= 0).all() and roots.real.max() > 0)
    assert theory.is_overdamped(rate, curvature, momentum) == real_and_positive


def test_relaxation_at_once() -> None:
    assert theory.relaxation_time(0.5, 1.0, 0.0) == 0.0


@pytest.mark.parametrize(("momentum", "limit"), [(0.0, 1.0), (0.5, 1.5), (0.9, 1.9)])
def test_stable_up_to_the_limit_of_the_heavy_ball(momentum: float, limit: float) -> None:
    def radius(product: float) -> float:
        return float(abs(np.roots([1.0, -(1 + momentum - 2 * product), momentum])).max())

    assert theory.is_stable(0.999 * limit, 1.0, momentum)
    assert not theory.is_stable(1.001 * limit, 1.0, momentum)
    assert radius(0.999 * limit) < 1 < radius(1.001 * limit)


@pytest.mark.parametrize("x", [-0.6, 0.0, 0.3, 0.8])
def test_negative_curvature_begins_at_the_valleys_edge(x: float) -> None:
    edge = theory.valley_edge(x)
    below = torch.tensor([[x, edge * share] for share in np.linspace(0, 0.999, 50)], dtype=torch.float64)
    assert bool((valley.curvatures(below)[:, 0] > 0).all())
    assert float(valley.curvatures(torch.tensor([x, edge * 1.001], dtype=torch.float64))[0]) < 0


def test_far_from_the_minimum_the_floor_itself_is_concave() -> None:
    assert theory.valley_edge(-2.0) == 0.0
    assert float(valley.curvatures(torch.tensor([-2.0, 0.0], dtype=torch.float64))[0]) < 0
