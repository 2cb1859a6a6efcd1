"""The theory of the heavy ball, in the Hessian's eigenvalue, against a Lyapunov equation and roots."""

import math

import numpy as np
import pytest
from scipy.linalg import solve_discrete_lyapunov

from harness.protocols.common import heavy_ball
from harness.protocols.noisy_quadratic import theory

MOMENTA = (0.0, 0.5, 0.9, 0.97)
POINTS = [
    (rate, eigenvalue, momentum)
    for rate in (0.001, 0.02, 0.19)
    for eigenvalue in (0.3, 2.0, 9.0)
    for momentum in MOMENTA
]


def step_of(rate: float, eigenvalue: float, momentum: float) -> "np.typing.NDArray[np.float64]":
    """(x, v) after a step, without noise."""
    return np.array([[1 - rate * eigenvalue, -rate * momentum], [eigenvalue, momentum]])


@pytest.mark.parametrize(("rate", "eigenvalue", "momentum"), POINTS)
def test_the_level_solves_the_lyapunov_equation(rate: float, eigenvalue: float, momentum: float) -> None:
    kick = np.array([[-rate * eigenvalue], [eigenvalue]]) * 1.7
    spread = solve_discrete_lyapunov(step_of(rate, eigenvalue, momentum), kick @ kick.T)
    assert heavy_ball.level(rate, eigenvalue, momentum, 1.7) == pytest.approx(eigenvalue / 2 * spread[0, 0], rel=1e-9)


@pytest.mark.parametrize("momentum", MOMENTA)
def test_a_gradient_that_stays_builds_up_the_most_that_gradients_of_its_length_can(momentum: float) -> None:
    """Against the recursion of the velocity, with gradients of one direction and of many."""
    gradients = np.random.default_rng(0).normal(size=(30, 3))
    gradients /= np.linalg.norm(gradients, axis=1, keepdims=True)
    same, any_way = 0.0, np.zeros(3)
    for step, gradient in enumerate(gradients):
        same, any_way = momentum * same + 1.0, momentum * any_way + gradient
        assert heavy_ball.built_up(momentum, step + 1) == pytest.approx(same, rel=1e-12)
        assert np.linalg.norm(any_way) <= same * (1 + 1e-12)


@pytest.mark.parametrize("momentum", MOMENTA)
@pytest.mark.parametrize("rate", [0.001, 0.1])
def test_stable_just_below_the_largest_stable_eigenvalue(rate: float, momentum: float) -> None:
    """Cohen et al. 2021 call 2(1 + β)/η the edge of stability of gradient descent with heavy-ball momentum."""
    edge = heavy_ball.largest_stable(rate, momentum)
    assert edge == pytest.approx(2 * (1 + momentum) / rate)
    for share in (0.999, 1.001):
        radius = float(abs(np.linalg.eigvals(step_of(rate, share * edge, momentum))).max())
        assert heavy_ball.is_stable(rate, share * edge, momentum) == (share < 1) == (radius < 1)


@pytest.mark.parametrize(("rate", "eigenvalue", "momentum"), POINTS)
def test_relaxation_follows_the_greater_eigenvalue_of_a_step(rate: float, eigenvalue: float, momentum: float) -> None:
    roots = np.linalg.eigvals(step_of(rate, eigenvalue, momentum))
    time = heavy_ball.relaxation_time(rate, eigenvalue, momentum)
    assert time == pytest.approx(-1 / math.log(abs(roots).max()), rel=1e-6)


def test_plain_descent_in_closed_form() -> None:
    assert heavy_ball.largest_stable(0.1, 0.0) == 20
    assert heavy_ball.level(0.1, 2.0, 0.0, 3.0) == pytest.approx(0.1 * 4 * 9 / (2 * (2 - 0.2)))
    assert heavy_ball.relaxation_time(0.5, 1.0, 0.0) == pytest.approx(1 / math.log(2))


@pytest.mark.parametrize("momentum", MOMENTA)
def test_the_heavy_ball_swings_beyond_critical_damping(momentum: float) -> None:
    """Critical damping: ηh = (1 − √β)²."""
    critical = (1 - math.sqrt(momentum)) ** 2
    assert heavy_ball.is_overdamped(1.0, 0.999 * critical, momentum)
    assert not heavy_ball.is_overdamped(1.0, 1.001 * critical, momentum)


@pytest.mark.parametrize(("rate", "curvature", "momentum"), POINTS)
def test_the_slides_have_half_the_eigenvalue(rate: float, curvature: float, momentum: float) -> None:
    """λ(x + ε)² has the Hessian 2λ; the formula of the level as the slides' letters give it."""
    scaled = rate * curvature
    written = rate * curvature**2 * 1.3**2 * (1 + momentum) / ((1 - momentum) * (1 + momentum - scaled))
    assert theory.exact_level(rate, curvature, momentum, 1.3) == pytest.approx(written, rel=1e-12)
    assert theory.is_stable(rate, curvature, momentum) == (scaled < 1 + momentum)
    edge = heavy_ball.largest_stable(rate, momentum) / 2
    assert theory.is_stable(rate, 0.999 * edge, momentum)
    assert not theory.is_stable(rate, 1.001 * edge, momentum)
