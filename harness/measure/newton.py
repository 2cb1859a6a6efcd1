"""Newton's step in some of the Hessian's eigenvectors: where the local quadratic has its minimum in their span."""

from collections.abc import Sequence

import torch
from torch import Tensor

_BLOCK = 4096
"""Eigenvectors that are held in double precision at once; bounds memory, not results."""


def components(vectors: Tensor, vector: Tensor) -> Tensor:
    """Inner products of a vector [P], or of the columns of a matrix [P, k], with rows [m, P]: [m] or [m, k], float64.

    Examples:
        >>> import torch
        >>> from harness.measure.newton import components
        >>> components(torch.eye(2), torch.tensor([3.0, 4.0])).tolist()
        [3.0, 4.0]
    """
    return torch.cat([some.double() @ vector.double() for some in vectors.split(_BLOCK)])


def minima(slope: Tensor, values: Tensor, vectors: Tensor, thresholds: Sequence[float]) -> tuple[Tensor, list[float]]:
    """The minimum of the local quadratic within the span of the eigenvectors from each threshold upwards.

    The step is -Σ vᵢ (vᵢ·g) / λᵢ over λᵢ ≥ threshold, and the fall Σ (vᵢ·g)² / 2λᵢ.

    Args:
        slope: [P] the gradient.
        values: [P] eigenvalues, the largest first.
        vectors: [P, P] eigenvectors, a row for each.
        thresholds: positive.

    Returns:
        Steps [thresholds, P], float64, and by how much the quadratic falls over each.

    Examples:
        The quadratic (4 x² + y²) / 2 at (1, 1): in the steep direction alone, then in both.

        >>> import torch
        >>> from harness.measure.newton import minima
        >>> steps, falls = minima(torch.tensor([4.0, 1.0]), torch.tensor([4.0, 1.0]), torch.eye(2), [2.0, 0.5])
        >>> steps.tolist(), falls
        ([[-1.0, 0.0], [-1.0, -1.0]], [2.0, 2.5])
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
