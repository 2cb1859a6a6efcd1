"""A worker process's own side of the backend of processes: it runs one group after another, and tells its parent.

What it is sent is a ``Brief``, then groups, each as keys and an attempt, then perhaps another brief.
"""

import contextlib
import signal
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from os import _exit
from pathlib import Path
from typing import Any

import torch

from harness import stages
from harness.engine import device as devices_
from harness.engine.data.dataset import Dataset
from harness.errors import StoreBroken
from harness.execution.group import Runner, give_back
from harness.jobs.job import Job
from harness.jobs.store import Store

_TELL_EVERY_S = 0.2


@dataclass(frozen=True)
class Brief:
    """What a worker needs to know before it is given groups.

    Attributes:
        threads: of the CPU, for each worker.
        root: the store's folder.
        jobs: key -> job, of all that it may be given.
        load_dataset: name -> dataset.
    """

    threads: int
    root: Path
    jobs: Mapping[str, Job]
    load_dataset: Callable[[str], Dataset]


def serve(pipe: "connection.Connection[Any, Any]", device: torch.device) -> None:
    """A worker's life: it is told what it needs, says how much memory is free, then runs one group after another."""
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        brief = pipe.recv()
        while True:
            devices_.prepare(device, brief.threads)
            for stage in {job.stage for job in brief.jobs.values()}:
                stages.find(stage)  # what modules take to load is no time of the first job
            pipe.send(devices_.free_bytes(device))
            brief = _run_groups(pipe, Runner(Store(brief.root), device, brief.load_dataset), brief.jobs)
            give_back()
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


def _run_groups(pipe: "connection.Connection[Any, Any]", runner: Runner, jobs: Mapping[str, Job]) -> Brief:
    """Runs the groups that it is given, until another brief comes."""
    while not isinstance(asked := pipe.recv(), Brief):
        keys, attempt = asked
        pipe.send(runner.run([jobs[key] for key in keys], _teller(pipe), attempt))
    return asked


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
