"""How many cores of this machine a process may use: fewer than there are, in a container or in a cluster's job."""

import math
import os
from collections.abc import Mapping
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_SLURM = "SLURM_CPUS_PER_TASK"
_MANY = 1 << 20


def usable_cores(environment: Mapping[str, str] = os.environ, cgroup: Path = _CGROUP) -> int:
    """Cores that this process may use, one at least.

    The least of: the cores that it may run on, the quota of its control group rounded up, and what a Slurm job asked
    for a task.

    Args:
        environment: variables of the process.
        cgroup: where the control group's files lie.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(allowed, _quota(cgroup), _asked_of_slurm(environment)))


def _quota(cgroup: Path) -> int:
    """Cores of processor time a control group may use (cpu.max, or cpu.cfs_quota_us of the first version)."""
    for quota, period in (
        ("cpu.max", None),
        ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),
    ):
        try:
            words = (cgroup / quota).read_text(encoding="ascii").split()
            words += [] if period is None else (cgroup / period).read_text(encoding="ascii").split()
            time, of = float(words[0]), float(words[1])
        except (OSError, ValueError, IndexError):
            continue  # absent, or "max": no quota
        if time > 0 and of > 0:
            return math.ceil(time / of)
    return _MANY


def _asked_of_slurm(environment: Mapping[str, str]) -> int:
    asked = environment.get(_SLURM, "")
    return int(asked) if asked.isascii() and asked.isdecimal() and int(asked) > 0 else _MANY
