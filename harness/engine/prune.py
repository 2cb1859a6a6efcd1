"""Pruning: masks of 0 and 1 over the prunable weights, with exact counts."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from harness import seeds
from harness.engine.state import Mask
from harness.errors import InvariantBroken


def kept_after(total: int, fraction: float, levels: int) -> int:
    """Weights that remain after pruning ``fraction`` of what remains, ``levels`` times, rounding each time."""
    for _ in range(levels):
        total -= round(fraction * total)
    return total


def magnitude(weights: Mapping[str, Tensor], before: Mask, keep: int) -> Mask:
    """Keeps the ``keep`` weights of largest magnitude, over all layers together (LMC section 4.2: globally).

    Pruned weights stay pruned. Equal magnitudes are pruned in the order of their places, so the count is exact.

    Args:
        weights: prunable weights, name -> tensor.
        before: what of each of them was kept so far (see ``Mask.over``).
        keep: how many to keep.

    Raises:
        InvariantBroken: fewer than ``keep`` are left, or a pruned weight is not zero.
    """
    flat = torch.cat([weight.flatten() for weight in weights.values()]).abs().double()
    left = torch.cat([before.kept[name].flatten() for name in weights])
    leaked = int((flat[~left] != 0).sum())
    if leaked:
        raise InvariantBroken(f"the mask leaks: {leaked} pruned weights are not exactly zero")
    count = int(left.sum())
    if keep > count:
        raise InvariantBroken(f"cannot keep {keep} of {count} weights")
    order = torch.argsort(torch.where(left, flat, -1.0), stable=True)
    kept = torch.zeros_like(left)
    kept[order[len(order) - keep :]] = True
    return _split(kept, weights)


def shuffled(mask: Mask, seed: int | str, scope: str = "layer") -> Mask:
    """The mask with its entries shuffled: random pruning.

    Args:
        mask: of some layers.
        seed: of the permutations.
        scope: ``layer`` keeps the density of each layer; ``global`` that of all layers together only.
    """
    if scope == "global":
        flat = torch.cat([kept.flatten() for kept in mask.kept.values()])
        return _split(flat[seeds.permutation(seeds.stream("mask", seed), len(flat))], mask.kept)
    return Mask(
        {
            name: kept.flatten()[seeds.permutation(seeds.stream("mask", seed, name), kept.numel())].reshape(kept.shape)
            for name, kept in mask.kept.items()
        }
    )


def _split(flat: Tensor, like: Mapping[str, Tensor]) -> Mask:
    parts: Sequence[Tensor] = flat.split([weight.numel() for weight in like.values()])
    return Mask({name: part.reshape(like[name].shape) for name, part in zip(like, parts, strict=True)})
