"""How many cores of this machine a process may use: fewer than there are, in a container or in a cluster's job."""

import hashlib
import math
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

_CGROUPS = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_SLURM = "SLURM_CPUS_PER_TASK"
_MANY = 1 << 20


def cpu_threads(asked: int | None) -> int:
    """CPU threads of a run: those asked for, else one for each core that may be used, as far as PyTorch would too."""
    return asked or min(usable_cores(), torch.get_num_threads())


def usable_cores(environment: Mapping[str, str] = os.environ, cgroups: Path = _CGROUPS, own: Path = _OWN) -> int:
    """Cores that this process may use, one at least.

    The least of: the cores that it may run on, the quotas of its control group and of those above it, rounded up, and
    what a Slurm job asked for a task.

    Args:
        environment: variables of the process.
        cgroups: where control groups lie.
        own: the file that says which are the process's.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = (_quota(folder) for folder in _groups(cgroups, own))
    return max(1, min(allowed, _asked_of_slurm(environment), *quotas))


_LOOK_S = 0.1
_BLOCK = bytes(1 << 18)
"""Its digest is made without the lock of Python, in a fraction of what a system gives at a time."""


def share_of_cores(count: int) -> float:
    """The share of so many cores' time that as many threads of this process get now, beside whatever else runs.

    Args:
        count: of threads that compute for a tenth of a second.

    Returns:
        Above 0, at most 1.
    """
    shares: list[float] = []

    def compute() -> None:
        begun, processor = time.perf_counter(), time.thread_time()
        while (passed := time.perf_counter() - begun) < _LOOK_S:
            hashlib.sha256(_BLOCK)
        shares.append((time.thread_time() - processor) / passed)

    threads = [threading.Thread(target=compute) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return min(1.0, max(0.01, sum(shares) / count))


def _groups(cgroups: Path, own: Path) -> Iterator[Path]:
    """The folders of the process's control groups that may limit its time, and of all above; the roots at least."""
    try:
        lines = [line.split(":", 2) for line in own.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        lines = []
    paths = {"": "/"} | {controllers: path for _, controllers, path in (line for line in lines if len(line) == 3)}
    for controllers, path in paths.items():
        if controllers and "cpu" not in controllers.split(","):
            continue
        for mount in {cgroups / controllers, cgroups / "cpu"} if controllers else {cgroups}:
            folder = mount / path.lstrip("/")
            yield from (folder, *(above for above in folder.parents if above.is_relative_to(mount)))


def _quota(folder: Path) -> int:
    """Cores of processor time that a control group may use: cpu.max, or cpu.cfs_quota_us of the first version."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            time, period = " ".join((folder / name).read_text(encoding="ascii") for name in names).split()
            if float(time) > 0 and float(period) > 0:
                return math.ceil(float(time) / float(period))
        except (OSError, ValueError):
            continue  # absent, or "max": no quota
    return _MANY


def _asked_of_slurm(environment: Mapping[str, str]) -> int:
    asked = environment.get(_SLURM, "")
    return int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 7 and int(asked) > 0 else _MANY
