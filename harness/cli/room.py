"""Refuses a plan that surely does not fit into memory, or on the disk, before it starts."""

import shutil
from collections.abc import Sequence

import torch

from harness.engine import device as devices
from harness.errors import RequestError
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.pipeline.forecast import least_room
from harness.report.text import bytes_text

SURELY_TOO_LARGE = 2.0
"""Forecast of a replica's memory over what is free, from which it is refused: the forecast is rough, and a device that
lacks memory says so itself. The size of results on disk is known."""


def free_memory(chosen: Sequence[torch.device]) -> float:
    """Bytes of memory that one group may use; processes on one device share."""
    return devices.free_bytes(chosen[0]) / chosen.count(chosen[0])


def require_room(plan: Plan, store: Store, chosen: Sequence[torch.device]) -> None:
    """Raises RequestError where a single replica is too large for the memory, or the results for the disk.

    Args:
        plan: all jobs.
        store: where results are found and kept.
        chosen: where to compute.
    """
    least, free = least_room(plan, store.has, chosen[0].type), free_memory(chosen)
    if least.memory_bytes > SURELY_TOO_LARGE * free:
        others = "another --device, or fewer --workers" if len(chosen) > 1 else "or another --device"
        raise RequestError(
            f"a single replica of {least.largest} needs about {bytes_text(least.memory_bytes)} of memory, and "
            f"{bytes_text(int(free))} are free on {chosen[0]}: choose a smaller network or batch, {others}"
        )
    disk = shutil.disk_usage(store.root).free
    if least.disk_bytes > disk:
        raise RequestError(
            f"the results to come take about {bytes_text(least.disk_bytes)} on disk, and {bytes_text(disk)} are free "
            f"at {store.root}: make room there, ask for fewer --replicates, or choose another --store"
        )
