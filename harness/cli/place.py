"""What computes: the backend that a user chose, or that suits a plan, and how fast it is now."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from harness.cli.options import Options
from harness.engine.cores import cpu_threads, share_of_cores, usable_cores
from harness.execution.backends import chosen
from harness.execution.backends.base import Backend
from harness.jobs.plan import Plan
from harness.pipeline import calibration
from harness.pipeline.forecast import Machine, cpu_processes


def _suited(options: Options, plan: Plan) -> tuple[Backend, int]:
    """What computes a plan, with so many CPU threads of all processes together.

    Where nobody chose ``--workers``, the CPU has as many processes with a thread each as suit the plan, or one.
    """
    threads = cpu_threads(options.threads)
    backend = chosen(options.device, options.workers or 1)
    if options.workers is None and backend.slots[0].kind == "cpu":
        count = cpu_processes(plan, cores=min(threads, usable_cores()), free=backend.free)
        return (backend, threads) if count == 1 else (chosen(options.device, count), count)
    return backend, threads


@dataclass(frozen=True)
class Place:
    """What computes a plan: a backend, so many CPU threads, and how fast that is now."""

    backend: Backend
    threads: int
    machine: Callable[[], Machine]


def place_of(options: Options, plan: Plan) -> Place:
    """What computes a plan, as a user chose."""
    backend, threads = _suited(options, plan)
    return Place(backend, threads, partial(_machine, backend, threads))


def _machine(backend: Backend, threads: int) -> Machine:
    """What computes a plan, and how fast that is now."""
    devices, threads = [slot.kind for slot in backend.slots], min(threads, usable_cores())
    share = share_of_cores(threads) if devices[0] == "cpu" else 1.0
    return Machine(threads, devices, backend.free, share, calibration.here())
