"""Derivatives of a network's loss at a state: gradients, Hessian-vector products, the exact Hessian, Gauss-Newton.

The loss is the mean cross-entropy over chosen examples, without weight decay, as a function of the flat vector [P]
of ``engine.initialise.flatten``. With batch normalisation by the batch, the chunks into which the examples are cut are
part of its definition: each is normalised by its own statistics.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import grad, jvp, vjp, vmap

from harness.engine.kernels.choice import layers_at, second_order_for
from harness.engine.networks.build import Network
from harness.engine.networks.initialise import unflatten
from harness.engine.networks.tails import Tail, tails
from harness.errors import InvariantBroken

if TYPE_CHECKING:
    from harness.engine.kernels.second_order import SecondOrder

Matrix = Literal["hessian", "gauss_newton"]

TANGENTS = 16
"""Directions that are differentiated side by side; bounds memory, not results."""


@dataclass(frozen=True)
class Objective:
    """The loss of one network on chosen examples.

    Attributes:
        network: the network.
        buffers: name -> [C], running statistics; read where ``batch_norm`` is ``eval``.
        chunks: pairs of images [B, C, H, W] and labels [B]; every example once. Their number type is that of the
            derivatives.
        batch_norm: ``batch`` (statistics of each chunk) or ``eval`` (running statistics).
        kept: [K] places of the flat vector that may move, where the network is pruned; None: all P.
    """

    network: Network
    buffers: Mapping[str, Tensor]
    chunks: Sequence[tuple[Tensor, Tensor]]
    batch_norm: Literal["batch", "eval"]
    kept: Tensor | None = None

    @property
    def size(self) -> int:
        """Dimensions of the vectors and matrices: K under a mask, else P."""
        return self.network.size if self.kept is None else len(self.kept)

    @cached_property
    def examples(self) -> int:
        """How many examples the loss is a mean of."""
        return sum(len(labels) for _, labels in self.chunks)

    @cached_property
    def layers(self) -> Tensor:
        """[size] the number of the layer that each place belongs to."""
        weights = torch.zeros(self.network.size).to(self.chunks[0][0])
        counts = [tail.stop - tail.start for tail in self.tails(weights, self.chunks[0][0][:2])]
        return self.reduce(torch.repeat_interleave(torch.tensor(counts)).to(weights.device))

    def logits(self, weights: Tensor, x: Tensor) -> Tensor:
        """Class scores [B, K] at weights [P], for one chunk."""
        held = {name: value[None] for name, value in self.buffers.items()}
        return self.network.logits(
            unflatten(self.network, weights[None]),
            held,
            x[:, None],
            batch_norm=self.batch_norm,
            layers=layers_at(self.network, weights),
        )[0]

    def tails(self, weights: Tensor, x: Tensor) -> list[Tail]:
        """The network's tails at a state, for one chunk."""
        return tails(self.network, weights, self.buffers, x, batch_norm=self.batch_norm)

    def compiled(self, weights: Tensor) -> "list[SecondOrder] | None":
        """The loss on each chunk about weights [P], by compiled loops; None where these do not serve.

        Kept for the next call at the same weights: a Hessian takes many.
        """
        if not self._compiled or not torch.equal(self._compiled[-1][0], weights):
            found: list[SecondOrder] = []
            for x, labels in self.chunks:
                one = second_order_for(self.network, weights, self.buffers, x, labels, batch_norm=self.batch_norm)
                if one is None:
                    break
                found.append(one)
            self._compiled[:] = [(weights.clone(), found if len(found) == len(self.chunks) else None)]
        return self._compiled[-1][1]

    @cached_property
    def _compiled(self) -> "list[tuple[Tensor, list[SecondOrder] | None]]":
        return []

    def share(self, labels: Tensor) -> float:
        """A chunk's weight in the mean."""
        return len(labels) / self.examples

    def reduce(self, vectors: Tensor) -> Tensor:
        """[..., P] to the places that may move, [..., size]."""
        return vectors if self.kept is None else vectors[..., self.kept]

    def expand(self, vectors: Tensor) -> Tensor:
        """[..., size] to [..., P], zero where nothing may move."""
        if self.kept is None:
            return vectors
        whole = vectors.new_zeros(*vectors.shape[:-1], self.network.size)
        whole[..., self.kept] = vectors
        return whole


