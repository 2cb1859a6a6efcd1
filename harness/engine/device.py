"""Devices and number formats: the one place that sets them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from harness.errors import RequestError


def choose(name: str) -> torch.device:
    """The device called ``auto`` (CUDA where there is one), ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        RequestError: unknown, or not on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RequestError(f"device {name!r} is unknown: use auto, cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise RequestError(f"device {name!r} is not supported: use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RequestError(f"device {name!r} is not on this machine ({torch.cuda.device_count()} CUDA devices)")
    return device


def prepare(device: torch.device, threads: int | None = None) -> None:
    """Makes results repeatable on this device.

    Deterministic kernels only, so that a resumed run gives the same bits; no TF32, which CUDA convolutions would
    use unasked; cuDNN's choice of kernel by timing is off, as it may choose another at the next start.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)


def dtype_of(precision: str) -> torch.dtype:
    """The type in which weights are kept: double for fp64, single otherwise."""
    return torch.float64 if precision == "fp64" else torch.float32


@contextmanager
def number_format(precision: str, device: torch.device) -> Iterator[None]:
    """The number format of a forward pass: bf16 is PyTorch's autocast, the others are the weights' own type."""
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield
