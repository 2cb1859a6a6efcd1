"""What a training has recorded so far, which does not change while it goes on: snapshots, and what probes measured."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from torch import Tensor

from harness.engine.feed import Images
from harness.engine.networks.build import Network
from harness.engine.networks.initialise import unflatten
from harness.engine.probes import Probes, Visited
from harness.engine.replicas import FINITE, Replicas
from harness.engine.state import BUFFER, OPTIMISER, prefixed, under
from harness.jobs.stage_row import Params
from harness.measure.evaluate import Scores, States, evaluate
from harness.measure.hindsight import Hindsight
from harness.stages.base import Checkpoint
from harness.stages.probes import table_of

_SNAPSHOT, _PROBE = "snapshot/", "probe/"
RECORDED = (_SNAPSHOT, _PROBE)
"""Beginnings of its tensors' names in a checkpoint."""


@dataclass(frozen=True)
class Snapshot:
    """A replica at one of its stops.

    Attributes:
        weights: [P].
        buffers: running statistics, name -> [C].
        optimiser: the optimiser's state, name -> [...].
        diverged_at: the first step without a finite loss; None where every loss was.
    """

    weights: Tensor
    buffers: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor]
    diverged_at: int | None


class Recorded:
    """Snapshots of R replicas at their stops, and their measures; a checkpoint keeps each once.

    Args:
        checkpoint: of the training.
        probes: measure it; None where nothing does.
    """

    def __init__(self, checkpoint: Checkpoint, probes: Probes | None) -> None:
        self._checkpoint, self._probes = checkpoint, probes
        self._snapshots: dict[str, Tensor] = {}

    def snap(self, place: int, now: Replicas) -> None:
        """Takes a snapshot of a replica, which stands at one of its stops."""
        prefix = f"{place}/{now.steps[place]}/"
        tensors = {"weights": now.weights[place], "diverged": now.diverged_at[place]}
        tensors |= prefixed(BUFFER, {name: value[place] for name, value in now.buffers.items()})
        tensors |= prefixed(OPTIMISER, {name: value[place] for name, value in now.optimiser.items()})
        self._snapshots |= {prefix + name: value.detach().to("cpu", copy=True) for name, value in tensors.items()}

    def keep(self) -> None:
        """Tells the checkpoint of all; it knows what it has already."""
        measured = {} if self._probes is None else self._probes.new()
        self._checkpoint.keep({_SNAPSHOT + name: value for name, value in self._snapshots.items()})
        self._checkpoint.keep({_PROBE + name: value for name, value in measured.items()})

    def recall(self, saved: Mapping[str, Tensor]) -> None:
        """Goes on from what a checkpoint gave."""
        self._snapshots = under(saved, _SNAPSHOT)
        if self._probes is not None:
            self._probes.recall(under(saved, _PROBE))

    def snapshot(self, place: int, stop: int) -> Snapshot:
        """A replica at a stop."""
        tensors = under(self._snapshots, f"{place}/{stop}/")
        step = int(tensors["diverged"])
        return Snapshot(
            tensors["weights"], under(tensors, BUFFER), under(tensors, OPTIMISER), None if step == FINITE else step
        )

    def table(self, place: int, params: Params, network: Network, images: Images) -> Mapping[str, list[Any]]:
        """The table of a job that is a snapshot of a replica: what its probes measured.

        Args:
            place: of the replica.
            params: of the job.
            network: that was trained.
            images: that have the test set.
        """

        def look_back(step: int) -> Hindsight:
            probes = self._probes
            assert probes is not None, "a job without probes looks back at nothing"
            visited = probes.visited(place, step)
            end = self.snapshot(place, int(params["stop"])).weights
            on_test = cache(partial(_on_test, network, images, params["precision"], visited))
            return Hindsight(visited.weights.cpu(), end, on_test)

        return table_of(params, place, self._probes, network, look_back)


def _on_test(network: Network, images: Images, precision: str, visited: Visited) -> Scores:
    """What a state makes of the test set, by itself, so that it does not depend on what ran beside it."""
    device = images.split["test"][1].device
    states = States(
        unflatten(network, visited.weights[None].to(device)),
        {name: value[None].to(device) for name, value in visited.buffers.items()},
    )
    return evaluate(network, states, images, "test", precision=precision)
