"""What the command lines of all benchmarks share."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch

from harness.errors import HarnessError

LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES")
"""Variables that make a processor look as if it had less; ``kernels.py`` shows them in use."""
_WIDE = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512vl", "avx512bf16", "amx-bf16", "neon", "sve")
"""What loops over many numbers use of a processor, as LLVM calls it."""


@contextmanager
def told() -> Iterator[None]:
    """Ends with a message, and no trace, where what was asked for cannot be."""
    try:
        yield
    except HarnessError as error:
        raise SystemExit(f"error: {error}") from None


def positive(text: str) -> int:
    """An option's number, 1 or more."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"found {text!r}, allowed are whole numbers from 1 on")
    return int(text)


def processor() -> str:
    """What PyTorch and Numba use of this processor, and the variables that limit them."""
    limits = " ".join(f"{name}={value}" for name, value in sorted(os.environ.items()) if name in LIMITS)
    return (
        f"PyTorch uses {torch.backends.cpu.get_cpu_capability()}; Numba "
        f"{_of_numba() if find_spec('numba') else 'is not installed'}; {limits or 'no limits'}"
    )


def _of_numba() -> str:
    from llvmlite import binding
    from numba import config

    given = config.CPU_FEATURES
    if given is None:
        features = {name for name, there in binding.get_host_cpu_features().items() if there}
    else:
        features = {word.removeprefix("+") for word in given.split(",") if not word.startswith("-")}
    used = [name for name in _WIDE if name in features]
    return f"uses {' '.join(used) or 'no wide registers'}, as {config.CPU_NAME or binding.get_host_cpu_name()}"
