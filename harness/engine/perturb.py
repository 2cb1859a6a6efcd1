"""Perturbations of weights: signs and magnitudes of two states, scale, permutations, independent draws, noise. Pure.

Each changes the places that are kept, and no other bit. The randomness is that of the stream ``perturb``, the same on
every device; draws belong to a seed, a tensor and a place in it: neither what is kept nor another tensor changes them.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from harness import seeds

Scope = Literal["network", "layer", "filter"]
"""Within what weights are permuted: all layers together, a layer, a filter: one output channel of a layer."""

Tensors = Mapping[str, Tensor]
"""Name -> [*shape]; of weights, or of flags of those that are kept."""


def swapped(weights: Tensors, kept: Tensors, *, signs: Tensors, magnitudes: Tensors) -> dict[str, Tensor]:
    """The magnitudes of one state under the signs of another.

    Args:
        weights: that are perturbed.
        kept: the places that take part.
        signs: of a state of the same network.
        magnitudes: likewise; of its weights only the absolute value counts.

    Examples:
        >>> import torch
        >>> from harness.engine.perturb import swapped
        >>> weights, kept = {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([True, False])}
        >>> swapped(weights, kept, signs={"w": torch.tensor([-5.0, -6.0])}, magnitudes={"w": torch.tensor([3.0, 4.0])})
        {'w': tensor([-3.,  2.])}
    """
    return {
        name: torch.where(kept[name], torch.copysign(magnitudes[name].abs(), signs[name]).to(value), value)
        for name, value in weights.items()
    }


def scaled(weights: Tensors, kept: Tensors, *, like: Tensors) -> dict[str, Tensor]:
    """The weights times a factor a layer, which gives those that are kept the L2 norm that another state has there.

    Args:
        weights: that are perturbed; a layer whose kept weights are all zero stays as it is.
        kept: the places that take part.
        like: the other state.

    Examples:
        >>> import torch
        >>> from harness.engine.perturb import scaled
        >>> weights, kept = {"w": torch.tensor([3.0, 4.0, 1.0])}, {"w": torch.tensor([True, True, False])}
        >>> scaled(weights, kept, like={"w": torch.tensor([0.0, 10.0, 7.0])})
        {'w': tensor([6., 8., 1.])}
    """
    perturbed = {}
    for name, value in weights.items():
        norm, due = (float(torch.linalg.vector_norm(of[kept[name]].double())) for of in (value, like[name]))
        factor = due / norm if norm else 1.0
        perturbed[name] = torch.where(kept[name], (value.double() * factor).to(value.dtype), value)
    return perturbed


def permuted(weights: Tensors, kept: Tensors, *, within: Scope, keep_signs: bool, seed: int | str) -> dict[str, Tensor]:
    """The weights in another order.

    Args:
        weights: that are perturbed.
        kept: the places that take part; values go from these to these.
        within: what no value leaves.
        keep_signs: each place keeps its sign, and magnitudes alone are permuted.
        seed: of the permutation; with and without signs it is the same one.
    """
    names = sorted(weights)  # tensors that come from files have no order of their own
    flat = torch.cat([weights[name].flatten() for name in names])
    places = torch.cat([kept[name].flatten() for name in names]).nonzero().flatten()
    groups = torch.cat([group.flatten() for group in _groups(weights, names, within)])[places]
    draws = torch.cat([seeds.bits(_stream(seed, name), torch.arange(weights[name].numel())) for name in names])[places]
    shuffled = torch.argsort(draws, stable=True)
    shuffled = shuffled[torch.argsort(groups[shuffled], stable=True)]
    home = torch.argsort(groups, stable=True)
    values = flat[places]
    moved = values.clone()
    moved[home] = values[shuffled]
    flat[places] = torch.copysign(moved.abs(), values) if keep_signs else moved
    parts = flat.split([weights[name].numel() for name in names])
    return {name: part.reshape(weights[name].shape) for name, part in zip(names, parts, strict=True)}


def drawn(weights: Tensors, kept: Tensors, *, keep_signs: bool, seed: int | str) -> dict[str, Tensor]:
    """Independent draws from a normal law with the mean and the standard deviation of a layer's kept weights.

    Such a draw moves the weights about as far as a permutation of them, and keeps as little of their direction.

    Args:
        weights: that are perturbed.
        kept: the places that take part; the mean and the deviation are over these.
        keep_signs: each place keeps its sign, and takes the magnitude of the draw alone.
        seed: of the draws; with and without signs they are the same ones.
    """
    perturbed = {}
    for name, value in weights.items():
        mean, deviation = _moments(value[kept[name]])
        fresh = (mean + deviation * _normal(seed, name, value)).to(value.dtype)
        fresh = torch.copysign(fresh.abs(), value) if keep_signs else fresh
        perturbed[name] = torch.where(kept[name], fresh, value)
    return perturbed


def noisy(
    weights: Tensors, kept: Tensors, *, n: float, deviations: Mapping[str, float], seed: int | str
) -> dict[str, Tensor]:
    """The weights with Gaussian noise of n standard deviations.

    Args:
        weights: that are perturbed.
        kept: the places that take part.
        n: how much; the noise of another n is the same but for its size.
        deviations: name -> σ.
        seed: of the noise.
    """
    perturbed = {}
    for name, value in weights.items():
        added = (value.double() + n * deviations[name] * _normal(seed, name, value)).to(value.dtype)
        perturbed[name] = torch.where(kept[name], added, value)
    return perturbed


def deviations(initial: Tensors, over: Literal["layer", "global"]) -> dict[str, float]:
    """Name -> standard deviation of fresh weights, pruned ones too: of its tensor, or of all together.

    Examples:
        >>> import torch
        >>> from harness.engine.perturb import deviations
        >>> initial = {"a": torch.tensor([1.0, -1.0]), "b": torch.tensor([0.0, 0.0])}
        >>> deviations(initial, "layer"), round(deviations(initial, "global")["b"], 4)
        ({'a': 1.0, 'b': 0.0}, 0.7071)
    """
    if over == "global":
        _, together = _moments(torch.cat([initial[name].flatten() for name in sorted(initial)]))
        return dict.fromkeys(initial, together)
    return {name: _moments(value)[1] for name, value in initial.items()}


def _moments(values: Tensor) -> tuple[float, float]:
    """Mean and standard deviation; of nothing 0."""
    if values.numel() == 0:
        return 0.0, 0.0
    return float(values.double().mean()), float(values.double().std(correction=0))


def _normal(seed: int | str, name: str, like: Tensor) -> Tensor:
    """Standard normal numbers for the places of a tensor, float64 [*shape]."""
    return seeds.normal(_stream(seed, name), like.numel()).reshape(like.shape)


def _stream(seed: int | str, name: str) -> int:
    return seeds.stream("perturb", seed, name)


def _groups(weights: Tensors, names: list[str], within: Scope) -> list[Tensor]:
    """A number for each place, equal within a group."""
    groups, first = [], 0
    for name in names:
        shape = weights[name].shape
        if within == "filter":
            channels = torch.arange(first, first + shape[0]).reshape(-1, *[1] * (len(shape) - 1))
            groups.append(channels.expand(shape))
            first += shape[0]
        else:
            groups.append(torch.full(shape, first))
            first += within == "layer"
    return groups
