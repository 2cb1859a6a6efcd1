"""What a plan will cost, before it starts: rough, and said to be so."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness import stages
from harness.execution.schedule import MOST_MEMORY, fitting, fuse
from harness.jobs.job import Job, training_steps
from harness.jobs.plan import Plan
from harness.stages.base import Effort, network_of

_FLOPS_A_CPU_THREAD = 30e9, 75e9
"""Sustained fp32 operations a second and thread, of a small network and of one from ``_LARGE`` on. docs/speed.md has
21e9 for the toy ResNet, 35e9 for LeNet, 19e9 for the thin ResNet; 75e9 for ResNet-20, 104e9 for VGG-16."""
_LARGE = 10_000_000
"""Multiply-adds of an example."""
_FLOPS_CUDA = 6e12
"""Sustained operations a second of a present-day GPU on such small networks; not measured by us."""
_LAUNCH_S = {"cpu": 12e-6, "cuda": 2e-6}
"""Seconds that starting a kernel takes, eagerly on the CPU and in a graph on a GPU; guesses, see ``stages/train.py``.
"""


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
        needed, cached = counts.get(job.stage, (0, 0))
        counts[job.stage] = (needed + 1, cached + (key not in missing))
    efforts = {key: stages.find(job.stage).effort(job) for key, job in missing.items()}
    groups = [
        _Group(runs, [efforts[run.key] for run in runs], fitting(runs[0], free, devices[0]))
        for runs in _together(plan, missing, efforts)
    ]
    return Forecast(
        jobs=counts,
        iterations=sum(training_steps(missing.values()).values()),
        seconds=sum(group.seconds(devices, threads) for group in groups),
        disk_bytes=sum(effort.disk_bytes for effort in efforts.values()),
        memory_bytes=int(max((group.memory(devices) for group in groups), default=0.0)),
    )


@dataclass(frozen=True)
class LeastRoom:
    """What a plan needs whatever runs side by side.

    Attributes:
        memory_bytes: of a device, for the largest single replica, without its dataset.
        largest: the stage of that replica's job.
        disk_bytes: by how much the store grows.
    """

    memory_bytes: int
    largest: str
    disk_bytes: int


def least_room(plan: Plan, have: Callable[[Job], bool], device: str) -> LeastRoom:
    """What is missing of a plan needs so much room at least, on a device of type ``cpu`` or ``cuda``."""
    memory, largest, disk = 0.0, "", 0
    for job in plan.missing(have).values():
        effort = stages.find(job.stage).effort(job)
        disk += effort.disk_bytes
        if effort.memory(1, device) > memory:
            memory, largest = effort.memory(1, device), job.stage
    return LeastRoom(int(memory), largest, disk)


_WORTH_PROCESSES_S = 30.0
"""Of one thread's work: less is done before processes have started."""
_PROCESS_BYTES = 400e6
"""Of a process with PyTorch and a dataset of the papers' size, before it computes: seen are 150 MB and 180 MB."""


def cpu_processes(plan: Plan, *, cores: int, free: float) -> int:
    """How many processes with a thread each compute a plan on the CPU; 1: one process with all threads.

    Threads of one process meet at the end of every small operation, and wait there for the one whose core another
    program uses; processes with a thread each do not (docs/devices.md). So a plan of small networks is computed by a
    process a core, as far as there is work side by side and memory. Large networks fill the cores with threads.

    It is the plan that decides, not what is missing of it: a run that was killed goes on with as many.

    Args:
        plan: all jobs.
        cores: that may be used.
        free: bytes of memory.
    """
    efforts = {key: stages.find(job.stage).effort(job) for key, job in plan.jobs.items()}
    runs = _longest(plan.jobs, efforts)
    large = [run for run in runs if "network" in run.params and network_of(run.params).unfused]
    of_large, of_all = (sum(efforts[run.key].operations for run in some) for some in (large, runs))
    each = _PROCESS_BYTES + max((efforts[run.key].memory(1, "cpu") for run in runs), default=0.0)
    width = max(Counter(plan.heights[run.key] for run in runs).values(), default=0)
    count = min(cores, width, int(MOST_MEMORY * free / each) if math.isfinite(free) else cores)
    if count < 2 or 2 * of_large > of_all:
        return 1
    return count if forecast(plan, lambda job: False, threads=1).seconds > _WORTH_PROCESSES_S else 1


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

    def seconds(self, devices: Sequence[str], threads: int) -> float:
        """How long they take, spread over these devices; several on the CPU share its threads."""
        used = min(len(devices), len(self.runs))
        width = self._side_by_side(devices)
        filled = max(1.0, self.efforts[0].gpu_slots / width) if devices[0] == "cuda" else 1.0
        operations = filled * sum(effort.operations for effort in self.efforts)
        rate = _FLOPS_CUDA * used if devices[0] == "cuda" else _flops_a_thread(self.runs[0]) * threads
        if self.efforts[0].unfused:
            launches = sum(effort.launches for effort in self.efforts) / used
        else:
            rounds = math.ceil(len(self.runs) / (width * len(devices)))
            launches = rounds * max(effort.launches for effort in self.efforts)
        return operations / rate + launches * _LAUNCH_S[devices[0]]

    def memory(self, devices: Sequence[str]) -> float:
        """Bytes of one device when they are spread over several."""
        return self.efforts[0].memory(self._side_by_side(devices), devices[0])

    def _side_by_side(self, devices: Sequence[str]) -> int:
        """Runs that a device has at a time."""
        return min(math.ceil(len(self.runs) / len(devices)), self.limit)


def _flops_a_thread(job: Job) -> float:
    small, large = _FLOPS_A_CPU_THREAD
    return large if "network" in job.params and network_of(job.params).multiplications >= _LARGE else small


def _together(plan: Plan, missing: Mapping[str, Job], efforts: Mapping[str, Effort]) -> list[list[Job]]:
    """The groups, were jobs that as many others wait for ready together; of a training the longest job counts."""
    groups: dict[tuple[object, ...], list[Job]] = {}
    for job in _longest(missing, efforts):
        groups.setdefault((job.stage, fuse(job) or job.key, plan.heights[job.key]), []).append(job)
    return list(groups.values())


def _longest(jobs: Mapping[str, Job], efforts: Mapping[str, Effort]) -> list[Job]:
    """Of each training its longest job, as snapshots are made on its way; all other jobs."""
    longest: dict[str, Job] = {}
    for job in jobs.values():
        before = longest.setdefault(job.trajectory, job)
        longest[job.trajectory] = max(before, job, key=lambda run: efforts[run.key].operations)
    return list(longest.values())
