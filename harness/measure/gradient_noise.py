"""How the gradients of batches scatter along eigenvectors of the Hessian."""

from collections.abc import Iterable

import torch
from torch import Tensor

from harness.measure.curvature import Objective, gradient
from harness.measure.newton import components


def mean_and_sd(batches: Iterable[Objective], weights: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation over batches of the gradient's component along each direction.

    Args:
        batches: the loss on each, two or more.
        weights: [P].
        vectors: [m, P] directions, of length 1.

    Returns:
        Two tensors [m], float64; the deviation is the sample's, with n - 1.

    Examples:
        Logistic regression at 0: examples of opposite classes pull the first weight by 1/2 each way.

        >>> import torch
        >>> from harness.engine.networks.build import build
        >>> from harness.measure.curvature import Objective
        >>> from harness.measure.gradient_noise import mean_and_sd
        >>> toy = build({"name": "lenet", "hidden": []}, (1, 1, 1), 2)  # weights w₀, w₁, b₀, b₁
        >>> image = torch.ones(1, 1, 1, 1, dtype=torch.float64)
        >>> examples = [Objective(toy, {}, [(image, torch.tensor([label]))], "eval") for label in (0, 1)]
        >>> mean, deviation = mean_and_sd(examples, torch.zeros(4).double(), torch.tensor([[1.0, 0.0, 0.0, 0.0]]))
        >>> round(abs(mean.item()), 6), round(deviation.item(), 6)
        (0.0, 0.707107)
    """
    gradients = torch.stack([gradient(batch, weights)[1] for batch in batches])
    by_batch = components(vectors, gradients.mT).mT
    return by_batch.mean(0), by_batch.std(0)
