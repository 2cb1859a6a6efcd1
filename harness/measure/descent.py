"""Gradient descent that may move in a subspace only."""

from collections.abc import Callable

import torch
from torch import Tensor

from harness import seeds
from harness.measure.curvature import Objective, gradient


def random_subspace(seed: int | str, dimensions: int, size: int) -> Tensor:
    """[dimensions, size] orthonormal rows, uniform over all subspaces: Gaussian vectors made orthogonal. float64."""
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
    """Gradient descent on the whole objective, each step projected on a subspace.

    Args:
        objective: what is made smaller.
        weights: [P] where it starts.
        basis: [n, size] orthonormal directions that may be moved in, of the places that may move.
        rate: of every step.
        steps: how many.
        on_step: called after each.

    Returns:
        The weights [P] at the end, and the loss before and after.
    """
    now, basis, first = weights.double(), basis.double(), None
    for _ in range(steps):
        loss, slope = gradient(objective, now.to(weights))
        first = loss if first is None else first
        now = now - rate * objective.expand(basis.t() @ (basis @ slope.double()))
        on_step()
    last = gradient(objective, now.to(weights))[0]
    return now.to(weights), last if first is None else first, last
