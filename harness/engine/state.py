"""States and masks of one network as values, and the names under which they lie in artifacts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from harness.errors import InvariantBroken

WEIGHT, BUFFER, OPTIMISER, MASK, STEP = "weight:", "buffer:", "optimiser:", "mask:", "step"
"""Beginnings of the names of an artifact's tensors; the last is a name."""


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, the prefix taken off."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with a prefix before their names."""
    return {prefix + name: value for name, value in tensors.items()}


@dataclass(frozen=True, eq=False)
class Mask:
    """Which weights of a network are kept.

    Attributes:
        kept: name -> bool [*shape], of the prunable weights; weights without a name here are all kept.
    """

    kept: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The mask in an artifact's tensors."""
        return cls(under(tensors, MASK))

    def tensors(self) -> dict[str, Tensor]:
        """As they lie in an artifact."""
        return prefixed(MASK, self.kept)

    def count(self) -> int:
        """How many of the weights that it names are kept."""
        return sum(int(kept.sum()) for kept in self.kept.values())

    def over(self, weights: Mapping[str, Tensor]) -> "Mask":
        """The same with a name for each of the weights, and none beside.

        Raises:
            InvariantBroken: it prunes what is not among the weights.
        """
        strange = sorted(self.kept.keys() - weights.keys())
        if strange:
            raise InvariantBroken(f"the mask is of another network: there is no weight {strange[0]} here")
        return Mask(
            {name: self.kept.get(name, torch.ones_like(value, dtype=torch.bool)) for name, value in weights.items()}
        )

    def applied(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights, name -> [*shape], with the pruned ones at zero."""
        return {
            name: value * self.kept[name].to(value) if name in self.kept else value for name, value in weights.items()
        }


@dataclass(frozen=True, eq=False)
class State:
    """A network between two steps of its training.

    Attributes:
        weights: name -> [*shape].
        buffers: running statistics, name -> [C].
        step: that comes next.
        optimiser: the optimiser's state, name -> [...]; empty where it was not kept.
    """

    weights: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    step: int
    optimiser: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """The state in an artifact's tensors."""
        return cls(
            under(tensors, WEIGHT), under(tensors, BUFFER), int(tensors[STEP]), optimiser=under(tensors, OPTIMISER)
        )

    def tensors(self) -> dict[str, Tensor]:
        """As they lie in an artifact."""
        named = (WEIGHT, self.weights), (BUFFER, self.buffers), (OPTIMISER, self.optimiser)
        return {name: value for prefix, tensors in named for name, value in prefixed(prefix, tensors).items()} | {
            STEP: torch.tensor(self.step)
        }
