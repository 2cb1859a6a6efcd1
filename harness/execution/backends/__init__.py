"""Backends: what executes groups of jobs. ``base`` says what each must do; which one a run has is chosen here."""

from collections.abc import Sequence

import torch

from harness.engine import device as devices
from harness.execution.backends.base import Backend
from harness.execution.backends.in_process import InProcess
from harness.execution.backends.processes import Processes


def chosen(name: str, workers: int = 1) -> Backend:
    """The backend that a user asks for.

    Args:
        name: of a device, see ``harness.engine.device.chosen``.
        workers: processes that share the CPU.

    Raises:
        RequestError: unknown, not on this machine, several workers for a GPU, or very many for the CPU.
    """
    return on_devices(devices.chosen(name, workers))


def on_devices(places: Sequence[torch.device]) -> Backend:
    """The backend for devices of this machine: one is computed on in this process, of several each has a process."""
    return InProcess(places[0]) if len(places) == 1 else Processes(places)