def gradient(objective: Objective, weights: Tensor) -> tuple[float, Tensor]:
    """The loss (nats) and its gradient [size] at weights [P].

    Examples:
        Logistic regression at 0: both classes have the probability 1/2, and the loss is log 2.

        >>> import torch
        >>> from harness.engine.networks.build import build
        >>> from harness.measure.curvature import Objective, gradient
        >>> toy = build({"name": "lenet", "hidden": []}, (1, 1, 1), 2)  # weights w₀, w₁, b₀, b₁
        >>> image = torch.ones(1, 1, 1, 1, dtype=torch.float64)
        >>> objective = Objective(toy, {}, [(image, torch.tensor([0]))], "eval")
        >>> loss, slope = gradient(objective, torch.zeros(4).double())
        >>> round(loss, 6), slope.round(decimals=6).tolist()
        (0.693147, [-0.5, 0.5, -0.5, 0.5])
    """
    total, slope = 0.0, torch.zeros_like(weights)
    for x, labels in objective.chunks:
        whole = weights.detach().clone().requires_grad_()
        loss = F.cross_entropy(objective.logits(whole, x), labels) * objective.share(labels)
        total += float(loss.detach())
        slope += torch.autograd.grad(loss, whole)[0]
    return total, _finite(objective.reduce(slope))


def products(objective: Objective, weights: Tensor, directions: Tensor, *, matrix: Matrix = "hessian") -> Tensor:
    """Matrix-vector products at a state.

    Args:
        objective: the loss.
        weights: [P].
        directions: [M, size].
        matrix: the Hessian, or its Gauss-Newton part (the Hessian of the loss, were the network linear there).

    Returns:
        [M, size].

    Examples:
        Logistic regression at 0, whose Hessian has the entries ±p₀p₁ = ±1/4. The scores are linear in the weights, so
        the Gauss-Newton part is all of it.

        >>> import torch
        >>> from harness.engine.networks.build import build
        >>> from harness.measure.curvature import Objective, products
        >>> toy = build({"name": "lenet", "hidden": []}, (1, 1, 1), 2)  # weights w₀, w₁, b₀, b₁
        >>> image = torch.ones(1, 1, 1, 1, dtype=torch.float64)
        >>> objective = Objective(toy, {}, [(image, torch.tensor([0]))], "eval")
        >>> first = torch.tensor([[1.0, 0.0, 0.0, 0.0]]).double()
        >>> products(objective, torch.zeros(4).double(), first).round(decimals=6).tolist()
        [[0.25, -0.25, 0.25, -0.25]]
        >>> products(objective, torch.zeros(4).double(), first, matrix="gauss_newton").round(decimals=6).tolist()
        [[0.25, -0.25, 0.25, -0.25]]
    """
    whole = objective.expand(directions)
    total = torch.zeros_like(whole)
    compiled = objective.compiled(weights) if matrix == "hessian" else None
    if compiled is not None:
        for about, (_, labels) in zip(compiled, objective.chunks, strict=True):
            total += about.multiply(0, whole) * objective.share(labels)
        return _finite(objective.reduce(total))
    for x, labels in objective.chunks:
        tail = objective.tails(weights, x)[0]
        for place in range(0, len(whole), TANGENTS):
            part = slice(place, place + TANGENTS)
            total[part] += _multiply(tail, weights, labels, whole[part], matrix=matrix) * objective.share(labels)
    return _finite(objective.reduce(total))


