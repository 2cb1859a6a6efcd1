"""How the gradients of batches scatter along eigenvectors of the Hessian."""

from collections.abc import Iterable

import torch
from torch import Tensor

from harness.measure.curvature import Objective, gradient
from harness.measure.newton import components


def along(batches: Iterable[Objective], weights: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over batches of the gradient's component along each direction.

    Args:
        batches: the loss on each, two or more.
        weights: [P].
        vectors: [m, P] directions, of length 1.

    Returns:
        Two tensors [m], float64; the deviation is the sample's, with n - 1.
    """
    found = torch.stack([components(vectors, gradient(one, weights)[1]) for one in batches])
    return found.mean(0), found.std(0)
