"""Pruning: masks of 0 and 1 over the prunable weights, with exact counts."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from harness import seeds
from harness.errors import InvariantBroken

Masks = dict[str, Tensor]


def kept_after(total: int, fraction: float, levels: int) -> int:
    """Weights that remain after pruning ``fraction`` of what remains, ``levels`` times, rounding each time."""
    for _ in range(levels):
        total -= round(fraction * total)
    return total


def magnitude(weights: Mapping[str, Tensor], masks: Mapping[str, Tensor] | None, keep: int) -> Masks:
    """Keeps the ``keep`` weights of largest magnitude, over all layers together (LMC section 4.2: globally).

    Pruned weights stay pruned. Equal magnitudes are pruned in the order of their places, so the count is exact.

    Args:
        weights: prunable weights, name -> tensor.
        masks: what was kept so far, or None for everything.
        keep: how many to keep.

    Returns:
        Name -> bool tensor of the weight's shape.

    Raises:
        InvariantBroken: fewer than ``keep`` are left, or a pruned weight is not zero.
    """
    flat = torch.cat([weight.flatten() for weight in weights.values()]).abs().double()
    before = torch.ones_like(flat, dtype=torch.bool)
    if masks is not None:
        before = torch.cat([masks[name].flatten() for name in weights])
        leaked = int((flat[~before] != 0).sum())
        if leaked:
            raise InvariantBroken(f"the mask leaks: {leaked} pruned weights are not exactly zero")
    left = int(before.sum())
    if keep > left:
        raise InvariantBroken(f"cannot keep {keep} of {left} weights")
    order = torch.argsort(torch.where(before, flat, -1.0), stable=True)
    kept = torch.zeros_like(before)
    kept[order[len(order) - keep :]] = True
    return _split(kept, weights)


def shuffled(masks: Mapping[str, Tensor], seed: int | str) -> Masks:
    """The masks with their entries shuffled within each layer: random pruning at the same layer-wise density."""
    return {
        name: mask.flatten()[seeds.permutation(seeds.stream("mask", seed, name), mask.numel())].reshape(mask.shape)
        for name, mask in masks.items()
    }


def count(masks: Mapping[str, Tensor]) -> int:
    """How many weights are kept."""
    return sum(int(mask.sum()) for mask in masks.values())


def _split(flat: Tensor, like: Mapping[str, Tensor]) -> Masks:
    parts: Sequence[Tensor] = flat.split([weight.numel() for weight in like.values()])
    return {name: part.reshape(like[name].shape) for name, part in zip(like, parts, strict=True)}
