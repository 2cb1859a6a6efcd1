"""What a plan will cost, before it starts: rough, and said to be so."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness import stages
from harness.execution.schedule import fitting, fuse
from harness.job import Job, training_steps
from harness.plan import Plan
from harness.stages.base import Effort

_FLOPS_A_CPU_THREAD = 65e9
"""Sustained fp32 operations a second and thread: benchmarks/throughput.py measured 38e9 for the toy ResNet, 65e9 for
LeNet and 130e9 for ResNet-20, with two threads on a 2024 server."""
_FLOPS_CUDA = 6e12
"""Sustained operations a second of a present-day GPU on such small networks; not measured by us."""


@dataclass(frozen=True)
class Forecast:
    """A plan's size.

    Attributes:
        jobs: stage -> (needed, found in the store).
        iterations: optimiser steps still to make, all trainings together.
        seconds: about how long they and the measurements take.
        disk_bytes: about how much the store grows.
        memory_bytes: about how much the largest group takes on a device, without datasets.
    """

    jobs: Mapping[str, tuple[int, int]]
    iterations: int
    seconds: float
    disk_bytes: int
    memory_bytes: int


def forecast(
    plan: Plan,
    have: Callable[[Job], bool],
    *,
    threads: int,
    devices: Sequence[str] = ("cpu",),
    free: float = math.inf,
) -> Forecast:
    """The cost of what is missing of a plan.

    Args:
        plan: all jobs.
        have: whether a job's result is there.
        threads: CPU threads, where the CPU computes.
        devices: ``cpu`` or ``cuda`` for each group that runs at a time.
        free: bytes that each of these groups may use.
    """
    missing = plan.missing(have)
    counts: dict[str, tuple[int, int]] = {}
    for key, job in plan.jobs.items():
        needed, found = counts.get(job.stage, (0, 0))
        counts[job.stage] = (needed + 1, found + (key not in missing))
    efforts = {key: stages.find(job.stage).effort(job) for key, job in missing.items()}
    operations: dict[str, float] = {}
    for key, job in missing.items():  # snapshots of one training are made on its way
        operations[job.lineage] = max(operations.get(job.lineage, 0.0), efforts[key].operations)
    rate = _FLOPS_CUDA * len(devices) if devices[0] == "cuda" else _FLOPS_A_CPU_THREAD * threads
    return Forecast(
        jobs=counts,
        iterations=sum(training_steps(missing.values()).values()),
        seconds=sum(operations.values()) / rate,
        disk_bytes=sum(effort.disk_bytes for effort in efforts.values()),
        memory_bytes=int(_peak(plan, missing, efforts, len(devices), free)),
    )


def _peak(plan: Plan, missing: Mapping[str, Job], efforts: Mapping[str, Effort], devices: int, free: float) -> float:
    """Bytes of the largest group, were jobs that as many others wait for ready together."""
    together: dict[tuple[object, ...], dict[str, Job]] = {}
    for key, job in missing.items():
        kind = fuse(job)
        together.setdefault((job.stage, kind or key, plan.heights[key]), {})[job.lineage] = job
    peak = 0.0
    for runs in together.values():
        one = next(iter(runs.values()))
        peak = max(peak, efforts[one.key].memory(min(-(-len(runs) // devices), fitting(one, free))))
    return peak
