"""What a plan will cost, before it starts: from what is known of this machine, as a range."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness import stages
from harness.execution.schedule import MOST_MEMORY, fitting, fuse
from harness.jobs.job import Job, training_steps
from harness.jobs.plan import Plan
from harness.pipeline.calibration import UNMEASURED, Calibration, kind_of
from harness.stages.base import Effort, network_of

_START_S = 3.2
"""Seconds of work that a run takes beside its jobs, on the reference machine: libraries, datasets, judging, figures."""
_PROCESS_S = 2.0
"""Of work that a process of several takes until it computes: its libraries, its dataset, first calls.

Both are from runs on a machine where Python took 1.4 times as long as on the reference machine: there a run whose
results were all in the store took 4.6 s, and several processes added about 3 s."""
_SURE, _UNSURE = 1.25, 1.5
"""Factors that a forecast may be off by, where most of its work is of kinds that this machine did before, or is not."""


@dataclass(frozen=True)
class Machine:
    """What computes a plan.

    Attributes:
        threads: of the CPU, where it computes, of all groups that run at a time.
        devices: ``cpu`` or ``cuda`` for each of these groups.
        free: bytes that each of them may use.
        share: of the cores' time that a run gets, beside other programs.
        calibration: how fast it is.
    """

    threads: int = 1
    devices: Sequence[str] = ("cpu",)
    free: float = math.inf
    share: float = 1.0
    calibration: Calibration = UNMEASURED


@dataclass(frozen=True)
class Forecast:
    """A plan's size.

    Attributes:
        jobs: stage -> (needed, found in the store).
        iterations: optimiser steps still to make, all trainings together.
        seconds: about how long the run takes.
        start: seconds of these beside all jobs.
        least: seconds that it may take.
        most: the same.
        expected: key -> its part of ``seconds``, of the longest job of each training and of every other job.
        disk_bytes: about how much the store grows.
        memory_bytes: about how much the largest group takes on a device, without datasets.
    """

    jobs: Mapping[str, tuple[int, int]]
    iterations: int
    seconds: float
    start: float
    least: float
    most: float
    expected: Mapping[str, float]
    disk_bytes: int
    memory_bytes: int

    @property
    def computing(self) -> float:
        """Seconds of all jobs."""
        return sum(self.expected.values())


def forecast(plan: Plan, have: Callable[[Job], bool], machine: Machine) -> Forecast:
    """The cost of what is missing of a plan.

    Args:
        plan: all jobs.
        have: whether a job's result is there.
        machine: that would compute it.
    """
    missing = plan.missing(have)
    counts: dict[str, tuple[int, int]] = {}
    for key, job in plan.jobs.items():
        needed, cached = counts.get(job.stage, (0, 0))
        counts[job.stage] = (needed + 1, cached + (key not in missing))
    efforts = {key: stages.find(job.stage).effort(job) for key, job in missing.items()}
    groups = [
        _Group(runs, [efforts[run.key] for run in runs], _limit(runs[0], machine))
        for runs in _together(plan, missing, efforts, machine.devices[0])
    ]
    expected: dict[str, float] = {}
    unseen = 0.0
    for group in groups:
        seconds = group.seconds(machine)
        expected |= {run.key: share * seconds for run, share in zip(group.runs, group.shares(machine), strict=True)}
        unseen += 0.0 if machine.calibration.known(group.runs[0], machine.devices[0]) else seconds
    computing = sum(expected.values())
    start = _start(machine) if missing else 0.0
    off = _UNSURE if 2 * unseen > computing else _SURE
    return Forecast(
        jobs=counts,
        iterations=sum(training_steps(missing.values()).values()),
        seconds=start + computing,
        start=start,
        least=start + computing / off,
        most=start + computing * off,
        expected=expected,
        disk_bytes=sum(effort.disk_bytes for effort in efforts.values()),
        memory_bytes=int(max((group.memory(machine.devices) for group in groups), default=0.0)),
    )


def _start(machine: Machine) -> float:
    """Seconds of a run beside its jobs."""
    work = _START_S + (_PROCESS_S if len(machine.devices) > 1 else 0.0)
    return work * machine.calibration.slowness / machine.share


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


_PROCESS_BYTES = 400e6
"""Of a process with PyTorch and a dataset of the papers' size, before it computes: seen are 150 MB and 180 MB."""


