"""Hessian-vector products of a small residual network by compiled loops, from any of its layers on.

What does not change along a direction, activations and gradients at the state, is computed once, in double precision by
PyTorch's operations. What changes goes through the network by blocks (``changes``), forward and backward.

Suffixes: T direction, B example, F feature, K class.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.engine.kernels.block_changes import Block, Moved
from harness.engine.kernels.recorded import Recorder, Unserved
from harness.engine.networks.build import Network
from harness.engine.networks.initialise import unflatten
from harness.engine.networks.layers import BatchNormMode

SIDE_BY_SIDE = 4
"""Directions between two calls of compiled loops; bounds memory, not results."""


class _Head:
    """The mean over each channel, a linear layer, and the mean cross-entropy over examples."""

    def __init__(self, features: Tensor, scores: Tensor, weight: Tensor, labels: Tensor, dtype: torch.dtype) -> None:
        p = scores.softmax(-1)
        slope = (p - F.one_hot(labels, p.shape[-1])) / len(labels)
        self._features_BF, self._p_BK, self._slope_BK = features.to(dtype), p.to(dtype), slope.to(dtype)
        self._weight_FK = weight.to(dtype)

    def turn(self, out: Tensor | None, parts: tuple[Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Changes of the gradients by the features [T, B, F] and by the parameters.

        Args:
            out: change of the images [T, N, H, W, C, L]; None: none.
            parts: of the weight [T, F * K] and the bias [T, K].
        """
        weight_TFK, bias_TK = parts[0].unflatten(1, self._weight_FK.shape), parts[1]
        scores_TBK = self._features_BF @ weight_TFK + bias_TK[:, None]
        if out is not None:
            features_TBF = out.mean((2, 3)).transpose(2, 3).flatten(1, 2)[:, : len(self._features_BF)]
            scores_TBK = scores_TBK + features_TBF @ self._weight_FK
        mean_TB1 = (self._p_BK * scores_TBK).sum(-1, keepdim=True)
        slope_TBK = self._p_BK * (scores_TBK - mean_TB1) / len(self._p_BK)
        weight_change_TFK = self._features_BF.t() @ slope_TBK
        if out is not None:
            weight_change_TFK = weight_change_TFK + features_TBF.mT @ self._slope_BK
        change_TBF = slope_TBK @ self._weight_FK.t() + self._slope_BK @ weight_TFK.mT
        return change_TBF, [weight_change_TFK.flatten(1), slope_TBK.sum(1)]


class SecondOrder:
    """The mean cross-entropy of a network on some examples about a state, by its second derivatives.

    Attributes:
        layers: places (start, stop) of each layer's parameters in the flat vector [P], ascending.
    """

    def __init__(self, blocks: list[Block], head: _Head, features: int, classes: int) -> None:
        self._blocks, self._head = blocks, head
        self._sizes = [size for block in blocks for size in block.sizes] + [features * classes, classes]
        self.layers: list[tuple[int, int]] = []
        start = 0
        grouped = [group for block in blocks for group in (block.sizes[:1], block.sizes[1:])]
        for group in [*grouped, self._sizes[-2:]]:
            self.layers.append((start, start + sum(group)))
            start += sum(group)

    def multiply(self, layer: int, directions: Tensor) -> Tensor:
        """Products with the Hessian's part that belongs to a layer and all later ones.

        Args:
            layer: number of it.
            directions: [M, P - start], start being the layer's first place.

        Returns:
            [M, P - start].
        """
        return torch.cat([self._several(layer, some) for some in directions.split(SIDE_BY_SIDE)])

    def _several(self, layer: int, directions: Tensor) -> Tensor:
        first, own_norm = divmod(layer, 2)
        start = self.layers[layer][0]
        given = list(F.pad(directions, (start, 0)).split(self._sizes, dim=1))
        changes: list[Tensor | None] = [None] * (len(self._blocks) + 1)
        moved: list[Moved] = []
        for number, block in enumerate(self._blocks[first:], start=first):
            parts = given[3 * number], given[3 * number + 1], given[3 * number + 2]
            added = None if block.added is None else changes[block.added]
            moved.append(block.push(changes[block.source], added, parts))
            changes[number + 1] = moved[-1].out
        by_features, ends = self._head.turn(changes[-1], (given[-2], given[-1]))
        gradients: list[Tensor | None] = [None] * (len(self._blocks) + 1)
        if moved:
            gradients[-1] = self._spread(by_features)
        results: list[list[Tensor]] = [ends]
        for number in range(len(self._blocks) - 1, first - 1, -1):
            block, gradient = self._blocks[number], gradients[number + 1]
            assert gradient is not None
            x_gradient, added_gradient, parts_found = block.pull(
                gradient,
                moved[number - first],
                wants_x=block.source > first,
                wants_weight=number > first or not own_norm,
            )
            for place, found in ((block.source, x_gradient), (block.added, added_gradient)):
                if place is not None and place > first:
                    known = gradients[place]
                    gradients[place] = found if known is None else known.add_(found)
            results.insert(0, parts_found if number > first or not own_norm else parts_found[1:])
        return torch.cat([part for parts in results for part in parts], dim=1)

    def _spread(self, by_features: Tensor) -> Tensor:
        """The gradient by features [T, B, F] as that by the images that they are the means of."""
        like = self._blocks[-1].images[0]
        chunks, height, wide, _, lanes = like.shape
        filled = F.pad(by_features, (0, 0, 0, chunks * lanes - by_features.shape[1])) / (height * wide)
        lying = filled.unflatten(1, (chunks, lanes)).mT[:, :, None, None]
        spread: Tensor = lying.expand(-1, -1, height, wide, -1, -1).contiguous()
        return spread


def second_order(
    network: Network,
    weights: Tensor,
    buffers: Mapping[str, Tensor],
    x: Tensor,
    labels: Tensor,
    *,
    batch_norm: BatchNormMode,
) -> SecondOrder | None:
    """The loss about a state; None for a network that compiled loops do not serve.

    Args:
        network: R = 1 of it.
        weights: [P], in the order of ``initialise.flatten``.
        buffers: name -> [C].
        x: images [B, C, H, W].
        labels: [B].
        batch_norm: ``eval``, or ``batch``: statistics of these images.
    """
    held = {name: value.double()[None] for name, value in buffers.items()}
    with torch.enable_grad():  # whatever the caller computes by
        parameters = unflatten(network, weights.detach().double()[None].requires_grad_())
        recorder = Recorder(parameters, held, batch_norm)
        try:
            scores = network.run(recorder, x.double()[:, None])
        except Unserved:
            return None
        if scores is not recorder.scores or recorder.pooled is None:
            return None
        loss = F.cross_entropy(scores[0], labels)
        wanted = [tensor for seen in recorder.blocks for tensor in seen.tensors[1:]]
        slopes = torch.autograd.grad(loss, wanted)
    at = {name: value[0].detach() for name, value in (*parameters.items(), *held.items())}
    blocks = [
        Block(seen, (slopes[3 * n], slopes[3 * n + 1], slopes[3 * n + 2]), at, batch_norm == "batch", weights.dtype)
        for n, seen in enumerate(recorder.blocks)
    ]
    features = recorder.pooled[0].detach()
    head = _Head(features, scores[0].detach(), at["output.weight"], labels, weights.dtype)
    return SecondOrder(blocks, head, features.shape[-1], network.classes)
