"""Spectra of symmetric matrices: all pairs of one that is at hand, the density of one known by its products."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from harness import seeds
from harness.errors import RequestError

_ROUNDING = 1e-12
"""What is left of a vector below this share is rounding."""

Product = Callable[[Tensor], Tensor]
"""[M, n] directions to [M, n] products with a symmetric matrix."""


@dataclass(frozen=True)
class Eigenpairs:
    """Some eigenpairs, the largest eigenvalue first.

    Attributes:
        values: [m] float64.
        vectors: [m, n], a row for each value.
        residuals: [m] lengths of A v - λ v.
        converged: whether every pair is as exact as was asked.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    converged: bool


def dense(matrix: Tensor) -> Eigenpairs:
    """All eigenpairs of a symmetric matrix [n, n], in float64 on the CPU.

    Examples:
        >>> import torch
        >>> from harness.measure.spectrum import dense
        >>> pairs = dense(torch.diag(torch.tensor([1.0, 2.0, 3.0])))
        >>> pairs.values.round(decimals=6).tolist()
        [3.0, 2.0, 1.0]
        >>> pairs.vectors.abs().round(decimals=6).tolist()
        [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    a = matrix.detach().double().cpu()
    values, vectors = torch.linalg.eigh(a)
    values, vectors = values.flip(0), vectors.t().flip(0).contiguous()
    return Eigenpairs(values, vectors, (vectors @ a - values[:, None] * vectors).norm(dim=1), True)


@dataclass(frozen=True)
class Density:
    """A spectral density as weighted points, a set from each probe: each set's Σ weight f(node) estimates tr f(A) / n.

    Attributes:
        nodes: [probes, steps] float64, ascending.
        weights: [probes, steps], those of a probe sum to 1.
    """

    nodes: Tensor
    weights: Tensor

    def mean(self, function: Callable[[Tensor], Tensor]) -> tuple[float, float | None]:
        """Estimate of the mean of a function of the eigenvalues, and its standard error (None with a single probe)."""
        each = (self.weights * function(self.nodes)).sum(1)
        error = float(each.std()) / math.sqrt(len(each)) if len(each) > 1 else None
        return float(each.mean()), error

    def moment(self, power: int) -> tuple[float, float | None]:
        """Estimate of tr(A^power) / n, and its standard error: the first is the trace's, the second ||A||²'s share."""
        return self.mean(lambda nodes: nodes**power)

    def smooth(self, at: Tensor, width: float) -> Tensor:
        """The density at some values, every node widened to a normal distribution of that standard deviation."""
        spread = torch.distributions.Normal(self.nodes.flatten(), width)
        curve: Tensor = spread.log_prob(at.double()[:, None]).exp() @ self.weights.flatten() / len(self.nodes)
        return curve


def density(product: Product, size: int, *, probes: int, steps: int, seed: int | str) -> Density:
    """The spectral density by stochastic Lanczos quadrature (Ubaru, Chen & Saad 2017; Ghorbani et al. 2019).

    Each probe is a random direction. ``steps`` Lanczos steps with full reorthogonalisation give a tridiagonal matrix
    whose eigenvalues are the nodes, and whose eigenvectors' squared first components are the weights: a Gauss
    quadrature, exact for powers below 2 ``steps`` in the probe's own measure.

    Memory: ``8 probes (steps + 3) n`` bytes for the vectors, on the CPU, and what ``product`` takes.

    Args:
        product: the matrix.
        size: n.
        probes: random directions; all are advanced side by side.
        steps: Lanczos steps, at most n.
        seed: of the probes.

    Raises:
        RequestError: no probe, no step, or more steps than the matrix has dimensions.

    Examples:
        As many steps as dimensions find every eigenvalue; over the probes, the weights tend to 1 / n.

        >>> import torch
        >>> from harness.measure.spectrum import density
        >>> diagonal = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
        >>> estimate = density(lambda directions: directions * diagonal, 3, probes=500, steps=3, seed=0)
        >>> estimate.nodes[0].round(decimals=6).tolist()
        [1.0, 2.0, 3.0]
        >>> mean, error = estimate.moment(1)
        >>> abs(mean - 2) < 0.1 and error < 0.05
        True
    """
    if probes < 1 or not 1 <= steps <= size:
        raise RequestError(
            f"found {probes} probes of {steps} Lanczos steps for a matrix of {size:,}: ask for at least 1 probe and "
            f"1 to {size:,} steps"
        )
    first = seeds.normal(seeds.stream("probes", seed), probes * size).reshape(probes, size)
    basis = first.new_zeros(probes, steps + 1, size)
    basis[:, 0] = first / first.norm(dim=1, keepdim=True)
    diagonal, beside = first.new_zeros(probes, steps), first.new_zeros(probes, steps)
    for step in range(steps):
        known = basis[:, : step + 1]
        r = product(known[:, -1]).double().cpu()
        diagonal[:, step] = (r * known[:, -1]).sum(1)
        for _ in range(2):  # once more removes what rounding left
            r = r - (known.mT @ (known @ r[:, :, None]))[:, :, 0]
        beside[:, step] = r.norm(dim=1)
        # An invariant subspace ends a probe: its remaining rows are decoupled and get no weight.
        scale = torch.maximum(diagonal.abs().amax(1), beside[:, :step].amax(1) if step else beside[:, step])
        ended = beside[:, step] <= _ROUNDING * scale
        beside[ended, step] = 0.0
        basis[:, step + 1] = torch.where(ended[:, None], 0.0, r / beside[:, step, None].clamp_min(1e-300))
    off = torch.diag_embed(beside[:, : steps - 1], 1)
    nodes, vectors = torch.linalg.eigh(torch.diag_embed(diagonal) + off + off.mT)
    return Density(nodes, vectors[:, 0] ** 2)
