"""Gradient descent that may move in a subspace only."""

from collections.abc import Callable

import torch
from torch import Tensor

from harness import seeds
from harness.measure.curvature import Objective, gradient


def random_subspace(seed: int | str, dimensions: int, size: int) -> Tensor:
    """[dimensions, size] orthonormal rows, uniform over all subspaces: Gaussian vectors made orthogonal. float64.

    Examples:
        >>> import torch
        >>> from harness.measure.descent import random_subspace
        >>> basis = random_subspace(0, 2, 5)
        >>> torch.allclose(basis @ basis.T, torch.eye(2, dtype=torch.float64))
        True
    """
    drawn = seeds.normal(seeds.stream("subspace", seed), dimensions * size).reshape(dimensions, size)
    basis: Tensor = torch.linalg.qr(drawn.t()).Q
    return basis.t().contiguous()


def descend(
    objective: Objective,
    weights: Tensor,
    basis: Tensor,
    *,
    rate: float,
    steps: int,
    on_step: Callable[[], None] = lambda: None,
) -> tuple[Tensor, float, float]:
    """Gradient descent on the whole objective, each step projected on a subspace: w ← w - rate BᵀB ∇L(w).

    Args:
        objective: what is made smaller.
        weights: [P] where it starts.
        basis: [n, size] orthonormal directions that may be moved in, of the places that may move.
        rate: of every step.
        steps: how many.
        on_step: called after each.

    Returns:
        The weights [P] at the end, and the loss before and after.

    Examples:
        Logistic regression on one example, from 0, where only the first weight may move: the loss falls from log 2 to
        log(1 + 1/√e).

        >>> import torch
        >>> from harness.engine.networks.build import build
        >>> from harness.measure.curvature import Objective
        >>> from harness.measure.descent import descend
        >>> toy = build({"name": "lenet", "hidden": []}, (1, 1, 1), 2)  # weights w₀, w₁, b₀, b₁
        >>> image = torch.ones(1, 1, 1, 1, dtype=torch.float64)
        >>> objective = Objective(toy, {}, [(image, torch.tensor([0]))], "eval")
        >>> first = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
        >>> weights, before, after = descend(objective, torch.zeros(4).double(), first, rate=1.0, steps=1)
        >>> weights.round(decimals=6).tolist(), round(before, 4), round(after, 4)
        ([0.5, 0.0, 0.0, 0.0], 0.6931, 0.4741)
    """
    now, basis, first = weights.double(), basis.double(), None
    for _ in range(steps):
        loss, slope = gradient(objective, now.to(weights))
        first = loss if first is None else first
        now = now - rate * objective.expand(basis.t() @ (basis @ slope.double()))
        on_step()
    last = gradient(objective, now.to(weights))[0]
    return now.to(weights), last if first is None else first, last
