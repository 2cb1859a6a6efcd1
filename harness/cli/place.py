"""What computes a plan: a backend as the user chose or as suits the plan, and how fast that is now."""

from dataclasses import dataclass

from harness.cli import show
from harness.cli.options import Options
from harness.engine.cores import cpu_threads, share_of_cores, usable_cores
from harness.execution.backends import chosen
from harness.execution.backends.base import Backend
from harness.jobs.plan import Plan
from harness.pipeline import calibration
from harness.pipeline.forecast import Machine, cpu_processes


@dataclass(frozen=True)
class Place:
    """What computes a plan.

    Attributes:
        backend: executes it.
        threads: of the CPU, of all processes together.
        quiet: whether nothing is told of measuring the machine, however long that takes.
    """

    backend: Backend
    threads: int
    quiet: bool

    def machine(self) -> Machine:
        """How fast that is now; measured where nothing is known of it."""
        devices, threads = [slot.kind for slot in self.backend.slots], min(self.threads, usable_cores())
        share = share_of_cores(threads) if devices[0] == "cpu" else 1.0
        known = calibration.here(lambda: None if self.quiet else show.compiling())
        return Machine(threads, devices, self.backend.free, share, known)


def place_of(options: Options, plan: Plan, *, quiet: bool) -> Place:
    """What computes a plan.

    Where nobody chose ``--workers``, the CPU has as many processes with a thread each as suit the plan, or one.
    """
    threads = cpu_threads(options.threads)
    backend = chosen(options.device, options.workers or 1)
    if options.workers is None and backend.slots[0].kind == "cpu":
        count = cpu_processes(plan, cores=min(threads, usable_cores()), free=backend.free)
        if count > 1:
            return Place(chosen(options.device, count), count, quiet)
    return Place(backend, threads, quiet)
