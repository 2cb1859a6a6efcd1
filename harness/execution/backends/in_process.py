"""The backend that computes in this process, on one device: one slot."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from harness.engine import device as devices
from harness.execution.backends.base import OnAdvance, Slot, Workload
from harness.execution.group import Finished, Runner
from harness.jobs.job import Job
from harness.jobs.lease import Attempt, Lease


class InProcess:
    """See ``Backend``.

    Args:
        device: computes.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device

    @property
    def slots(self) -> Sequence[Slot]:
        """One."""
        return (Slot.of(self._device),)

    @property
    def free(self) -> float:
        """Bytes free on the device."""
        return devices.free_bytes(self._device)

    def prepare(self, threads: int | None) -> None:
        """See ``Backend``."""
        devices.prepare(self._device, threads)

    def kept(self) -> AbstractContextManager[None]:
        """See ``Backend``; nothing is started."""
        return nullcontext()

    @contextmanager
    def open(self, workload: Workload) -> Iterator["_Open"]:
        """See ``Backend``."""
        yield _Open(Runner(workload.store, self._device, workload.load_dataset), workload.on_advance)


class _Open:
    """Runs a group while it is waited for."""

    lost: Sequence[str] = ()

    def __init__(self, runner: Runner, on_advance: OnAdvance) -> None:
        self._runner, self._on_advance = runner, on_advance
        self._group: Sequence[Job] | None = None
        self._attempt: Attempt | None = None

    @property
    def free(self) -> float:
        """Bytes free on the device."""
        return devices.free_bytes(self._runner.device)

    @property
    def idle(self) -> bool:
        """Whether another group can be started."""
        return self._group is None

    def start(self, group: Sequence[Job], lease: Lease) -> None:
        """Takes a group."""
        self._group, self._attempt = group, lease.attempt()

    def wait(self, seconds: float | None = None) -> Sequence[tuple[Sequence[Job], Finished]]:
        """Runs the group, however long it takes."""
        group, self._group = self._group, None
        if group is None:
            return []
        return [(group, self._runner.run(group, lambda units: self._on_advance(group, units), self._attempt))]
