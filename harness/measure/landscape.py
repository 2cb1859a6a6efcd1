"""The loss at many points near a state: along lines, in planes."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.engine.kernels.choice import layers_at
from harness.engine.networks.build import Network
from harness.engine.networks.initialise import unflatten
from harness.measure.curvature import Objective


@torch.no_grad()
def losses(
    network: Network,
    points: Tensor,
    buffers: Mapping[str, Tensor],
    x: Tensor,
    labels: Tensor,
    *,
    batch_norm: Literal["batch", "eval"],
    side_by_side: int = 16,
) -> Tensor:
    """Mean cross-entropy (nats) on one batch at many points of weight space.

    Args:
        network: the network.
        points: [M, P] flat vectors.
        buffers: name -> [C], the same at all points; read where ``batch_norm`` is ``eval``.
        x: images [B, C, H, W].
        labels: [B].
        batch_norm: ``batch`` (statistics of these images, at each point its own) or ``eval``.
        side_by_side: points in one pass; bounds memory.

    Returns:
        [M].

    Examples:
        Logistic regression: log 2 at 0, log(4/3) where the scores of the two classes differ by log 3.

        >>> import math
        >>> import torch
        >>> from harness.engine.networks.build import build
        >>> from harness.measure.landscape import losses
        >>> toy = build({"name": "lenet", "hidden": []}, (1, 1, 1), 2)  # weights w₀, w₁, b₀, b₁
        >>> image = torch.ones(1, 1, 1, 1, dtype=torch.float64)
        >>> points = torch.tensor([[0.0, 0.0, 0.0, 0.0], [math.log(3), 0.0, 0.0, 0.0]], dtype=torch.float64)
        >>> means = losses(toy, points, {}, image, torch.tensor([0]), batch_norm="eval")
        >>> torch.allclose(means, torch.tensor([2, 4 / 3]).double().log(), atol=1e-6)
        True
    """
    means = []
    layers = layers_at(network, points)
    for some in points.split(side_by_side):
        held = {name: value.expand(len(some), -1).contiguous() for name, value in buffers.items()}
        images = x[:, None].expand(-1, len(some), -1, -1, -1)
        logits = network.logits(unflatten(network, some), held, images, batch_norm=batch_norm, layers=layers)
        repeated = labels.expand(len(some), -1)
        each = F.cross_entropy(logits.flatten(0, 1), repeated.flatten(), reduction="none")
        means.append(each.unflatten(0, (len(some), -1)).mean(1))
    return torch.cat(means)


def losses_at(objective: Objective, points: Tensor) -> Tensor:
    """[M] the loss (nats) at flat vectors [M, P], its chunks summed in float64.

    Examples:
        Logistic regression at 0: the loss is log 2, whatever the labels.

        >>> import torch
        >>> from harness.engine.networks.build import build
        >>> from harness.measure.curvature import Objective
        >>> from harness.measure.landscape import losses_at
        >>> toy = build({"name": "lenet", "hidden": []}, (1, 1, 1), 2)  # weights w₀, w₁, b₀, b₁
        >>> image = torch.ones(1, 1, 1, 1, dtype=torch.float64)
        >>> objective = Objective(toy, {}, [(image, torch.tensor([0])), (image, torch.tensor([1]))], "eval")
        >>> losses_at(objective, torch.zeros(1, 4).double()).round(decimals=6).tolist()
        [0.693147]
    """
    total = points.new_zeros(len(points), dtype=torch.float64)
    for x, labels in objective.chunks:
        here = losses(objective.network, points, objective.buffers, x, labels, batch_norm=objective.batch_norm)
        total += here * objective.share(labels)
    return total
