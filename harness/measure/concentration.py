"""Over how many components eigenvectors are spread, against vectors of independent normal numbers."""

import torch
from torch import Tensor

from harness import seeds

_NUMBERS = 1 << 24
"""Components that are sorted at once; bounds memory, not results."""


def cumulative(vectors: Tensor) -> Tensor:
    """The share of a vector's squared length that its largest components hold.

    C(k) = Σ v₍ᵢ₎² / |v|² over i = 1 ... k, where v₍₁₎² ≥ v₍₂₎² ≥ ... are the squared components in order.

    Args:
        vectors: [M, n], of any length but zero.

    Returns:
        [n] float64, on the CPU: in place k - 1 the share in the k largest components, the mean over the vectors.

    Examples:
        >>> import torch
        >>> from harness.measure.concentration import cumulative
        >>> cumulative(torch.tensor([[1.0, -1.0, 0.0, 0.0], [0.0, 0.0, 3.0, 0.0]])).tolist()
        [0.75, 1.0, 1.0, 1.0]
    """
    total = torch.zeros(vectors.shape[1], dtype=torch.float64)
    for some in vectors.split(max(_NUMBERS // vectors.shape[1], 1)):
        ordered = some.double().square().sort(dim=1, descending=True).values
        power = ordered.cpu().cumsum(1)  # CUDA has no sums of this kind that give the same bits again
        total += (power / power[:, -1:]).sum(0)
    return total / len(vectors)


def gaussian(size: int, draws: int) -> Tensor:
    """The null: ``cumulative`` of random directions, [size] float64.

    Args:
        size: components.
        draws: vectors of independent standard normal numbers whose mean is taken.

    Examples:
        The largest tenth holds 2 (c φ(c) + 0.05) = 0.439, with φ the normal density and c = 1.645 its 95 % quantile.

        >>> from harness.measure.concentration import gaussian
        >>> abs(gaussian(1000, draws=10)[99].item() - 0.439) < 0.02
        True
    """
    return (
        sum(
            (cumulative(seeds.normal(seeds.stream("gaussian_null", draw), size)[None]) for draw in range(draws)),
            torch.zeros(size, dtype=torch.float64),
        )
        / draws
    )
