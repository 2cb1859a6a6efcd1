"""Spectra of symmetric matrices that are known by what they do to vectors: extremes, density, dense eigenpairs."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
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
    product: Product,
    size: int,
    count: int,
    *,
    end: Literal["top", "bottom"],
    tolerance: float,
    seed: int | str = 0,
    most: int | None = None,
) -> Eigenpairs:
    """The largest or the smallest eigenpairs, by ARPACK's Lanczos method with restarts (``scipy``).

    Args:
        product: the matrix.
        size: n.
        count: how many.
        end: ``top`` for the largest, ``bottom`` for the smallest.
        tolerance: accuracy of the values, relative to their magnitude.
        seed: of the vector that it starts from.
        most: restarts at most, 10 n by default. Beyond them, what converged so far is given, and ``converged`` is
            False.

    Raises:
        RequestError: more pairs than Lanczos can find, or none.
    """
    if not 1 <= count < size:
        raise RequestError(
            f"found {count} eigenpairs of a matrix of {size:,}: ask for 1 to {size - 1:,}, or take the exact Hessian"
        )

    def times(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        direction = torch.from_numpy(np.ascontiguousarray(vector.reshape(1, -1)))
        found: NDArray[np.float64] = product(direction)[0].double().cpu().numpy()
        return found

    operator = LinearOperator((size, size), matvec=times, dtype=np.float64)
    start = seeds.normal(seeds.stream("lanczos", seed), size).numpy()
    which, converged = {"top": "LA", "bottom": "SA"}[end], True
    try:
        values, vectors = eigsh(operator, count, which=which, v0=start, tol=tolerance, maxiter=most)
    except ArpackNoConvergence as error:
        values, vectors, converged = error.eigenvalues, error.eigenvectors, False
    order = np.argsort(values)[::-1].copy()
    found = torch.from_numpy(values[order]), torch.from_numpy(np.ascontiguousarray(vectors.T[order]))
    residuals = (product(found[1]).double().cpu() - found[0][:, None] * found[1]).norm(dim=1)
    return Eigenpairs(*found, residuals, converged)


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