def rows(objective: Objective, weights: Tensor, start: int, stop: int, *, matrix: Matrix = "hessian") -> Tensor:
    """Some rows of the exact matrix, right of the diagonal; left of its own layer's block a row is zero.

    By symmetry that is all of it (see ``symmetric``), and it needs only the tail of the network from that layer on.

    Args:
        objective: the loss.
        weights: [P].
        start: first row, among ``size``.
        stop: after the last row.
        matrix: which.

    Returns:
        [stop - start, size].

    Examples:
        Logistic regression at 0; all parameters belong to one layer, so the rows are whole.

        >>> import torch
        >>> from harness.engine.networks.build import build
        >>> from harness.measure.curvature import Objective, rows
        >>> toy = build({"name": "lenet", "hidden": []}, (1, 1, 1), 2)  # weights w₀, w₁, b₀, b₁
        >>> image = torch.ones(1, 1, 1, 1, dtype=torch.float64)
        >>> objective = Objective(toy, {}, [(image, torch.tensor([0]))], "eval")
        >>> rows(objective, torch.zeros(4).double(), 0, 2).round(decimals=6).tolist()
        [[0.25, -0.25, 0.25, -0.25], [-0.25, 0.25, -0.25, 0.25]]
    """
    places = (torch.arange(objective.network.size) if objective.kept is None else objective.kept.cpu())[start:stop]
    total = weights.new_zeros(len(places), objective.network.size)

    def add(start: int, stop: int, labels: Tensor, multiply: Callable[[Tensor], Tensor]) -> None:
        """The rows of a layer on one chunk."""
        mine = torch.nonzero((places >= start) & (places < stop)).flatten()
        for some in mine.split(TANGENTS) if len(mine) else ():
            directions = weights.new_zeros(len(some), objective.network.size - start)
            directions[torch.arange(len(some)), places[some] - start] = 1
            total[some, start:] += multiply(directions) * objective.share(labels)

    compiled = objective.compiled(weights) if matrix == "hessian" else None
    if compiled is not None:
        for about, (_, labels) in zip(compiled, objective.chunks, strict=True):
            for number, (begin, end) in enumerate(about.layers):
                add(begin, end, labels, partial(about.multiply, number))
        return _finite(objective.reduce(total))
    for x, labels in objective.chunks:
        for tail in objective.tails(weights, x):
            here = weights[tail.start :]
            add(tail.start, tail.stop, labels, partial(_multiply, tail, here, labels, matrix=matrix))
    return _finite(objective.reduce(total))


def symmetric(upper: Tensor, layers: Tensor) -> tuple[Tensor, float]:
    """The whole matrix from all its ``rows``, and how unsymmetric the blocks that were computed twice are.

    Args:
        upper: [size, size], the rows put together.
        layers: [size], see ``Objective.layers``.

    Returns:
        The symmetric matrix, and the largest difference between mirrored entries over the largest entry.

    Examples:
        Two layers of one parameter each, then one layer of two whose mirrored entries differ.

        >>> import torch
        >>> from harness.measure.curvature import symmetric
        >>> matrix, error = symmetric(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 1]))
        >>> matrix.tolist(), error
        ([[2.0, 1.0], [1.0, 3.0]], 0.0)
        >>> matrix, error = symmetric(torch.tensor([[2.0, 1.0], [0.5, 4.0]]), torch.tensor([0, 0]))
        >>> matrix.tolist(), error
        ([[2.0, 0.75], [0.75, 4.0]], 0.125)
    """
    both = layers[:, None] == layers[None, :]
    error = float(((upper - upper.t()).abs() * both).max()) / (float(upper.abs().max()) or 1.0)
    mirrored = torch.where(layers[:, None] < layers[None, :], upper, upper.t())
    return torch.where(both, (upper + upper.t()) / 2, mirrored), error


def _finite(derivatives: Tensor) -> Tensor:
    if not bool(derivatives.isfinite().all()):
        raise InvariantBroken(
            "derivatives of the loss are not finite at this state: its weights, or the loss, overflowed; look at the "
            "training that led to it"
        )
    return derivatives


def _multiply(tail: Tail, weights: Tensor, labels: Tensor, directions: Tensor, *, matrix: Matrix) -> Tensor:
    """Products for one chunk: [M, n] with n = len(weights), the tail's part of the flat vector."""
    if matrix == "gauss_newton":
        part: Tensor = vmap(lambda direction: _gauss_newton(tail, weights, labels, direction))(directions)
        return part

    def slope(at: Tensor) -> Tensor:
        derivative: Tensor = grad(lambda here: F.cross_entropy(tail.logits(here), labels))(at)
        return derivative

    product: Tensor = vmap(lambda direction: jvp(slope, (weights,), (direction,))[1])(directions)
    return product


def _gauss_newton(tail: Tail, weights: Tensor, labels: Tensor, direction: Tensor) -> Tensor:
    """Jᵀ B J v, with B the Hessian of the mean cross-entropy by the scores: (diag(p) - p pᵀ) / examples."""
    scores, change = jvp(tail.logits, (weights,), (direction,))[:2]
    p = scores.softmax(-1)
    curved = p * (change - (p * change).sum(-1, keepdim=True)) / len(labels)
    pull_back = vjp(tail.logits, weights)[1]
    product: Tensor = pull_back(curved)[0]
    return product
