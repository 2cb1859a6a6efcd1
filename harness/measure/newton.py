"""Newton's step in some of the Hessian's eigenvectors: where the local quadratic has its minimum in their span."""

from collections.abc import Sequence

import torch
from torch import Tensor

_BLOCK = 4096
"""Eigenvectors that are held in double precision at once; bounds memory, not results."""


def components(vectors: Tensor, vector: Tensor) -> Tensor:
    """Inner products of a vector [P] with rows [m, P], float64."""
    return torch.cat([some.double() @ vector.double() for some in vectors.split(_BLOCK)])


def minima(slope: Tensor, values: Tensor, vectors: Tensor, thresholds: Sequence[float]) -> tuple[Tensor, list[float]]:
    """The minimum of the local quadratic within the span of the eigenvectors from each threshold upwards.

    Args:
        slope: [P] the gradient.
        values: [P] eigenvalues, the largest first.
        vectors: [P, P] eigenvectors, a row for each.
        thresholds: positive.

    Returns:
        Steps [thresholds, P], float64, and by how much the quadratic falls over each.
    """
    along = components(vectors, slope)
    steps, falls = [], []
    for threshold in thresholds:
        count = int((values >= threshold).sum())
        lengths = -along[:count] / values[:count].to(along)
        blocks = zip(lengths.split(_BLOCK), vectors[:count].split(_BLOCK), strict=True)
        steps.append(sum((some @ rows.double() for some, rows in blocks), torch.zeros_like(slope, dtype=torch.float64)))
        falls.append(float((along[:count].square() / values[:count].to(along)).sum()) / 2)
    return torch.stack(steps), falls
