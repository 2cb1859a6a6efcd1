"""Devices and number formats: the one place that sets them."""

import ctypes
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from harness.errors import RequestError

# What PyTorch's stubs do not know.
_MATMUL: Any = torch.backends.cuda.matmul
_CONVOLUTION: Any = torch.backends.cudnn.conv  # type: ignore[attr-defined]


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
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index):
        raise RequestError(f"device {name!r} is not supported: use auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RequestError(f"device {name!r} is not on this machine ({torch.cuda.device_count()} CUDA devices)")
    return device


_WORKERS_A_CORE = 4
"""Surely more than help."""


def chosen(name: str, workers: int = 1) -> list[torch.device]:
    """The devices of a run: ``auto`` and ``cuda`` are all GPUs that are visible, other names one device.

    Args:
        name: see ``choose``.
        workers: processes that share the CPU.

    Raises:
        RequestError: unknown, not on this machine, several workers for a GPU, or very many for the CPU.
    """
    device = choose(name)
    if device.type == "cpu":
        most = _WORKERS_A_CORE * (os.cpu_count() or 1)
        if workers > most:
            raise RequestError(f"--workers {workers} is too many for {os.cpu_count()} cores: use {most} at most")
        return [device] * workers
    if workers > 1:
        raise RequestError(f"--workers {workers} is for the CPU: a GPU has one process; use --workers 1")
    count = torch.cuda.device_count()
    return [torch.device("cuda", place) for place in range(count)] if device.index is None and count > 1 else [device]


def free_bytes(device: torch.device) -> float:
    """Memory that may still be used on a device, roughly: the CPU's is what the system, or the container, has left.

    What this process freed and kept is given back first.
    """
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(torch.cuda.mem_get_info(device)[0] + kept)
    give_back_freed_memory()
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

    Deterministic kernels only, so that a resumed run gives the same bits; no TF32 and no sums in bf16, which CUDA would
    use unasked; cuDNN's choice of kernel by timing is off, as it may choose another at the next start. That new tensors
    are filled with NaN in deterministic mode is for finding bugs, and costs a pass over memory each.

    On the CPU freed memory is kept for the next step, see ``_keep_freed_memory``.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if device.type == "cuda":
        torch.cuda.set_device(device.index or 0)
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        _MATMUL.fp32_precision = _CONVOLUTION.fp32_precision = "ieee"
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    else:
        _keep_freed_memory()


@contextmanager
def one_thread() -> Iterator[None]:
    """The block's operations have one thread of the CPU: several would meet at a barrier after each, however small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""glibc's names of settings, <malloc.h>."""


def _keep_freed_memory() -> None:
    """Makes glibc keep freed memory for this process, of blocks below 32 MiB, the most that every version takes.

    Else each tensor of some megabytes is asked of the system anew at every step, which fills it with zeros a page at a
    time (docs/speed.md). Larger ones still go back at once: what is kept may lie in holes. Other C libraries are left
    as they are.
    """
    with suppress(OSError, AttributeError, TypeError):  # TypeError is what Windows says
        tune = ctypes.CDLL(None).mallopt
        tune(_M_TRIM_THRESHOLD, 2**31 - 1)
        tune(_M_MMAP_THRESHOLD, 2**25)


def give_back_freed_memory() -> None:
    """Gives memory that was freed, and kept, back to the system, where the C library can."""
    with suppress(OSError, AttributeError, TypeError):  # TypeError is what Windows says
        ctypes.CDLL(None).malloc_trim(0)


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
    with product_format(precision), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        yield


@contextmanager
def product_format(precision: str) -> Iterator[None]:
    """The number format of matrix products and convolutions, backward ones too: TF32, else the numbers' own.

    TF32 keeps 10 bits of single precision's 23 of each factor, and sums in single precision.
    """
    before = _MATMUL.fp32_precision, _CONVOLUTION.fp32_precision
    _MATMUL.fp32_precision = _CONVOLUTION.fp32_precision = "tf32" if precision == "tf32" else "ieee"
    try:
        yield
    finally:
        _MATMUL.fp32_precision, _CONVOLUTION.fp32_precision = before


_NO_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "unable to find an engine")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error, or one that it hides, is a lack of memory: PyTorch's allocator, CUDA's libraries, Python.

    CUDA's own calls and cuBLAS tell it in words only. cuDNN hides it: each of its ways to compute a convolution that
    lacks memory is passed over, until none is left.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, torch.OutOfMemoryError | MemoryError):
            return True
        if isinstance(cause, RuntimeError) and any(words in str(cause) for words in _NO_MEMORY):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
