"""Noisy quadratics against torch's own SGD, decay without noise, and a discrete Lyapunov equation."""

from itertools import islice

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov

from harness import seeds
from harness.measure import quadratic

CPU = torch.device("cpu")


def lyapunov_level(rate: float, curvature: float, momentum: float, sigma: float) -> float:
    """E[λx²] from S = MSMᵀ + Q, for the state (x, v)."""
    a = 2 * rate * curvature
    step = np.array([[1 - a, -rate * momentum], [2 * curvature, momentum]])
    kick = np.array([[-a * sigma], [2 * curvature * sigma]])
    return curvature * float(solve_discrete_lyapunov(step, kick @ kick.T)[0, 0])


def test_noise_is_a_function_of_its_name() -> None:
    one, again, other = (
        torch.stack(list(islice(quadratic.noise(name, (7, 300), CPU), 40))) for name in ("a", "a", "b")
    )
    assert torch.equal(one, again)
    assert not torch.isin(one, other).any()
    assert len(one.unique()) == one.numel(), "numbers come again at later steps"
    assert abs(float(one.mean())) < 4 / one.numel() ** 0.5
    assert abs(float(one.var()) - 1) < 4 * (2 / one.numel()) ** 0.5


def test_noise_is_drawn_step_by_step_from_its_streams() -> None:
    steps = list(islice(quadratic.noise("a", (1 << 14,), CPU), 3))
    first, second = (seeds.normal(seeds.stream("noise", "a", block), 1 << 15) for block in (0, 1))
    assert torch.equal(torch.cat(steps), torch.cat([first, second[: 1 << 14]]))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_steps_are_those_of_torchs_sgd(momentum: float) -> None:
    rates = [0.1] * 5 + [0.03] * 5
    drawn = list(islice(quadratic.noise("x", (4,), CPU), len(rates)))
    start = torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)
    walk = quadratic.descend(start, lambda x, e: 2 * 1.5 * (x + 0.3 * e), rates, momentum, iter(drawn))
    found = [x.clone() for x in walk]
    weight = torch.nn.Parameter(start.clone())
    optimiser = torch.optim.SGD([weight], lr=0.1, momentum=momentum)
    for rate, eps, here in zip(rates, drawn, found, strict=True):
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        (1.5 * (weight + 0.3 * eps) ** 2).sum().backward()
        optimiser.step()
        assert torch.allclose(weight.detach(), here, rtol=1e-13, atol=1e-15)
    assert torch.equal(start, torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64)), "the start was changed"


def test_levels_are_those_of_the_lyapunov_equation() -> None:
    points = [[rate, lam, gamma, 1.0] for rate in (0.02, 0.1) for lam in (1.0, 5.0) for gamma in (0.0, 0.5, 0.9)]
    found = quadratic.levels(
        torch.tensor(points, dtype=torch.float64), name="l", replicas=1000, burn_in=250, steps=1500
    )
    assert found.tolist() == pytest.approx([lyapunov_level(*point) for point in points], rel=0.02)


def test_points_share_their_noise_and_scale_with_it() -> None:
    points = torch.tensor([[0.1, 1.0, 0.5, 1.0], [0.1, 1.0, 0.5, 3.0], [0.1, 1.0, 0.5, 1.0]], dtype=torch.float64)
    one, tripled, same = quadratic.levels(points, name="l", replicas=5, burn_in=3, steps=10).tolist()
    assert tripled == pytest.approx(9 * one, rel=1e-12)
    assert same == one
    (alone,) = quadratic.levels(points[:1], name="l", replicas=5, burn_in=3, steps=10).tolist()
    assert alone == one


def test_means_decay_as_powers_where_there_is_next_to_no_noise() -> None:
    point = torch.tensor([0.05, 2.0, 0.0, 1e-12], dtype=torch.float64)
    found = quadratic.means(point, name="m", replicas=3, steps=20, start=4.0)
    assert found.tolist() == pytest.approx([4.0 * 0.8**step for step in range(1, 21)], rel=1e-9)


def test_losses_in_many_dimensions_are_sums_over_the_eigenvalues() -> None:
    curvatures, rates = [3.0, 1.0, 0.5], [0.1] * 100 + [0.02] * 900
    found = quadratic.losses(
        torch.tensor(curvatures, dtype=torch.float64), name="d", replicas=300, rates=rates, momentum=0.5, sigma=0.7
    )
    assert len(found) == len(rates)
    for part, rate in ((found[40:100], 0.1), (found[300:], 0.02)):
        total = sum(lyapunov_level(rate, one, 0.5, 0.7) for one in curvatures)
        assert float(part.mean()) == pytest.approx(total, rel=0.04)


def test_global_random_state_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    quadratic.losses(torch.ones(2, dtype=torch.float64), name="d", replicas=2, rates=[0.1], momentum=0.0, sigma=1.0)
    assert torch.equal(torch.random.get_rng_state(), before)
