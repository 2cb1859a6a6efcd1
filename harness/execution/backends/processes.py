"""The backend of several devices of this machine: a slot, and a process, for each.

The parent alone knows the plan's course. A worker gets keys of jobs, reads inputs from the store and commits results to
it, so that only keys, progress and errors pass between them. A worker that died is replaced by a fresh process, which
takes up its group again from the checkpoint.
"""

import contextlib
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

import torch

from harness.engine import device as devices_
from harness.errors import BrokenError
from harness.execution.backends.base import Slot, Workload
from harness.execution.backends.worker import Brief, serve
from harness.execution.group import Finished
from harness.jobs.job import Job
from harness.jobs.lease import Attempt, Lease

_STOP_WITHIN_S = 10.0
_MOST_DEATHS = 3
"""Of workers that one group may cost before its jobs count as broken; and, for each device, of workers one after the
other, while no group is finished, before the run ends."""


class _Worker:
    """One process, as its parent sees it.

    Attributes:
        device: where it computes.
        process: the process.
        pipe: to it.
        group: what it runs, or None.
        lease: on that.
        attempt: through which it writes.
        units: of work that it told of this group.
        free: bytes free on its device when it started.
    """

    def __init__(self, device: torch.device) -> None:
        context = get_context("spawn")
        self.device = device
        self.group: Sequence[Job] | None = None
        self.lease: Lease | None = None
        self.attempt: Attempt | None = None
        self.units = 0
        self.free = 0.0
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=serve, args=(theirs, device), daemon=True)
        self.process.start()
        theirs.close()

    def brief(self, about: Brief) -> None:
        """Tells it what it will need.

        Not by arguments of the process: where one dies before it has read all of them, Python waits forever.
        """
        with contextlib.suppress(OSError):  # it died; its pipe will tell
            self.pipe.send(about)

    def take(self, group: Sequence[Job], lease: Lease, instead_of: Attempt | None = None) -> None:
        """Gives it a group, and gives up who had it before; it may still be starting."""
        self.group, self.lease, self.units = group, lease, 0
        self.attempt = lease.attempt(instead_of)
        with contextlib.suppress(OSError):  # it died just now; its pipe will tell
            self.pipe.send(([job.key for job in group], self.attempt))

    @property
    def end(self) -> str:
        """How the process ended, in words."""
        self.process.join(_STOP_WITHIN_S)
        code = self.process.exitcode
        return f"it was killed by {signal.Signals(-code).name}" if code and code < 0 else f"it exited with {code}"


class Processes:
    """See ``Backend``.

    Args:
        places: the devices, one for each process; processes may share one.
    """

    def __init__(self, places: Sequence[torch.device]) -> None:
        self._devices = list(places)
        self._spare: list[_Worker] | None = None

    @property
    def slots(self) -> Sequence[Slot]:
        """One for each process."""
        return [Slot.of(device) for device in self._devices]

    @property
    def free(self) -> float:
        """Bytes free on the first device; processes on one device share."""
        return devices_.free_bytes(self._devices[0]) / self._devices.count(self._devices[0])

    def prepare(self, threads: int | None) -> None:
        """See ``Backend``; the processes prepare themselves."""
        devices_.prepare(self._devices[0], threads)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """See ``Backend``: a process takes seconds to start."""
        self._spare = []
        try:
            yield
        finally:
            spare, self._spare = self._spare, None
            _stop(spare)

    @contextmanager
    def open(self, workload: Workload) -> Iterator["_Open"]:
        """See ``Backend``."""
        with _Open(self._devices, workload, self._spare) as workers:
            yield workers


