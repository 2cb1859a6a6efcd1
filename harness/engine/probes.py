"""What is measured inside a training, between its steps: nothing that a step reads is changed."""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.engine.state import BUFFER, prefixed, under


@dataclass(frozen=True)
class Moment:
    """One replica at one step, whatever runs beside it.

    Attributes:
        weights: [P] before the step.
        after: [P] after it.
        start: [P] where the training began; zeros where it is pruned.
        gradient: [P] of the loss at these weights on the batch that the step is about to see, before clipping and
            weight decay; zeros where it is pruned.
        loss: of that batch, [] in nats: mean cross-entropy.
        kernels: [P] bool, the weights of convolutions and linear layers that are left: no biases, no normalisation.
    """

    weights: Tensor
    after: Tensor
    start: Tensor
    gradient: Tensor
    loss: Tensor
    kernels: Tensor


@dataclass(frozen=True)
class Visited:
    """A state that a training passed, kept until its end.

    Attributes:
        weights: [P] before the step.
        buffers: running statistics, name -> [C].
    """

    weights: Tensor
    buffers: Mapping[str, Tensor]


Measure = Callable[[Moment], Tensor]
"""A number, []."""

_KEPT = "kept/"
"""Beginning of the names of what is kept of states."""
_WEIGHTS = "weights"


class Probes:
    """Measures that R replicas are probed for, each at steps of its own, and states of theirs that are kept.

    Args:
        steps: each replica's steps.
        measures: name -> measure; taken of all.
        start: [R, P] weights where the trainings began.
        kernels: [R, P] bool, see ``Moment``.
        keep: each replica's steps, of these, whose states are kept, too; none are where it is left out.
    """

    def __init__(
        self,
        steps: Sequence[Sequence[int]],
        measures: Mapping[str, Measure],
        start: Tensor,
        kernels: Tensor,
        keep: Sequence[Sequence[int]] | None = None,
    ) -> None:
        self._steps, self._measures, self._start = [sorted(each) for each in steps], dict(measures), start
        self._kernels = kernels
        self._keep = [frozenset(each) for each in keep or [()] * len(steps)]
        self._before: dict[tuple[int, int], Tensor] = {}
        self._rows: dict[tuple[int, int], Tensor] = {}
        self._visited: dict[tuple[int, int], Visited] = {}
        self._given = self._given_visits = 0

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

    def before(self, place: int, step: int, weights: Tensor, buffers: Mapping[str, Tensor]) -> None:
        """Looks at a replica before a step that it is probed at; ``after`` is to follow.

        Args:
            place: the replica.
            step: that is about to be made.
            weights: [P], copied.
            buffers: name -> [C], copied where the state is kept.
        """
        copied = self._before[place, step] = weights.clone()
        if step in self._keep[place]:
            self._visited[place, step] = Visited(copied, {name: value.clone() for name, value in buffers.items()})

    def after(self, place: int, step: int, weights: Tensor, gradient: Tensor, loss: Tensor) -> None:
        """Measures a replica at a step that was just made; each tensor, copied, lies in a place of its own.

        How CUDA sums depends on how many sums it makes, and on where: so each replica is measured by itself.
        """
        moment = Moment(
            weights=self._before.pop((place, step)),
            after=weights.clone(),
            start=self._start[place].clone(),
            gradient=gradient.clone(),
            loss=loss.clone(),
            kernels=self._kernels[place].clone(),
        )
        numbers = [measure(moment).double() for measure in self._measures.values()]
        self._rows[place, step] = torch.stack(numbers) if numbers else moment.loss.new_empty(0, dtype=torch.float64)

    def new(self) -> dict[str, Tensor]:
        """What is there since the last call: measures in a tensor, a row is replica, step, measures; states by name."""
        return self._new_rows() | self._new_visits()

    def _new_rows(self) -> dict[str, Tensor]:
        places = list(self._rows)[self._given :]
        if not places:
            return {}
        name = str(self._given)
        self._given += len(places)
        numbers = torch.stack([self._rows[place] for place in places]).cpu()  # a GPU is waited for here only
        self._rows |= zip(places, numbers, strict=True)
        return {name: torch.cat([torch.tensor(places).double(), numbers], dim=1)}

    def _new_visits(self) -> dict[str, Tensor]:
        new: dict[str, Tensor] = {}
        places = list(self._visited)[self._given_visits :]
        self._given_visits += len(places)
        for place, step in places:
            visited = self._visited[place, step]
            tensors = {_WEIGHTS: visited.weights, **prefixed(BUFFER, visited.buffers)}
            tensors = {name: value.cpu() for name, value in tensors.items()}
            self._visited[place, step] = _visited(tensors)
            new |= prefixed(f"{_KEPT}{place}/{step}/", tensors)
        return new

    def recall(self, tensors: Mapping[str, Tensor]) -> None:
        """Goes on from what ``new`` gave, all of it."""
        for name in sorted((name for name in tensors if not name.startswith(_KEPT)), key=int):
            for row in tensors[name]:
                self._rows[int(row[0]), int(row[1])] = row[2:]
        kept: dict[tuple[int, int], dict[str, Tensor]] = {}
        for name, value in under(tensors, _KEPT).items():
            place, step, what = name.split("/", 2)
            kept.setdefault((int(place), int(step)), {})[what] = value
        self._visited |= {place: _visited(parts) for place, parts in kept.items()}
        self._given, self._given_visits = len(self._rows), len(self._visited)

    def of(self, place: int, steps: Sequence[int], measures: Sequence[str]) -> dict[str, list[float]]:
        """Measures of a replica at some of its steps: name -> a number for each step."""
        names = list(self._measures)
        rows = [self._rows[place, step].tolist() for step in steps]
        return {name: [row[names.index(name)] for row in rows] for name in measures}

    def visited(self, place: int, step: int) -> Visited:
        """The state of a replica that was kept at a step."""
        return self._visited[place, step]


def _visited(tensors: Mapping[str, Tensor]) -> Visited:
    return Visited(tensors[_WEIGHTS], under(tensors, BUFFER))
