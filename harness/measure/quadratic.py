"""Stochastic gradient descent on noisy quadratics (Ciuca, "A Quadratic Stochastic Model"), many chains side by side.

The loss is f(x) = λ(x + ε)², with ε ~ N(0, σ²) drawn afresh at each step, so its gradient is 2λ(x + ε) and its
curvature 2λ. The optimiser is the heavy ball, v ← γv + ∇f, x ← x − αv; γ = 0 is plain descent. Float64 throughout.

Shape suffixes: G grid point, D dimension, R chain (replica), T step.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from harness import seeds

_DRAWS = 1 << 15
"""Normal numbers drawn at a time; they fit a cache. Part of what a seed means."""


def noise(name: str, shape: tuple[int, ...], device: torch.device) -> Iterator[Tensor]:
    """Standard normal numbers of a shape, afresh at each step, without end.

    Args:
        name: of the stream; equal names give equal numbers, on every device.
        shape: of one step's numbers.
        device: where they are wanted.

    Examples:
        >>> import torch
        >>> from harness.measure.quadratic import noise
        >>> a, again, b = (next(noise(name, (2, 3), torch.device("cpu"))) for name in ("a", "a", "b"))
        >>> a.shape, torch.equal(a, again), torch.equal(a, b)
        (torch.Size([2, 3]), True, False)
    """
    size = torch.Size(shape).numel()
    steps, block = max(1, _DRAWS // size), 0
    while True:
        drawn = seeds.normal(seeds.stream("noise", name, block), steps * size)
        yield from drawn.reshape(steps, *shape).to(device)
        block += 1


def descend(
    start: Tensor,
    gradient: Callable[[Tensor, Tensor], Tensor],
    rates: Iterable[float | Tensor],
    momentum: float | Tensor,
    draws: Iterator[Tensor],
) -> Iterator[Tensor]:
    """The positions after each step of the heavy ball, begun at rest.

    Args:
        start: positions of all chains.
        gradient: of the loss, from the positions and one step's noise.
        rates: α, one a step; a tensor broadcasts against the positions.
        momentum: γ, likewise.
        draws: the noise, one tensor a step.

    Yields:
        The positions, always in the same tensor: copy what is to be kept.

    Examples:
        On f = x², without noise: plain descent with α = 1/4 halves x, and momentum 1/2 adds half of the step before.

        >>> import itertools
        >>> import torch
        >>> from harness.measure.quadratic import descend
        >>> one, silence = torch.ones(1), itertools.repeat(torch.zeros(1))
        >>> [x.item() for x in descend(one, lambda x, drawn: 2 * x, [0.25] * 3, 0.0, silence)]
        [0.5, 0.25, 0.125]
        >>> [x.item() for x in descend(one, lambda x, drawn: 2 * x, [0.25] * 3, 0.5, silence)]
        [0.5, 0.0, -0.25]
    """
    x, velocity = start.clone(), torch.zeros_like(start)
    for rate, drawn in zip(rates, draws, strict=False):
        velocity.mul_(momentum).add_(gradient(x, drawn))
        x.addcmul_(velocity, torch.as_tensor(rate, dtype=x.dtype, device=x.device), value=-1)
        yield x


def levels(points: Tensor, *, name: str, replicas: int, burn_in: int, steps: int) -> Tensor:
    """E[λx²] at equilibrium, for a grid of settings that see the same noise.

    Args:
        points: [G, 4], columns α, λ, γ, σ.
        name: of the noise.
        replicas: chains at each point, begun at the minimum.
        burn_in: steps before counting begins.
        steps: that count.

    Returns:
        [G] means over chains and steps.

    Examples:
        Without momentum the level is αλ²σ² / (1 - αλ), here 1/3.

        >>> import torch
        >>> from harness.measure.quadratic import levels
        >>> setting = torch.tensor([[0.25, 1.0, 0.0, 1.0]]).double()  # α, λ, γ, σ
        >>> level = levels(setting, name="example", replicas=100, burn_in=20, steps=200)
        >>> abs(level.item() - 1 / 3) < 0.02
        True
    """
    rate_G1, curvature_G1, momentum_G1, sigma_G1 = points.T[:, :, None].unbind()
    slope_G1, spread_G1 = 2 * curvature_G1, 2 * curvature_G1 * sigma_G1
    start_GR = points.new_zeros(len(points), replicas)
    walk = descend(
        start_GR,
        lambda x_GR, drawn_R: (slope_G1 * x_GR).addcmul_(spread_G1, drawn_R),
        [rate_G1] * (burn_in + steps),
        momentum_G1,
        noise(name, (replicas,), points.device),
    )
    total_GR = torch.zeros_like(start_GR)
    for step, x_GR in enumerate(walk):
        if step >= burn_in:
            total_GR.addcmul_(x_GR, x_GR)
    return curvature_G1[:, 0] * total_GR.mean(dim=1) / steps


def means(point: Tensor, *, name: str, replicas: int, steps: int, start: float) -> Tensor:
    """E[x] after each step from a common start: what relaxes, whatever the noise.

    Args:
        point: [4], α, λ, γ, σ.
        name: of the noise.
        replicas: chains.
        steps: how many.
        start: x before the first step.

    Returns:
        [T] means over chains.

    Examples:
        Without momentum the mean falls by 1 - 2αλ a step.

        >>> import torch
        >>> from harness.measure.quadratic import means
        >>> setting = torch.tensor([0.25, 1.0, 0.0, 0.0]).double()  # α, λ, γ, σ
        >>> means(setting, name="example", replicas=2, steps=3, start=1.0).tolist()
        [0.5, 0.25, 0.125]
    """
    rate, curvature, momentum, sigma = point.tolist()
    walk = descend(
        point.new_full((replicas,), start),
        lambda x_R, drawn_R: 2 * curvature * (x_R + sigma * drawn_R),
        [rate] * steps,
        momentum,
        noise(name, (replicas,), point.device),
    )
    return torch.stack([x_R.mean() for x_R in walk])


def losses(
    curvatures: Tensor, *, name: str, replicas: int, rates: Iterable[float], momentum: float, sigma: float
) -> Tensor:
    """E[xᵀAx] after each step in D dimensions, where A has given eigenvalues and eigenvectors drawn at random.

    The loss is (x + ε)ᵀA(x + ε) with isotropic ε; in A's basis every direction is the model in one dimension.

    Args:
        curvatures: [D] eigenvalues of A, the λ of each direction.
        name: of the noise and the basis.
        replicas: chains, begun at the minimum.
        rates: α, one a step.
        momentum: γ.
        sigma: of the noise in each direction.

    Returns:
        [T] means over chains.

    Examples:
        With 2αλ = 1 a step ends at -ε, so the mean loss is Dλσ² = 2 at once.

        >>> import torch
        >>> from harness.measure.quadratic import losses
        >>> curvatures = torch.ones(2).double()
        >>> loss = losses(curvatures, name="example", replicas=4000, rates=[0.5], momentum=0.0, sigma=1.0)
        >>> abs(loss.item() - 2) < 0.15
        True
    """
    dimensions = len(curvatures)
    drawn = seeds.normal(seeds.stream("basis", name), dimensions**2).reshape(dimensions, dimensions)
    basis_DD = torch.linalg.qr(drawn)[0].to(curvatures.device)
    matrix_DD = (basis_DD * curvatures) @ basis_DD.T
    walk = descend(
        curvatures.new_zeros(replicas, dimensions),
        lambda x_RD, drawn_RD: 2 * (x_RD + sigma * drawn_RD) @ matrix_DD,
        rates,
        momentum,
        noise(name, (replicas, dimensions), curvatures.device),
    )
    return torch.stack([((x_RD @ matrix_DD) * x_RD).sum(dim=1).mean() for x_RD in walk])