def cpu_processes(plan: Plan, *, cores: int, free: float) -> int:
    """How many processes with a thread each compute a plan on the CPU; 1: one process with all threads.

    Threads of one process meet at the end of every small operation, and wait there for the one whose core another
    program uses; processes with a thread each do not (docs/devices.md). So a plan of small networks is computed by a
    process a core, as far as there is work side by side and memory, where that saves more time than processes take to
    start: a second thread would save none. Large networks fill the cores with threads.

    It is the plan that decides, not what is missing of it: a run that was killed goes on with as many.

    Args:
        plan: all jobs.
        cores: that may be used.
        free: bytes of memory.
    """
    efforts = {key: stages.find(job.stage).effort(job) for key, job in plan.jobs.items()}
    runs = _longest(plan.jobs, efforts)
    large = [run for run in runs if _is_large(run)]
    of_large, of_all = (sum(efforts[run.key].operations for run in some) for some in (large, runs))
    each = _PROCESS_BYTES + max((efforts[run.key].memory(1, "cpu") for run in runs), default=0.0)
    width = max(Counter(plan.heights[run.key] for run in runs).values(), default=0)
    count = min(cores, width, int(MOST_MEMORY * free / each) if math.isfinite(free) else cores)
    if count < 2 or 2 * of_large > of_all:
        return 1
    saved = (1 - 1 / count) * forecast(plan, lambda job: False, Machine()).computing
    return count if saved > _PROCESS_S else 1


@dataclass(frozen=True)
class _Group:
    """Runs that would be ready together, and of a kind.

    Attributes:
        runs: of each training its longest job, as snapshots are made on its way.
        efforts: of these.
        limit: how many of them a device has at once, as far as memory and their stage allow.
    """

    runs: Sequence[Job]
    efforts: Sequence[Effort]
    limit: int

    def seconds(self, machine: Machine) -> float:
        """How long they take there."""
        device, used = machine.devices[0], min(len(machine.devices), len(self.runs))
        width = self._side_by_side(machine.devices)
        if self._by_themselves:
            launches = sum(effort.launches for effort in self.efforts) / used
        else:
            rounds = math.ceil(len(self.runs) / (width * len(machine.devices)))
            launches = rounds * max(effort.launches for effort in self.efforts)
        share = machine.share if device == "cpu" else 1.0
        work = sum(self._works(machine)) / (used * self._threads(machine))
        return (work + machine.calibration.launches(self.runs[0], launches, device)) / share

    def shares(self, machine: Machine) -> list[float]:
        """Each run's part of the group's time."""
        launches, device = machine.calibration.launches, machine.devices[0]
        each = [
            work + launches(run, effort.launches, device)
            for run, effort, work in zip(self.runs, self.efforts, self._works(machine), strict=True)
        ]
        whole = sum(each)
        return [one / whole if whole else 1 / len(each) for one in each]

    def memory(self, devices: Sequence[str]) -> float:
        """Bytes of one device when they are spread over several."""
        return max(effort.memory(self._side_by_side(devices), devices[0]) for effort in self.efforts)

    @property
    def _by_themselves(self) -> bool:
        """Whether no launch is for several of them."""
        return self.limit == 1 or self.efforts[0].unfused

    def _works(self, machine: Machine) -> list[float]:
        """Seconds of one thread, or of a GPU, for each run, without launches."""
        device, width = machine.devices[0], self._side_by_side(machine.devices)
        slots = max(1.0, self.efforts[0].gpu_slots / width) if device == "cuda" else 1.0
        return [
            slots * machine.calibration.work(run, effort, device)
            for run, effort in zip(self.runs, self.efforts, strict=True)
        ]

    def _threads(self, machine: Machine) -> int:
        """Threads that compute a run of them, where more make it faster: not the small operations of small networks."""
        if machine.devices[0] != "cpu" or not _is_large(self.runs[0]):
            return 1
        return max(1, machine.threads // len(machine.devices))

    def _side_by_side(self, devices: Sequence[str]) -> int:
        """Runs that a device has at a time."""
        return min(math.ceil(len(self.runs) / len(devices)), self.limit)


def _limit(job: Job, machine: Machine) -> int:
    """How many runs like a job a device has at once."""
    return 1 if fuse(job) is None else fitting(job, machine.free, machine.devices[0])


def _is_large(job: Job) -> bool:
    """Whether a job is about a network that fills the threads of a process."""
    return "network" in job.params and network_of(job.params).unfused


def _together(plan: Plan, missing: Mapping[str, Job], efforts: Mapping[str, Effort], device: str) -> list[list[Job]]:
    """The groups, were jobs that as many others wait for ready together; of a training the longest job counts.

    Of a stage whose jobs run one by one those of a kind are a group too: several devices have one each at a time.
    """
    groups: dict[tuple[object, ...], list[Job]] = {}
    for job in _longest(missing, efforts):
        groups.setdefault((kind_of(job, device), fuse(job), plan.heights[job.key]), []).append(job)
    return list(groups.values())


def _longest(jobs: Mapping[str, Job], efforts: Mapping[str, Effort]) -> list[Job]:
    """Of each training its longest job, as snapshots are made on its way; all other jobs."""
    longest: dict[str, Job] = {}
    for job in jobs.values():
        before = longest.setdefault(job.trajectory, job)
        longest[job.trajectory] = max(before, job, key=lambda run: efforts[run.key].operations)
    return list(longest.values())
