"""One step of R replicas, over tensors that stay where they are: what a CUDA graph records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from harness import seeds
from harness.engine import graphs, optimise
from harness.engine.device import number_format, product_format
from harness.engine.feed import Feed, Images
from harness.engine.kernels.choice import layers_for
from harness.engine.networks.build import Network, rows_of
from harness.engine.networks.initialise import kernels, unflatten
from harness.engine.replicas import FINITE, Replicas


@dataclass(frozen=True)
class Hyperparameters:
    """How to train; the same for all replicas that run together.

    Attributes:
        batch: examples of a step.
        sampling: how they are chosen, a key of ``feed.FEEDS``.
        optimiser: name and settings, see ``optimise.build``.
        schedule: see ``optimise.learning_rates``.
        decay_reach: ``all`` parameters or ``weights`` only.
        precision: number format, see ``engine.device``.
        microbatch: examples that go through the network, and are normalised, together, whose gradients are averaged
            over the batch; None: the whole batch.
    """

    batch: int
    sampling: str
    optimiser: Mapping[str, Any]
    schedule: Mapping[str, Any]
    decay_reach: str
    precision: str
    microbatch: int | None = None


class Step:
    """Batch, forward, backward and update of R replicas, each at its own step.

    A call never waits for the device, copies nothing to it and makes no shape that depends on data: what differs from
    one call to the next, it reads from tensors that stay where they are. So it can be recorded once and replayed.

    Args:
        network: what is trained.
        hyperparameters: how.
        images: on what.
        feed: the batches, opened at the replicas' steps.
        replicas: their tensors are changed in place.
        probed: whether each call leaves its gradient as it was before the update.

    Attributes:
        counters: [R] each replica's next step, int64; a call adds one.
        losses: [R] of the last call's batches, at the weights before it, those of auxiliary heads by their weights
            among them.
        gradient: [R, P] of these, zeros where masked, before clipping and weight decay; empty unless probed.
    """

    def __init__(
        self,
        network: Network,
        hyperparameters: Hyperparameters,
        images: Images,
        feed: Feed,
        replicas: Replicas,
        *,
        probed: bool = False,
    ) -> None:
        device, dtype = replicas.weights.device, replicas.weights.dtype
        self.counters = torch.tensor(replicas.steps, device=device)
        self._network, self._hyperparameters = network, hyperparameters
        self._images, self._feed = images, feed
        self._replicas = replicas
        self._branches = network.branches(len(replicas))
        self._layers = layers_for(network, device, hyperparameters.precision)
        self._gradient = torch.empty_like(replicas.weights)
        self._probed = probed
        self.gradient = torch.empty_like(replicas.weights if probed else replicas.weights[:0])
        self.losses = torch.empty(len(replicas), device=device, dtype=dtype)
        self._optimiser = dict(replicas.optimiser)
        self._update = optimise.build(
            hyperparameters.optimiser, _decayed(network, hyperparameters.decay_reach).to(device)
        )
        self._rates = optimise.learning_rates(hyperparameters.schedule, device)
        self._schedule_starts = torch.tensor(replicas.schedule_starts, device=device)

    def fed(self, size: int) -> tuple[Tensor, Tensor]:
        """Indices [R, size] and augmentation streams [R] of the next call, see ``Feed.batch``."""
        return self._feed.batch(self.counters, size)

    def __call__(self, size: int) -> None:
        """The next step of every replica, with batches of ``size`` examples."""
        now, gradient = self._replicas, self._gradient
        index, keys = self.fed(size)
        x, labels = self._images.augmented(index, keys)
        draws = seeds.bits(keys[:, None], index) if self._network.drops_out else None
        pieces = [partial(self._differentiate, rows, x, labels, draws) for rows in self._branches]
        graphs.side_by_side(pieces, gradient.device)
        if now.mask is not None:
            gradient.mul_(now.mask)
        if self._probed:
            self.gradient.copy_(gradient)
        rate = self._rates(self.counters - self._schedule_starts).to(now.weights.dtype).unsqueeze(1)
        self._update(now.weights, gradient, self._optimiser, rate)
        bad = ~torch.isfinite(self.losses) & (now.diverged_at == FINITE)
        now.diverged_at.copy_(torch.where(bad, self.counters, now.diverged_at))
        self.counters.add_(1)

    def _differentiate(self, rows: slice, x: Tensor, labels: Tensor, draws: Tensor | None) -> None:
        """Losses and gradients of some replicas, of images [B, R, C, H, W], labels and bits [R, B] of all."""
        now = self._replicas
        weights = now.weights[rows]
        if len(self._branches) > 1:
            weights = weights.clone()  # a row may begin anywhere; libraries choose kernels by where numbers lie
        leaves = {name: view.detach().requires_grad_() for name, view in unflatten(self._network, weights).items()}
        buffers, size = rows_of(now.buffers, rows), len(x)
        together = self._hyperparameters.microbatch or size
        if size <= together:
            losses, gradients = self._passed(leaves, buffers, x[:, rows], labels[rows], _rows(draws, rows))
            torch.cat([part.flatten(1) for part in gradients], dim=1, out=self._gradient[rows])
            self.losses[rows] = losses
            return
        self._gradient[rows].zero_()
        self.losses[rows].zero_()
        for start in range(0, size, together):
            part = slice(start, min(start + together, size))
            losses, gradients = self._passed(
                leaves, buffers, x[part, rows], labels[rows, part], _rows(draws, (rows, part))
            )
            share = (part.stop - part.start) / size
            self._gradient[rows].add_(torch.cat([piece.flatten(1) for piece in gradients], dim=1), alpha=share)
            self.losses[rows].add_(losses, alpha=share)

    def _passed(
        self,
        leaves: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        x: Tensor,
        labels: Tensor,
        draws: Tensor | None,
    ) -> tuple[Tensor, Sequence[Tensor]]:
        """Losses [R] and gradients [R, ...], a parameter each, of what goes through the network at a time."""
        precision = self._hyperparameters.precision
        with number_format(precision, x.device):
            (_, scores), *others = self._network.heads(leaves, buffers, x, draws=draws, layers=self._layers)
        losses = _losses(scores, labels)
        for weight, scores in others:
            losses = losses + weight * _losses(scores, labels)
        with product_format(precision):
            gradients = torch.autograd.grad(losses.sum(), list(leaves.values()))
        return losses.detach(), gradients


def _rows(draws: Tensor | None, where: slice | tuple[slice, slice]) -> Tensor | None:
    return None if draws is None else draws[where]


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of each replica: [R, B, K], [R, B] to [R]."""
    each = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    by_replica: Tensor = each.unflatten(0, labels.shape)
    return by_replica.mean(1)


def _decayed(network: Network, reach: str) -> Tensor:
    """[P] 1 where weight decay reaches."""
    return torch.ones(network.size) if reach == "all" else kernels(network).float()
