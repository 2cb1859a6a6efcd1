"""A process for each device, each running one group at a time.

The parent alone knows the plan's course. A worker gets keys of jobs, reads inputs from the store and commits results to
it, so that only keys, progress and errors pass between them.
"""

import contextlib
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import connection, get_context, parent_process
from multiprocessing.process import BaseProcess
from os import _exit
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from harness.engine import device as devices_
from harness.engine.datasets import Dataset
from harness.errors import BrokenError, StoreBroken
from harness.execution.group import Finished, Runner
from harness.job import Job
from harness.plan import Plan
from harness.store import Store

OnAdvance = Callable[[Sequence[Job], int], None]

_TELL_EVERY_S = 0.2
_STOP_WITHIN_S = 10.0


class _Worker:
    """One process, as its parent sees it.

    Attributes:
        device: where it computes.
        process: the process.
        pipe: to it.
        group: what it runs, or None.
        free: bytes free on its device when it started.
    """

    def __init__(self, device: torch.device, arguments: tuple[Any, ...]) -> None:
        context = get_context("spawn")
        self.device = device
        self.group: Sequence[Job] | None = None
        self.free = 0.0
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, device, *arguments), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def end(self) -> str:
        """How the process ended, in words."""
        self.process.join(_STOP_WITHIN_S)
        code = self.process.exitcode
        return f"it was killed by {signal.Signals(-code).name}" if code and code < 0 else f"it exited with {code}"


class Workers:
    """The crew of several devices."""

    def __init__(
        self,
        devices: Sequence[torch.device],
        plan: Plan,
        store: Store,
        load_dataset: Callable[[str], Dataset],
        provenance: Mapping[str, Any],
        on_advance: OnAdvance,
    ) -> None:
        """Names what the processes will need; they start with the ``with`` block."""
        threads = max(1, torch.get_num_threads() // len(devices))
        self._devices, self._on_advance = devices, on_advance
        self._arguments = (threads, store.root, plan.jobs, load_dataset, dict(provenance))
        self._workers: list[_Worker] = []

    def __enter__(self) -> "Workers":
        """Starts the processes and waits until all are ready.

        Raises:
            BrokenError: one did not start.
        """
        try:
            # Ctrl-C goes to all processes of a terminal; the parent decides what becomes of the workers.
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                for device in self._devices:
                    self._workers.append(_Worker(device, self._arguments))
            finally:
                signal.signal(signal.SIGINT, before)
            for worker in self._workers:
                try:
                    worker.free = _opened(worker.pipe.recv())
                except EOFError:
                    raise BrokenError(f"the worker process for {worker.device} did not start: {worker.end}") from None
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the processes, whatever they do; what they committed is kept."""
        self._stop()

    @property
    def free(self) -> float:
        """Bytes that one group may use, on the device that has least; processes on one device share."""
        return min(worker.free / self._devices.count(worker.device) for worker in self._workers)

    @property
    def idle(self) -> bool:
        """Whether another group can be started."""
        return any(worker.group is None for worker in self._workers)

    def start(self, group: Sequence[Job]) -> None:
        """Sends a group to an idle worker."""
        worker = next(worker for worker in self._workers if worker.group is None)
        worker.group = group
        with contextlib.suppress(OSError):  # it died just now; ``wait`` will tell
            worker.pipe.send([job.key for job in group])

    def wait(self) -> Sequence[tuple[Sequence[Job], Finished]]:
        """Listens to the workers until one says something; gives the groups that are finished.

        Raises:
            StoreBroken: a worker met a broken store.
            BrokenError: the last worker died.
        """
        told = {id(worker.pipe): worker for worker in self._workers}
        finished = []
        for pipe in connection.wait([worker.pipe for worker in self._workers]):
            worker = told[id(pipe)]
            group = worker.group
            try:
                message = _opened(worker.pipe.recv())
            except (EOFError, OSError):
                self._workers.remove(worker)
                worker.pipe.close()
                if group is not None:
                    finished.append((group, _died(worker, group)))
                if not self._workers:
                    errors = "; ".join(str(error) for _, one in finished for error in set(one.errors.values()))
                    raise BrokenError(
                        f"every worker process died: {errors or worker.end}. "
                        "What was finished is kept; run the same command again to go on from there"
                    ) from None
                continue
            if group is None:
                continue
            if isinstance(message, Finished):
                worker.group = None
                finished.append((group, message))
            else:
                self._on_advance(group, message)
        return finished

    def _stop(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
        until = time.monotonic() + _STOP_WITHIN_S
        for worker in self._workers:
            worker.process.join(max(0.0, until - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()


def _died(worker: _Worker, group: Sequence[Job]) -> Finished:
    """The errors of a group whose process is gone."""
    error = BrokenError(
        f"the worker process on {worker.device} died while it ran {len(group)} {group[0].stage} jobs: {worker.end} "
        "(by the system where memory ran out). Run the same command again to go on from there"
    )
    return Finished({job.key: error for job in group})


def _opened(message: Any) -> Any:
    """A message; an error in it is raised here."""
    if isinstance(message, BaseException):
        raise message
    return message


def _serve(
    pipe: "connection.Connection[Any, Any]",
    device: torch.device,
    threads: int,
    root: Path,
    jobs: Mapping[str, Job],
    load_dataset: Callable[[str], Dataset],
    provenance: Mapping[str, Any],
) -> None:
    """A worker's life: says how much memory is free, then runs one group after another."""
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        devices_.prepare(device, threads)
        here = {"device": str(device), "threads": threads}
        if device.type == "cuda":
            here["hardware"] = torch.cuda.get_device_name(device)
        runner = Runner(Store(root), device, load_dataset, {**provenance, **here})
        pipe.send(devices_.free_bytes(device))
        while True:
            pipe.send(runner.run([jobs[key] for key in pipe.recv()], _teller(pipe)))
    except EOFError:
        return
    except Exception as error:
        told = error
        if not isinstance(error, StoreBroken):
            told = RuntimeError(f"the worker process on {device} met an error:\n{traceback.format_exc()}")
        with contextlib.suppress(OSError):
            pipe.send(told)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is leaving


def _teller(pipe: "connection.Connection[Any, Any]") -> Callable[[int], None]:
    """Tells the parent of units of work, a few times a second."""
    held, told = 0, time.monotonic()

    def advance(units: int) -> None:
        nonlocal held, told
        held += units
        if time.monotonic() - told >= _TELL_EVERY_S:
            pipe.send(held)
            held, told = 0, time.monotonic()

    return advance


def _leave(number: int, frame: object) -> None:
    raise SystemExit(1)


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        _exit(1)
