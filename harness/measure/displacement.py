"""Where a displacement in weight space points, by the eigenvalues of the directions."""

from collections.abc import Sequence

import torch
from torch import Tensor

_ROWS = 2048
"""Directions in double precision at a time; bounds memory."""


def shares(vectors: Tensor, displacement: Tensor) -> Tensor:
    """The share of a displacement's squared length in each of some orthonormal directions, in percent.

    100 (vᵢ·d)² / |d|².

    Args:
        vectors: [m, P], a row for each direction.
        displacement: [P], not zero.

    Returns:
        [m] float64; they sum to 100 where the directions are a basis.

    Examples:
        >>> import torch
        >>> from harness.measure.displacement import shares
        >>> shares(torch.eye(2), torch.tensor([3.0, 4.0])).tolist()
        [36.0, 64.0]
    """
    whole = displacement.double()
    parts = torch.cat([some.double() @ whole for some in vectors.split(_ROWS)]).square()
    return 100 * parts / whole.square().sum()


def transverse(displacement: Tensor, weights: Tensor) -> Tensor:
    """What is left of a displacement [P] without its part along the weights [P], which weight decay shrinks.

    d - w (d·w) / |w|².

    Examples:
        >>> import torch
        >>> from harness.measure.displacement import transverse
        >>> transverse(torch.tensor([1.0, 1.0]), torch.tensor([2.0, 0.0])).tolist()
        [0.0, 1.0]
    """
    along = weights.double()
    return displacement.double() - along * (displacement.double() @ along) / along.square().sum()


def low(eigenvalues: Sequence[float], below: float) -> list[bool]:
    """Which directions have an eigenvalue of a magnitude under ``below`` times the largest eigenvalue.

    Examples:
        >>> from harness.measure.displacement import low
        >>> low([10.0, 0.5, -2.0], below=0.1)
        [False, True, False]
    """
    edge = below * max(eigenvalues)
    return [abs(value) < edge for value in eigenvalues]


def of_random(chosen: Sequence[bool]) -> float:
    """The share (%) of a random displacement that is to be expected in the chosen directions of a basis.

    Each direction gets the same of a displacement whose direction is uniform on the sphere.

    Examples:
        >>> from harness.measure.displacement import of_random
        >>> of_random([True, False, False, False])
        25.0
    """
    return 100 * sum(chosen) / len(chosen)


def total(parts: Sequence[float], chosen: Sequence[bool]) -> float:
    """The sum of the chosen parts.

    Examples:
        >>> from harness.measure.displacement import total
        >>> total([36.0, 60.0, 4.0], [True, False, True])
        40.0
    """
    return float(sum(part for part, taken in zip(parts, chosen, strict=True) if taken))


def binned(eigenvalues: Sequence[float], edges: Sequence[float]) -> list[list[bool]]:
    """Which directions lie in each bin of |eigenvalue| over the largest eigenvalue.

    Args:
        eigenvalues: of all directions.
        edges: ascending; the first bin takes what is smaller too, the last what is greater.

    Returns:
        A list for each of the ``len(edges) - 1`` bins.

    Examples:
        >>> from harness.measure.displacement import binned
        >>> binned([100.0, 5.0, -0.5], edges=[0.0, 0.01, 0.1, 1.0])
        [[False, False, True], [False, True, False], [True, False, False]]
    """
    most = max(eigenvalues)
    inner = torch.tensor(edges[1:-1], dtype=torch.float64)
    relative = torch.tensor(eigenvalues, dtype=torch.float64).abs() / most
    places = torch.bucketize(relative, inner, right=True).tolist()
    return [[place == number for place in places] for number in range(len(edges) - 1)]
