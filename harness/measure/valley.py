"""A valley that narrows: f(x, y) = log(.2(x − .8)² + y²·exp(5x + 1) + 1), noise shifting x and y (Ciuca).

Along y = 0 the loss falls towards its minimum at (.8, 0), and the curvature across the valley grows e^5-fold a
unit of x. Shape suffixes: R chain, T step.
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from harness.measure.quadratic import descend, noise


def loss(points: Tensor) -> Tensor:
    """The loss at points [..., 2].

    Examples:
        >>> import torch
        >>> from harness.measure.valley import loss
        >>> loss(torch.tensor([0.8, 0.0])).item()
        0.0
    """
    x, y = points.unbind(-1)
    return torch.log(0.2 * (x - 0.8) ** 2 + y**2 * torch.exp(5 * x + 1) + 1)


def gradient(points: Tensor) -> Tensor:
    """Its gradient at points [..., 2].

    Examples:
        On the valley's floor, one unit before the minimum: 0.4 (x - 0.8) / (0.2 (x - 0.8)² + 1).

        >>> import torch
        >>> from harness.measure.valley import gradient
        >>> gradient(torch.tensor([-0.2, 0.0]).double()).round(decimals=6).tolist()
        [-0.333333, 0.0]
    """
    x, y = points.unbind(-1)
    across = y * torch.exp(5 * x + 1)
    inner = 0.2 * (x - 0.8) ** 2 + y * across + 1
    return torch.stack([0.4 * (x - 0.8) + 5 * y * across, 2 * across], dim=-1) / inner[..., None]


def curvatures(points: Tensor) -> Tensor:
    """Eigenvalues of the Hessian at points [..., 2], ascending along the last axis.

    With f = log g the Hessian is (g∇²g − ∇g∇gᵀ)/g²; the eigenvalues of [[a, b], [b, c]] are
    (a + c)/2 ∓ √(((a − c)/2)² + b²).

    Examples:
        At the minimum: 0.4 along the valley, 2 e⁵ across it.

        >>> import math
        >>> import torch
        >>> from harness.measure.valley import curvatures
        >>> ends = curvatures(torch.tensor([0.8, 0.0]).double())
        >>> torch.allclose(ends, torch.tensor([0.4, 2 * math.exp(5)]).double())
        True
    """
    x, y = points.unbind(-1)
    steep = torch.exp(5 * x + 1)
    inner = 0.2 * (x - 0.8) ** 2 + y**2 * steep + 1
    along, across = gradient(points).unbind(-1)
    a = (0.4 + 25 * y**2 * steep) / inner - along**2
    b = 10 * y * steep / inner - along * across
    c = 2 * steep / inner - across**2
    middle, spread = (a + c) / 2, torch.hypot((a - c) / 2, b)
    return torch.stack([middle - spread, middle + spread], dim=-1)


def walk(
    *, name: str, replicas: int, rates: Iterable[float], sigma: float, start: tuple[float, float], device: torch.device
) -> Iterator[Tensor]:
    """Plain descent on f(x + ε₁, y + ε₂).

    Args:
        name: of the noise.
        replicas: chains.
        rates: α, one a step.
        sigma: of the noise.
        start: (x, y) of every chain.
        device: where to compute.

    Yields:
        [R, 2] positions after each step, always in the same tensor.

    Examples:
        Without noise, a step of rate 3 from one unit before the minimum ends there.

        >>> import torch
        >>> from harness.measure.valley import walk
        >>> cpu = torch.device("cpu")
        >>> path = walk(name="example", replicas=2, rates=[3.0], sigma=0.0, start=(-0.2, 0.0), device=cpu)
        >>> next(path).round(decimals=6).tolist()
        [[0.8, 0.0], [0.8, 0.0]]
    """
    return descend(
        torch.tensor(start, dtype=torch.float64, device=device).repeat(replicas, 1),
        lambda points, drawn: gradient(points + sigma * drawn),
        rates,
        0.0,
        noise(name, (replicas, 2), device),
    )
