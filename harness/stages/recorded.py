"""What a training has recorded so far, which does not change while it goes on: snapshots, and what probes measured."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from harness.engine.probes import Probes
from harness.engine.replicas import Replicas
from harness.jobs.stage_row import Params
from harness.stages.base import BUFFER, OPTIMISER, Checkpoint
from harness.stages.probes import table_of

_SNAPSHOT, _PROBE = "snapshot/", "probe/"
RECORDED = (_SNAPSHOT, _PROBE)
"""Beginnings of its tensors' names in a checkpoint."""


class Recorded:
    """Snapshots of R replicas at their stops, and their measures; a checkpoint keeps each once.

    Args:
        checkpoint: of the training.
        probes: measure it; None where nothing does.
    """

    def __init__(self, checkpoint: Checkpoint, probes: Probes | None) -> None:
        self._checkpoint, self._probes = checkpoint, probes
        self._snapshots: dict[str, Tensor] = {}

    def mark(self, place: int, now: Replicas) -> None:
        """Takes a snapshot of a replica, which stands at one of its stops."""
        prefix = f"{place}/{now.steps[place]}/"
        tensors = {"weights": now.weights[place], "diverged": now.diverged_at[place]}
        tensors |= {BUFFER + name: value[place] for name, value in now.buffers.items()}
        tensors |= {OPTIMISER + name: value[place] for name, value in now.optimiser.items()}
        self._snapshots |= {prefix + name: value.detach().to("cpu", copy=True) for name, value in tensors.items()}

    def keep(self) -> None:
        """Tells the checkpoint of all; it knows what it has already."""
        measured = {} if self._probes is None else self._probes.new()
        self._checkpoint.keep({_SNAPSHOT + name: value for name, value in self._snapshots.items()})
        self._checkpoint.keep({_PROBE + name: value for name, value in measured.items()})

    def recall(self, saved: Mapping[str, Tensor]) -> None:
        """Goes on from what a checkpoint gave."""
        self._snapshots = _under(saved, _SNAPSHOT)
        if self._probes is not None:
            self._probes.recall(_under(saved, _PROBE))

    def snapshot(self, place: int, stop: int) -> dict[str, Tensor]:
        """``weights`` [P], ``diverged``, running statistics and the optimiser's state of a replica at a stop."""
        return _under(self._snapshots, f"{place}/{stop}/")

    def table(self, place: int, params: Params) -> Mapping[str, list[Any]]:
        """The table of a job that is a snapshot of a replica: what its probes measured."""
        return table_of(params, place, self._probes)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
