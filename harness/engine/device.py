"""Devices and number formats: the one place that sets them."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def chosen(name: str, workers: int = 1) -> list[torch.device]:
    """The devices of a run: ``auto`` and ``cuda`` are all GPUs that are visible, other names one device.

    Args:
        name: see ``choose``.
        workers: processes that share the CPU.

    Raises:
        RequestError: unknown, not on this machine, or several workers for a GPU.
    """
    device = choose(name)
    if device.type == "cpu":
        return [device] * workers
    if workers > 1:
        raise RequestError(f"--workers {workers} is for the CPU: a GPU has one process; use --workers 1")
    count = torch.cuda.device_count()
    return [torch.device("cuda", place) for place in range(count)] if device.index is None and count > 1 else [device]


def free_bytes(device: torch.device) -> float:
    """Memory that may still be used on a device, roughly: the CPU's is what the system, or the container, has left."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + kept)
    return min(_available(), _left_to_container())


def _available() -> float:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass
    return math.inf


def _left_to_container() -> float:
    """What a limit of control groups leaves; caches of files do not count, as they give way."""
    folder = Path("/sys/fs/cgroup")
    try:
        most = float((folder / "memory.max").read_text())
        held = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(0.0, most - float(held["anon"]))
    except (OSError, ValueError, KeyError):
        return math.inf


def prepare(device: torch.device, threads: int | None = None) -> None:
    """Makes results repeatable on this device.

    Deterministic kernels only, so that a resumed run gives the same bits; no TF32, which CUDA convolutions would
    use unasked; cuDNN's choice of kernel by timing is off, as it may choose another at the next start.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if device.type == "cuda":
        torch.cuda.set_device(device)
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)


def dtype_of(precision: str) -> torch.dtype:
    """The type in which weights are kept: double for fp64, single otherwise."""
    return torch.float64 if precision == "fp64" else torch.float32


def has_format(precision: str, device: torch.device) -> bool:
    """Whether a device can compute in a number format: TF32 is of CUDA's tensor cores, from Ampere (8.0) on."""
    return precision != "tf32" or (device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0))


@contextmanager
def number_format(precision: str, device: torch.device) -> Iterator[None]:
    """The number format of a forward pass: bf16 is PyTorch's autocast, the others are the weights' own type.

    Raises:
        RequestError: the device does not have it.
    """
    if not has_format(precision, device):
        raise RequestError(f"number format {precision} is not one of {device}: use fp32")
    with products(precision), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


@contextmanager
def products(precision: str) -> Iterator[None]:
    """The number format of matrix products and convolutions, backward ones too: TF32, else the numbers' own.

    TF32 keeps 10 bits of single precision's 23 of each factor, and sums in single precision.
    """
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
