"""What is measured inside a training, between its steps: nothing that a step reads is changed."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moment:
    """One replica at one step, whatever runs beside it.

    Attributes:
        weights: [P] before the step.
        start: [P] where the training began; zeros where it is pruned.
        gradient: [P] of the loss at these weights on the batch that the step is about to see, before clipping and
            weight decay; zeros where it is pruned.
        loss: of that batch, [] in nats: mean cross-entropy.
    """

    weights: Tensor
    start: Tensor
    gradient: Tensor
    loss: Tensor


Measure = Callable[[Moment], Tensor]
"""A number, []."""


class Probes:
    """Measures that R replicas are probed for, each at steps of its own.

    Args:
        steps: each replica's steps.
        measures: name -> measure; taken of all.
        start: [R, P] weights where the trainings began.
    """

    def __init__(self, steps: Sequence[Sequence[int]], measures: Mapping[str, Measure], start: Tensor) -> None:
        self._steps, self._measures, self._start = [sorted(each) for each in steps], dict(measures), start
        self._rows: dict[tuple[int, int], Tensor] = {}
        self._given = 0

    def due(self, places: Sequence[int], steps: Sequence[int], count: int) -> dict[int, list[int]]:
        """How many steps from now -> the rows that are probed then.

        Args:
            places: which replica each row is.
            steps: their next steps.
            count: how many steps from now are looked at.
        """
        rows: dict[int, list[int]] = {}
        for row, (place, step) in enumerate(zip(places, steps, strict=False)):
            own = self._steps[place]
            for probed in own[bisect_left(own, step) : bisect_left(own, step + count)]:
                rows.setdefault(probed - step, []).append(row)
        return rows

    def take(self, place: int, step: int, weights: Tensor, gradient: Tensor, loss: Tensor) -> None:
        """Measures a replica at a step; the tensors are its own, and each lies in a place of its own.

        How CUDA sums depends on how many sums it makes, and on where: so each replica is measured by itself.
        """
        moment = Moment(weights, self._start[place].clone(), gradient, loss)
        self._rows[place, step] = torch.stack([measure(moment).double() for measure in self._measures.values()])

    def new(self) -> dict[str, Tensor]:
        """What was measured since the last call, in a tensor of a name of its own: a row is replica, step, measures."""
        places = list(self._rows)[self._given :]
        if not places:
            return {}
        name = str(self._given)
        self._given += len(places)
        numbers = torch.stack([self._rows[place] for place in places]).cpu()  # the only time that a GPU is waited for
        self._rows |= zip(places, numbers, strict=True)
        return {name: torch.cat([torch.tensor(places).double(), numbers], dim=1)}

    def recall(self, tensors: Mapping[str, Tensor]) -> None:
        """Goes on from what ``new`` gave, all of it."""
        for name in sorted(tensors, key=int):
            for row in tensors[name]:
                self._rows[int(row[0]), int(row[1])] = row[2:]
        self._given = len(self._rows)

    def of(self, place: int, steps: Sequence[int], measures: Sequence[str]) -> dict[str, list[float]]:
        """Measures of a replica at some of its steps: name -> a number for each step."""
        names = list(self._measures)
        rows = [self._rows[place, step].tolist() for step in steps]
        return {name: [row[names.index(name)] for row in rows] for name in measures}
