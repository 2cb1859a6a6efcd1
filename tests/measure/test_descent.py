"""Descent in a subspace on planted quadratic losses, where every step is known."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from harness import seeds
from harness.measure import descent

CURVED = torch.tensor([4.0, 2.0, -1.0, 0.5], dtype=torch.float64)


@pytest.fixture
def quadratic(monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Tensor]:
    """f(x) = x' diag(4, 2, -1, 1/2) x / 2 in turned coordinates; the rows of the basis are its eigenvectors."""
    basis = torch.linalg.qr(seeds.normal(5, 16).reshape(4, 4)).Q
    matrix = basis.t() @ torch.diag(CURVED) @ basis

    def gradient(objective: Any, weights: Tensor) -> tuple[float, Tensor]:
        return float(weights @ matrix @ weights / 2), matrix @ weights

    monkeypatch.setattr(descent, "gradient", gradient)
    return SimpleNamespace(expand=lambda vectors: vectors), basis


def test_only_the_subspace_is_descended(quadratic: tuple[Any, Tensor]) -> None:
    """Each coordinate shrinks by 1 - rate * curvature a step; those outside stay."""
    objective, basis = quadratic
    start = basis.t() @ torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    ticks: list[None] = []
    end, before, after = descent.descend(
        objective, start, basis[:2], rate=0.1, steps=3, on_step=lambda: ticks.append(None)
    )
    expected = torch.tensor([0.6**3, 2 * 0.8**3, 3.0, 4.0], dtype=torch.float64)
    torch.testing.assert_close(basis @ end, expected)
    assert before == pytest.approx((4 * 1 + 2 * 4 - 9 + 8) / 2)
    assert after == pytest.approx((4 * expected[0] ** 2 + 2 * expected[1] ** 2 - 9 + 8) / 2)
    assert len(ticks) == 3


def test_all_directions_are_plain_gradient_descent(quadratic: tuple[Any, Tensor]) -> None:
    objective, basis = quadratic
    start = torch.ones(4, dtype=torch.float64)
    end, *_ = descent.descend(objective, start, basis, rate=0.1, steps=2)
    torch.testing.assert_close(basis @ end, (1 - 0.1 * CURVED) ** 2 * (basis @ start))


def test_no_step_moves_nothing(quadratic: tuple[Any, Tensor]) -> None:
    objective, basis = quadratic
    start = torch.ones(4, dtype=torch.float64)
    end, before, after = descent.descend(objective, start, basis, rate=0.1, steps=0)
    assert torch.equal(end, start)
    assert before == after


def test_random_subspaces_are_orthonormal_and_the_seeds_own() -> None:
    one, again, other = (descent.random_subspace(seed, 3, 20) for seed in (0, 0, 1))
    torch.testing.assert_close(one @ one.t(), torch.eye(3, dtype=torch.float64), atol=1e-12, rtol=0)
    assert torch.equal(one, again)
    assert not torch.allclose(one, other)


def test_random_subspaces_favour_no_direction() -> None:
    """Of 10 directions, a subspace of 2 holds a fifth of each on average."""
    found = torch.stack([descent.random_subspace(seed, 2, 10).square().sum(0) for seed in range(400)]).mean(0)
    torch.testing.assert_close(found, torch.full((10,), 0.2, dtype=torch.float64), atol=0.03, rtol=0)