class _Open:
    """The processes at work.

    Attributes:
        lost: what became of workers that died, in words.
    """

    def __init__(self, devices: Sequence[torch.device], workload: Workload, spare: "list[_Worker] | None") -> None:
        """Names what the processes will need; they start with the ``with`` block.

        Args:
            devices: one for each process.
            workload: what they will run.
            spare: processes with nothing to do, which are taken and given back; None: none are kept.
        """
        threads = max(1, torch.get_num_threads() // len(devices))
        self._devices, self._on_advance, self._spare = devices, workload.on_advance, spare
        self._about = Brief(threads, workload.store.root, workload.jobs, workload.load_dataset)
        self._workers: list[_Worker] = []
        self._free = 0.0
        self._ends: dict[tuple[str, ...], list[str]] = {}
        self._deaths_in_a_row = 0
        self.lost: list[str] = []

    def __enter__(self) -> "_Open":
        """Starts the processes that are not there yet and waits until all are ready.

        Raises:
            BrokenError: one did not start.
        """
        try:
            self._workers += [self._kept(device) or self._started(device) for device in self._devices]
            for worker in self._workers:  # only now, so that they start side by side
                worker.brief(self._about)
            for worker in self._workers:
                try:
                    worker.free = _opened(worker.pipe.recv())
                except (EOFError, OSError):
                    raise BrokenError(f"the worker process for {worker.device} did not start: {worker.end}") from None
            self._free = min(worker.free / self._devices.count(worker.device) for worker in self._workers)
        except BaseException:
            _stop(self._workers)
            raise
        return self

    def _kept(self, device: torch.device) -> _Worker | None:
        """A process for a device that is kept from before, if one is and lives."""
        spare = self._spare or []
        for worker in [worker for worker in spare if worker.device == device]:
            spare.remove(worker)
            if worker.process.is_alive():
                return worker
            _stop([worker])
        return None

    def _started(self, device: torch.device) -> _Worker:
        # Ctrl-C goes to all processes of a terminal; the parent decides what becomes of the workers.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            return _Worker(device)
        finally:
            signal.signal(signal.SIGINT, before)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the processes, whatever they do, but for idle ones that are to be kept; what they committed stays."""
        kept: list[_Worker] = []
        if self._spare is not None and error is None:
            kept = [worker for worker in self._workers if worker.group is None]
            self._spare += kept
        _stop([worker for worker in self._workers if worker not in kept])

    @property
    def free(self) -> float:
        """Bytes that one group may use, on the device that had least at the start; processes on one device share."""
        return self._free

    @property
    def idle(self) -> bool:
        """Whether another group can be started."""
        return any(worker.group is None for worker in self._workers)

    def start(self, group: Sequence[Job], lease: Lease) -> None:
        """Sends a group to an idle worker."""
        next(worker for worker in self._workers if worker.group is None).take(group, lease)

    def wait(self, seconds: float | None = None) -> Sequence[tuple[Sequence[Job], Finished]]:
        """Listens to the workers until one says something, or for so long; gives the groups that are finished.

        Raises:
            StoreBroken: a worker met a broken store.
            BrokenError: workers die one after the other, and none finishes a group.
        """
        told = {id(worker.pipe): worker for worker in self._workers}
        finished = []
        for pipe in connection.wait([worker.pipe for worker in self._workers], seconds):
            worker = told[id(pipe)]
            try:
                message = _opened(worker.pipe.recv())
            except (EOFError, OSError):
                finished += self._replace(worker)
                continue
            group = worker.group
            if isinstance(message, Finished) and group is not None:
                self._deaths_in_a_row = 0
                worker.group = None
                finished.append((group, message))
            elif isinstance(message, int) and group is not None:
                worker.units += message
                self._on_advance(group, message)
        return finished

    def _replace(self, worker: _Worker) -> list[tuple[Sequence[Job], Finished]]:
        """Puts a fresh process in the place of one that died; it takes up the group, unless that killed too many.

        Returns:
            The group that is given up, if one is.

        Raises:
            BrokenError: there were too many, one after the other.
        """
        group, end = worker.group, worker.end
        doing = (
            f"while it ran {len(group)} {group[0].stage} jobs" if group is not None else "while it had nothing to do"
        )
        self.lost.append(f"the worker process on {worker.device} died {doing}: {end}")
        self._deaths_in_a_row += 1
        place = self._workers.index(worker)
        worker.pipe.close()
        if self._deaths_in_a_row >= _MOST_DEATHS * len(self._devices):
            del self._workers[place]
            raise BrokenError(
                f"every worker process died, {self._deaths_in_a_row} one after the other: {self.lost[-1]} {_CAUSE}. "
                "What was finished is kept; run the same command again to go on from there"
            )
        fresh = self._workers[place] = self._started(worker.device)
        fresh.brief(self._about)
        if group is None or worker.lease is None:
            return []
        self._on_advance(group, -worker.units)
        ends = self._ends.setdefault(tuple(job.key for job in group), [])
        ends.append(end)
        if len(ends) < _MOST_DEATHS:
            fresh.take(group, worker.lease, worker.attempt)
            return []
        error = BrokenError(
            f"{len(ends)} worker processes on {worker.device} died while they ran the same {len(group)} "
            f"{group[0].stage} jobs: {', '.join(ends)} {_CAUSE}. Run the same command again to go on from there"
        )
        return [(group, Finished({job.key: error for job in group}))]


_CAUSE = "(by the system where memory ran out)"


def _stop(workers: Sequence[_Worker]) -> None:
    """Ends processes, whatever they do."""
    for worker in workers:
        worker.process.terminate()
    until = time.monotonic() + _STOP_WITHIN_S
    for worker in workers:
        worker.process.join(max(0.0, until - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()


def _opened(message: Any) -> Any:
    """A message; an error in it is raised here."""
    if isinstance(message, BaseException):
        raise message
    return message
