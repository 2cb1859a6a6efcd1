"""What trainings were really fed at their beginning, in a few letters: evidence that their orders differ.

It is taken of the very tensors that a step reads, and changes none of them.
"""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.engine.feed import Images

CHANCE_BITS = 40.0
"""Two draws out of 2^40 or more that are equal are no chance."""
_IMAGES, _CHANGED = 96, 30
"""Images that are augmented to tell augmentations apart, and how many of them must change: flips alone change half of
those that are not symmetric."""
_LETTERS = 16

Fed = Callable[[], tuple[Tensor, Tensor]]
"""Gives indices [R, B] and augmentation streams [R] of the step to come."""


class Witness:
    """The beginnings of R trainings: as many batches as no two orders have in common by chance.

    Args:
        replicas: R.
        images: what they are trained on.
        augmented: whether these are augmented.
    """

    def __init__(self, replicas: int, images: Images, *, augmented: bool) -> None:
        self._images, self._augmented = images, augmented
        self._examples = len(images.split["train"][1])
        self._orders: list[list[str]] = [[] for _ in range(replicas)]
        self._drawn = [0] * replicas
        self._looks = [""] * replicas

    def see(self, places: Sequence[int], fed: Fed) -> None:
        """Looks at the step to come of the replicas at ``places``, whose rows come first, unless enough is known."""
        open_rows = [row for row, place in enumerate(places) if self._drawn[place] < self._examples]
        open_rows = [row for row in open_rows if not self._told(places[row])]
        if not open_rows:
            return
        index, keys = fed()
        if self._augmented:
            self._look(places, keys)
        batches = index.cpu()
        for row in open_rows:
            self._orders[places[row]].append(_digest(batches[row]))
            self._drawn[places[row]] += batches.shape[1]

    def of(self, place: int, steps: int) -> dict[str, str]:
        """What a replica was fed in so many steps: digests of its order and of its augmentation, where they tell."""
        order = self._orders[place]
        seen = {"data order": "/".join(order)} if self._told(place) and len(order) <= steps else {}
        return seen | ({"augmentation": self._looks[place]} if self._looks[place] and steps else {})

    @property
    def notes(self) -> dict[str, Any]:
        """Everything that was seen, as plain values."""
        return {"orders": self._orders, "drawn": self._drawn, "looks": self._looks}

    def recall(self, notes: Mapping[str, Any]) -> None:
        """Goes on from ``notes``."""
        self._orders = [list(order) for order in notes["orders"]]
        self._drawn, self._looks = list(notes["drawn"]), list(notes["looks"])

    def _told(self, place: int) -> bool:
        drawn = min(self._drawn[place], self._examples)
        ways = math.lgamma(self._examples + 1) - math.lgamma(self._examples - drawn + 1)
        return ways >= CHANCE_BITS * math.log(2)

    def _look(self, places: Sequence[int], keys: Tensor) -> None:
        """The same images under each replica's augmentation at its first step."""
        if all(self._orders[place] for place in places):
            return
        same = torch.arange(min(_IMAGES, self._examples), device=keys.device)
        seen, _ = self._images.augmented(same.expand(len(keys), -1), keys)
        changed = (seen != self._images.chosen("train", same)).flatten(2).any(2).sum(0).tolist()
        for row, place in enumerate(places):
            if not self._orders[place] and changed[row] >= _CHANGED:
                self._looks[place] = _digest(seen[:, row].cpu())


def _digest(value: Tensor) -> str:
    return hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()[:_LETTERS]
