import platform
import subprocess
import sys

import pytest

PRELUDE = """
import resource
import torch
from harness.engine import device

MIB = 2**20
cpu = torch.device("cpu")

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
"""

STEPS = """
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [torch.ones(4 * MIB) for _ in range(8)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.ones(1)
anew = 8 * 16 * MIB // resource.getpagesize()
device.prepare(cpu)
kept = min(faults() for _ in range(12))
held = resident()
device.free_bytes(cpu)
print(anew, kept, held - resident())
"""

HOLES = """
device.prepare(cpu)
before, small = resident(), []
for _ in range(10):
    large = torch.ones(16 * MIB)
    small.append(torch.ones(4096))
    del large
print(resident() - before)
"""

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory by its own rules")


def told(program: str) -> list[int]:
    said = subprocess.run([sys.executable, "-c", PRELUDE + program], check=True, capture_output=True, text=True).stdout
    return [int(word) for word in said.split()]


@glibc
def test_freed_memory_is_kept_for_the_next_step_and_given_back_before_it_is_counted() -> None:
    anew, kept, given_back = told(STEPS)
    assert kept < anew / 10
    assert given_back > 50 * 2**20


@glibc
def test_large_blocks_are_not_kept_below_small_ones() -> None:
    """Ten of 64 MiB, each freed below a small tensor that stays."""
    (held,) = told(HOLES)
    assert held < 100 * 2**20
