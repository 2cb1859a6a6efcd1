"""How far a perturbation moves weights, and how much of it a mask hides."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]
"""Name -> [*shape]."""


def moved(before: Tensors, after: Tensors, kept: Tensors) -> float:
    """L2 distance |after - before| over the places that are kept.

    Examples:
        >>> import torch
        >>> from harness.measure.displaced import moved
        >>> before, after = {"w": torch.zeros(3)}, {"w": torch.tensor([3.0, 4.0, 5.0])}
        >>> moved(before, after, {"w": torch.tensor([True, True, False])})
        5.0
    """
    return math.sqrt(sum(_square(before[name], after[name], kept[name]) for name in sorted(before)))


def hidden_share(before: Tensors, after: Tensors, kept: Tensors) -> float | None:
    """The share (%) of the squared distance |after - before|² that lies where a mask prunes; None where nothing moves.

    Examples:
        >>> import torch
        >>> from harness.measure.displaced import hidden_share
        >>> before, after = {"w": torch.zeros(2)}, {"w": torch.tensor([3.0, 4.0])}
        >>> hidden_share(before, after, {"w": torch.tensor([True, False])})
        64.0
        >>> hidden_share(before, before, {"w": torch.tensor([True, False])})
    """
    hidden = sum(_square(before[name], after[name], ~kept[name]) for name in sorted(before))
    seen = sum(_square(before[name], after[name], kept[name]) for name in sorted(before))
    return 100 * hidden / (hidden + seen) if hidden + seen else None


def _square(before: Tensor, after: Tensor, where: Tensor) -> float:
    return float(((after.double() - before.double()) ** 2 * where.to(torch.float64)).sum())
