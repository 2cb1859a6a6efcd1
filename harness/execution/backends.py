"""Who runs the groups: this process, or a process for each of several devices. Both are asked in the same words."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch

from harness.engine.data.datasets import Dataset
from harness.engine.device import free_bytes
from harness.execution.group import Finished, Runner
from harness.execution.workers import OnAdvance, Workers
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.store import Store


class Crew(Protocol):
    """Runs groups."""

    @property
    def free(self) -> float:
        """Bytes that one group may use, on the device that has least."""

    @property
    def idle(self) -> bool:
        """Whether another group can be started."""

    @property
    def lost(self) -> Sequence[str]:
        """What became of worker processes that died, in words."""

    def start(self, group: Sequence[Job]) -> None:
        """Starts a group."""

    def wait(self, seconds: float | None = None) -> Sequence[tuple[Sequence[Job], Finished]]:
        """Groups that are finished since the last call; may be none, but not without having waited a while.

        Args:
            seconds: not to be exceeded where something else is to be looked after; None: as long as it takes.
        """


class Alone:
    """Runs one group at a time, in this process, while it is waited for."""

    lost: Sequence[str] = ()

    def __init__(self, runner: Runner, on_advance: OnAdvance) -> None:
        self._runner, self._on_advance = runner, on_advance
        self._group: Sequence[Job] | None = None

    @property
    def free(self) -> float:
        """Bytes free on the device."""
        return free_bytes(self._runner.device)

    @property
    def idle(self) -> bool:
        """Whether another group can be started."""
        return self._group is None

    def start(self, group: Sequence[Job]) -> None:
        """Takes a group."""
        self._group = group

    def wait(self, seconds: float | None = None) -> Sequence[tuple[Sequence[Job], Finished]]:
        """Runs the group, however long it takes."""
        group, self._group = self._group, None
        if group is None:
            return []
        return [(group, self._runner.run(group, lambda units: self._on_advance(group, units)))]


@contextmanager
def gathered(
    devices: Sequence[torch.device],
    plan: Plan,
    store: Store,
    load_dataset: Callable[[str], Dataset],
    provenance: Mapping[str, Any],
    on_advance: OnAdvance,
) -> Iterator[Crew]:
    """The crew for some devices; its processes end with the block.

    Args:
        devices: one, for this process; or several, for a process each.
        plan: where the groups' jobs come from.
        store: where results are found and kept.
        load_dataset: name -> dataset; pickled where there are processes.
        provenance: kept beside every result.
        on_advance: is told of units of work, with their group, as they are done.
    """
    if len(devices) == 1:
        yield Alone(Runner(store, devices[0], load_dataset, provenance), on_advance)
    else:
        with Workers(devices, plan, store, load_dataset, provenance, on_advance) as workers:
            yield workers
