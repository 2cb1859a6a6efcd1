"""Refuses a plan before it starts: its results cannot be kept, or it surely does not fit into memory or on the disk."""

import shutil

from harness.errors import RequestError
from harness.execution.backends.base import Backend
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.pipeline.forecast import least_room
from harness.report.text import bytes_text

SURELY_TOO_LARGE = 2.0
"""Forecast of a replica's memory over what is free, from which it is refused: the forecast is rough, and a device that
lacks memory says so itself. The size of results on disk is known."""


def require_room(plan: Plan, store: Store, backend: Backend) -> None:
    """Makes the store ready for what is missing of a plan; one that holds all may be read-only, and is left alone.

    Args:
        plan: all jobs.
        store: where results are found and kept.
        backend: would execute them.

    Raises:
        RequestError: a single replica is too large for the memory, the store cannot be written, or the results are too
            large for the disk.
    """
    if not plan.missing(store.has):
        return
    slots, free = backend.slots, backend.free
    least = least_room(plan, store.has, slots[0].kind)
    if least.memory_bytes > SURELY_TOO_LARGE * free:
        others = "another --device, or fewer --workers" if len(slots) > 1 else "or another --device"
        raise RequestError(
            f"a single replica of {least.largest} needs about {bytes_text(least.memory_bytes)} of memory, and "
            f"{bytes_text(int(free))} are free on {slots[0].name}: choose a smaller network or batch, {others}"
        )
    store.make()
    disk = shutil.disk_usage(store.root).free
    if least.disk_bytes > disk:
        raise RequestError(
            f"the results to come take about {bytes_text(least.disk_bytes)} on disk, and {bytes_text(disk)} are free "
            f"at {store.root}: make room there, ask for fewer --replicates, or choose another --store"
        )
