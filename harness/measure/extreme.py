"""The largest or smallest eigenpairs of a symmetric matrix that is known by what it does to vectors."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness import seeds
from harness.errors import InvariantBroken, RequestError
from harness.measure.spectrum import Eigenpairs, Product, dense

MOST_PRODUCTS = 2000
"""Products after which nothing more is tried; trained networks' largest eigenvalues take about 40."""

_EASY = 400
"""Products of a search with few vectors, before it is tried otherwise."""

_FEW, _MANY, _NUMBERS = 20, 200, 2**25
"""Lanczos vectors of a first search, of a second, and numbers that those of a second may hold."""

_ROUNDS = 4
"""Searches of a kind at most, each sharper than the last."""

_ROUNDINGS = 32
"""Units in the last place of the largest eigenvalue by which a product may be wrong."""


def extreme(
    product: Product,
    size: int,
    count: int,
    *,
    end: Literal["top", "bottom"],
    tolerance: float,
    seed: int | str = 0,
    most: int = MOST_PRODUCTS,
) -> Eigenpairs:
    """The largest or the smallest eigenpairs, by ARPACK's Lanczos method with restarts (``scipy``).

    A pair is exact enough where its residual is short: ‖A v - θ v‖ ≤ tolerance max(|θ|, tolerance ‖A‖), or as short as
    the rounding of products lets it be. So an eigenvalue that is zero is known to tolerance² ‖A‖, where ‖A‖ stands for
    the greatest ‖A v‖ / ‖v‖ that was seen.

    ARPACK works on A + s I, or on s I - A for the smallest, with s > 0 such that what it looks for is not zero: with
    zero it takes another eigenvalue, or does not end. A Krylov space holds one direction of an eigenspace, so where
    several pairs are asked for, what is orthogonal to those found is searched until it holds nothing beyond them. Where
    that takes many products, the whole matrix is put together if n is as few, or else more Lanczos vectors are kept.

    Args:
        product: the matrix.
        size: n.
        count: how many.
        end: ``top`` for the largest, ``bottom`` for the smallest.
        tolerance: relative accuracy.
        seed: of the vectors that it starts from.
        most: products after which nothing more is tried. What was found until then is given, maybe fewer pairs, and
            ``converged`` is False; so it is where the products are less exact than the tolerance asks.

    Raises:
        RequestError: more pairs than Lanczos can find, or none.
        InvariantBroken: a product is not finite.

    Examples:
        >>> import torch
        >>> from harness.measure.extreme import extreme
        >>> diagonal = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
        >>> pairs = extreme(lambda directions: directions * diagonal, 3, 1, end="top", tolerance=1e-6)
        >>> pairs.values.round(decimals=6).tolist(), pairs.converged
        ([3.0], True)
    """
    if not 1 <= count < size:
        raise RequestError(
            f"found {count} eigenpairs of a matrix of {size:,}: ask for 1 to {size - 1:,}, or take the exact Hessian"
        )
    search = _Search(_Counted(product, {"top": 1, "bottom": -1}[end]), size, count, tolerance, seed, min(_EASY, most))
    pairs = search.whole() if size <= search.basis else search.run()
    if not pairs.converged and search.matrix.used < most:
        last = replace(search, most=most, vectors=min(_MANY, max(_FEW, _NUMBERS // size)))
        pairs = last.whole() if size <= most - search.matrix.used else last.run(pairs)
    return pairs if end == "top" else _mirrored(pairs)


class _Counted:
    """Products with a matrix, or with its negative, counted.

    Attributes:
        used: products so far.
        norm: the greatest ‖A v‖ / ‖v‖ so far.
        rounding: by how much of ``norm`` products may be wrong.
    """

    def __init__(self, product: Product, sign: int) -> None:
        self._product, self._sign = product, sign
        self.used, self.norm, self.rounding = 0, 0.0, 0.0

    def times(self, directions: Tensor) -> Tensor:
        """[m, n] directions, none zero, to [m, n] products, float64 on the CPU."""
        products = self._product(directions)
        if not bool(products.isfinite().all()):
            raise InvariantBroken("a product with the matrix is not finite: it has no eigenvalues")
        self.used += len(directions)
        self.rounding = _ROUNDINGS * torch.finfo(products.dtype).eps
        products = self._sign * products.double().cpu()
        self.norm = max([self.norm, *(products.norm(dim=1) / directions.norm(dim=1).clamp_min(1e-300)).tolist()])
        return products

    def allowed(self, values: Tensor, tolerance: float) -> Tensor:
        """How long the residuals of these eigenvalues may be."""
        exact = tolerance * values.abs().clamp_min(tolerance * self.norm)
        return exact.clamp_min(self.rounding * self.norm)


@dataclass(frozen=True)
class _Search:
    """For the ``count`` largest pairs of a counted matrix of ``size``, until it has taken ``most`` products.

    Attributes:
        vectors: that ARPACK keeps, unless there are too few for the pairs.
    """

    matrix: _Counted
    size: int
    count: int
    tolerance: float
    seed: int | str
    most: int
    vectors: int = _FEW

    @property
    def basis(self) -> int:
        """Lanczos vectors."""
        return max(2 * self.count + 1, self.vectors)

    def whole(self) -> Eigenpairs:
        """From all eigenpairs of the matrix."""
        return self._within(dense(self.matrix.times(torch.eye(self.size, dtype=torch.float64))).vectors[: self.count])

    def run(self, before: Eigenpairs | None = None) -> Eigenpairs:
        """By Lanczos, a search whose residuals are too long followed by a sharper one; else what was found before."""
        sharp = self.tolerance
        for _ in range(_ROUNDS):
            vectors, every = self._krylov(self.count, sharp)
            pairs = self._within(vectors)
            if not every:
                return replace(pairs if before is None or len(pairs.values) else before, converged=False)
            before = pairs = self._completed(pairs)
            if pairs.converged or self.matrix.used >= self.most:
                break
            excess = (pairs.residuals / self.matrix.allowed(pairs.values, self.tolerance)).max()
            sharp *= 0.5 / max(1.0, float(excess))
        return pairs

    def _completed(self, pairs: Eigenpairs) -> Eigenpairs:
        """The pairs, with what a Krylov space missed: it has one direction of an eigenspace."""
        while self.count > 1 and pairs.converged:
            allowed = float(self.matrix.allowed(pairs.values[-1:], self.tolerance))
            vectors, every = self._krylov(1, allowed / (self.matrix.norm or 1.0), pairs)
            if not every:
                return replace(pairs, converged=False)
            before, pairs = pairs, self._within(torch.cat([pairs.vectors, vectors]))
            if float((pairs.values - before.values).max()) <= allowed:
                break
        return pairs

    def _within(self, vectors: Tensor) -> Eigenpairs:
        """The largest pairs in the span of vectors [m, n] (Rayleigh and Ritz); [0, n] has none."""
        basis = torch.linalg.qr(vectors.mT)[0].mT
        images = self.matrix.times(basis) if len(basis) else basis
        inner = basis @ images.mT
        values, turns = torch.linalg.eigh((inner + inner.mT) / 2)
        values, turns = values.flip(0)[: self.count], turns.mT.flip(0)[: self.count]
        residuals = (turns @ images - values[:, None] * (turns @ basis)).norm(dim=1)
        exact = bool((residuals <= self.matrix.allowed(values, self.tolerance)).all())
        return Eigenpairs(values, turns @ basis, residuals, exact and len(values) == self.count)

    def _krylov(self, count: int, sharp: float, known: Eigenpairs | None = None) -> tuple[Tensor, bool]:
        """Vectors [m, n] of the largest eigenvalues of the counted matrix A; whether all of them converged.

        Where pairs are known, of P (A - w I) P + s I in place of A + s I, P the projector on what is orthogonal to them
        and w the last of their values: what is beyond s is then beyond w.
        """
        from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh  # not above: a plan is made without

        matrix = self.matrix
        start = seeds.normal(seeds.stream("lanczos", self.seed, matrix.used), self.size)[None]  # never the same twice
        shift = 2 * float(matrix.times(start).norm() / start.norm()) if known is None else matrix.norm

        def across(directions: Tensor) -> Tensor:
            if known is not None:
                for _ in range(2):  # once more removes what rounding left
                    directions = directions - (directions @ known.vectors.mT) @ known.vectors
            return directions

        def times(vector: NDArray[np.float64]) -> NDArray[np.float64]:
            direction = torch.from_numpy(np.ascontiguousarray(vector.reshape(1, -1)))
            moved = across(direction)
            deflated = matrix.times(moved) - (0.0 if known is None else known.values[-1]) * moved
            result: NDArray[np.float64] = (across(deflated) + (shift or 1.0) * direction)[0].numpy()
            return result

        try:
            solution = eigsh(
                LinearOperator((self.size, self.size), times, dtype=np.float64),
                count,
                which="LA",
                v0=across(start)[0].numpy(),
                ncv=min(self.basis, self.size),
                maxiter=max(1, (self.most - matrix.used) // (self.basis - count)),
                tol=sharp,
                rng=np.random.default_rng(abs(seeds.stream("arpack", self.seed, matrix.used))),
            )
        except ArpackError as error:  # one of them, ArpackNoConvergence, holds the vectors that did converge
            some = getattr(error, "eigenvectors", np.empty((self.size, 0)))
            return torch.from_numpy(np.ascontiguousarray(some.T)), False
        return torch.from_numpy(np.ascontiguousarray(solution[1].T)), True


def _mirrored(pairs: Eigenpairs) -> Eigenpairs:
    """The pairs of the negative matrix."""
    return Eigenpairs(-pairs.values.flip(0), pairs.vectors.flip(0), pairs.residuals.flip(0), pairs.converged)
