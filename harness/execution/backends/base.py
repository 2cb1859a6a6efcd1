"""What executes groups of jobs: a backend, with slots in each of which one group runs at a time.

The executor asks all backends in these words, and knows no device. A backend of another kind is a module beside those
that are there, and a line in ``chosen``.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, get_args

import torch

from harness.engine.data.dataset import Dataset
from harness.engine.device import has_format
from harness.execution.group import Finished
from harness.jobs.job import Job
from harness.jobs.lease import Lease
from harness.jobs.store import Store
from harness.schema.training import Precision

OnAdvance = Callable[[Sequence[Job], int], None]
"""Is told of units of work, with their group, as they are done; less than 0 where they have to be done again."""


@dataclass(frozen=True)
class Slot:
    """Where a backend runs one group at a time.

    Attributes:
        name: of what computes, for readers: ``cpu``, ``cuda:0``; several slots may share it.
        kind: of device, ``cpu`` or ``cuda``, by which groups are sized and time is forecast.
        formats: the number formats that it computes in.
    """

    name: str
    kind: str
    formats: frozenset[str]

    @classmethod
    def of(cls, device: torch.device) -> "Slot":
        """The slot that a device of this machine is."""
        formats = (precision for precision in get_args(Precision) if has_format(precision, device))
        return cls(str(device), device.type, frozenset(formats))


@dataclass(frozen=True)
class Workload:
    """What groups are made of, and what they need.

    Attributes:
        jobs: key -> job, of all that may be started.
        store: where results are found and kept.
        load_dataset: name -> dataset; it must be picklable for backends that compute in other processes.
        on_advance: told in the process that opened the backend.
    """

    jobs: Mapping[str, Job]
    store: Store
    load_dataset: Callable[[str], Dataset]
    on_advance: OnAdvance


class OpenBackend(Protocol):
    """A backend at work. Whoever computes commits the results, with the provenance of its own process.

    Attributes:
        lost: what became of slots that failed, in words; their groups were taken up again.
    """

    @property
    def free(self) -> float:
        """Bytes that one group may use, in the slot that has least."""

    @property
    def idle(self) -> bool:
        """Whether another group can be started."""

    @property
    def lost(self) -> Sequence[str]:
        """See the class."""

    def start(self, group: Sequence[Job], lease: Lease) -> None:
        """Starts a group, in a slot that is idle.

        Args:
            group: the jobs.
            lease: on them; each slot that gets them, one after the other, writes through an attempt of its own.
        """

    def wait(self, seconds: float | None = None) -> Sequence[tuple[Sequence[Job], Finished]]:
        """Groups that are finished since the last call; may be none, but not without having waited a while.

        Args:
            seconds: not to be exceeded where something else is to be looked after; None: as long as it takes.

        Raises:
            StoreBroken: the store cannot be written, or holds a corrupt artifact that is needed.
            BrokenError: slots fail one after the other.
        """


class Backend(Protocol):
    """What can execute groups, before anything is started; it can be opened any number of times."""

    @property
    def slots(self) -> Sequence[Slot]:
        """Where groups would run, one at a time in each; all of one kind."""

    @property
    def free(self) -> float:
        """Bytes that one group may use, roughly, before anything is started."""

    def prepare(self, threads: int | None) -> None:
        """Makes this process ready, once.

        Args:
            threads: of the CPU, that all slots of this machine share; None: as PyTorch chose.
        """

    def kept(self) -> AbstractContextManager[None]:
        """Within the block what was started for one opening serves the next; it ends with the block."""

    def open(self, workload: Workload) -> AbstractContextManager[OpenBackend]:
        """Starts what computes; it ends with the block, unless it is ``kept``, and what was committed stays.

        Raises:
            BrokenError: it does not start.
        """
