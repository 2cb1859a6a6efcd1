"""What a plan will cost, before it starts: rough, and said to be so."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness import stages
from harness.execution.schedule import fitting, fuse
from harness.job import Job, training_steps
from harness.plan import Plan
from harness.stages.base import Effort, network_of

_FLOPS_A_CPU_THREAD = {"small": 35e9, "large": 75e9}
"""Sustained fp32 operations a second and thread: benchmarks/throughput.py has LeNet and the toy ResNet, and ResNet-20,
near these with two threads of a 2024 server, launches set aside."""
_FLOPS_CUDA = 6e12
"""Sustained operations a second of a present-day GPU on such small networks; not measured by us."""
_LAUNCH_S = {"cpu": 12e-6, "cuda": 2e-6}
"""Seconds that starting a kernel takes: on the CPU measured, of LeNet alone; on a GPU in graphs, not measured by us."""


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
    groups = [
        _Group(list(runs), [efforts[run.key] for run in runs], fitting(runs[0], free, devices[0]))
        for runs in _together(plan, missing, efforts)
    ]
    return Forecast(
        jobs=counts,
        iterations=sum(training_steps(missing.values()).values()),
        seconds=sum(one.seconds(devices[0], threads) for one in groups) / (len(devices) if devices[0] == "cuda" else 1),
        disk_bytes=sum(effort.disk_bytes for effort in efforts.values()),
        memory_bytes=int(max((one.memory(devices) for one in groups), default=0.0)),
    )


@dataclass(frozen=True)
class _Group:
    """Runs that would be ready together, and could run as one.

    Attributes:
        runs: of each training its longest job, as snapshots are made on its way.
        efforts: of these.
        limit: how many of them memory allows at once.
    """

    runs: Sequence[Job]
    efforts: Sequence[Effort]
    limit: int

    def seconds(self, device: str, threads: int) -> float:
        """How long a device of this type takes for all of them."""
        params = self.runs[0].params
        large = "network" in params and len(network_of(params).branches(2)) > 1
        rate = _FLOPS_CUDA if device == "cuda" else _FLOPS_A_CPU_THREAD["large" if large else "small"] * threads
        shared = 1 if large else min(self.limit, len(self.runs))
        launches = sum(one.launches for one in self.efforts) / shared
        return sum(one.operations for one in self.efforts) / rate + launches * _LAUNCH_S[device]

    def memory(self, devices: Sequence[str]) -> float:
        """Bytes of one device when they are spread over several."""
        return self.efforts[0].memory(min(-(-len(self.runs) // len(devices)), self.limit), devices[0])


def _together(plan: Plan, missing: Mapping[str, Job], efforts: Mapping[str, Effort]) -> list[list[Job]]:
    """The groups, were jobs that as many others wait for ready together."""
    together: dict[tuple[object, ...], dict[str, Job]] = {}
    for key, job in missing.items():
        runs = together.setdefault((job.stage, fuse(job) or key, plan.heights[key]), {})
        longest = runs.get(job.lineage, job)
        runs[job.lineage] = max(longest, job, key=lambda one: efforts[one.key].operations)
    return [list(runs.values()) for runs in together.values()]
