"""Spectra of symmetric matrices that are known by what they do to vectors: extremes, density, dense eigenpairs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh
from torch import Tensor

from harness import seeds
from harness.errors import RequestError

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
    """All eigenpairs of a symmetric matrix [n, n], in float64 on the CPU."""
    a = matrix.detach().double().cpu()
    values, vectors = torch.linalg.eigh(a)
    values, vectors = values.flip(0), vectors.t().flip(0).contiguous()
    return Eigenpairs(values, vectors, (vectors @ a - values[:, None] * vectors).norm(dim=1), True)


def extreme(
    product: Product, size: int, *, top: int, bottom: int, tolerance: float, seed: int | str, most: int = 0
) -> Eigenpairs:
    """The largest and the smallest eigenpairs, by ARPACK's Lanczos method with restarts (``scipy``).

    Args:
        product: the matrix.
        size: n.
        top: how many of the largest.
        bottom: how many of the smallest.
        tolerance: relative accuracy of the values, against the largest magnitude.
        seed: of the vector that it starts from.
        most: restarts at most; 0 is ARPACK's own limit (10 n). Beyond them, what converged so far is given, and
            ``converged`` is False.

    Raises:
        RequestError: more pairs than the matrix has, or none.
    """
    if top + bottom < 1 or top + bottom > size - 1:
        raise RequestError(
            f"found {top} largest and {bottom} smallest eigenpairs of a matrix of {size:,}: ask for at least 1 and "
            f"at most {size - 1:,}, or take the exact Hessian"
        )
    start = seeds.normal(seeds.stream("lanczos", seed), size).numpy()

    def times(vector: np.ndarray) -> np.ndarray:
        return product(torch.from_numpy(np.ascontiguousarray(vector.reshape(1, -1))))[0].double().cpu().numpy()

    operator = LinearOperator((size, size), matvec=times, dtype=np.float64)
    found, converged = [], True
    for which, count in (("LA", top), ("SA", bottom)):
        if count:
            try:
                values, vectors = eigsh(operator, count, which=which, v0=start, tol=tolerance, maxiter=most or None)
            except ArpackNoConvergence as error:
                values, vectors, converged = error.eigenvalues, error.eigenvectors, False
            order = np.argsort(values)[::-1]
            found.append((torch.from_numpy(values[order].copy()), torch.from_numpy(vectors.T[order].copy())))
    values, vectors = (torch.cat(parts) for parts in zip(*found, strict=True))
    residuals = (product(vectors).double().cpu() - values[:, None] * vectors).norm(dim=1) if len(values) else values
    return Eigenpairs(values, vectors, residuals, converged)


@dataclass(frozen=True)
class Density:
    """A spectral density as weighted points: the sum of weights f(nodes) estimates tr f(A) / n.

    Attributes:
        nodes: [m] float64, ascending.
        weights: [m], they sum to 1.
        error: standard error of the mean eigenvalue over the probes; None with a single probe.
    """

    nodes: Tensor
    weights: Tensor
    error: float | None

    def moment(self, power: int) -> float:
        """Estimate of the mean of λ to a power: tr(A^power) / n."""
        return float((self.weights * self.nodes**power).sum())


def density(product: Product, size: int, *, probes: int, steps: int, seed: int | str) -> Density:
    """The spectral density by stochastic Lanczos quadrature (Ubaru, Chen & Saad 2017; Ghorbani et al. 2019).

    Each probe is a random direction. ``steps`` Lanczos steps with full reorthogonalisation give a tridiagonal matrix
    whose eigenvalues are the nodes, and whose eigenvectors' squared first components are the weights: a Gauss
    quadrature, exact for powers below 2 ``steps`` in the probe's own measure.

    Args:
        product: the matrix.
        size: n.
        probes: random directions; all are advanced side by side.
        steps: Lanczos steps, at most n.
        seed: of the probes.
    """
    steps = min(steps, size)
    q = seeds.normal(seeds.stream("probes", seed), probes * size).reshape(probes, size)
    q /= q.norm(dim=1, keepdim=True)
    basis, diagonal, beside = [q], [], []
    for _ in range(steps):
        r = product(basis[-1]).double().cpu()
        diagonal.append((r * basis[-1]).sum(1))
        known = torch.stack(basis, 1)
        for _ in range(2):  # once more removes what rounding left
            r = r - torch.einsum("pk,pkn->pn", torch.einsum("pn,pkn->pk", r, known), known)
        length = r.norm(dim=1)
        beside.append(length)
        # An invariant subspace ends a probe: its remaining rows are decoupled and get no weight.
        basis.append(torch.where(length[:, None] > 1e-12, r / length.clamp_min(1e-300)[:, None], 0.0))
    tridiagonal = torch.diag_embed(torch.stack(diagonal, 1))
    off = torch.diag_embed(torch.stack(beside, 1)[:, : steps - 1], 1)
    values, vectors = torch.linalg.eigh(tridiagonal + off + off.mT)
    weights = vectors[:, 0, :] ** 2
    means = (values * weights).sum(1)
    error = float(means.std() / math.sqrt(probes)) if probes > 1 else None
    order = values.flatten().argsort()
    return Density(values.flatten()[order], weights.flatten()[order] / probes, error)
