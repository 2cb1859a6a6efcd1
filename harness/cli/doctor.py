"""What this machine offers."""

import shutil
from pathlib import Path

import torch

from harness import datainfo
from harness.cli import console
from harness.engine.cores import cpu_threads, usable_cores
from harness.engine.data.vision import torchvision_part
from harness.jobs import provenance
from harness.jobs.store import Store
from harness.jobs.store_folder import require_writable


def tell(store: Path, data: Path) -> None:
    """Prints versions, devices, datasets, room in the store."""
    facts = provenance.describe("cpu", cpu_threads(None), "")
    console.out.print(f"python {facts['python']}, {facts['platform']}, {facts['hardware']}")
    console.out.print(", ".join(f"{name} {version}" for name, version in facts["packages"].items()))
    console.out.print(f"CPU: {usable_cores()} cores may be used, by {cpu_threads(None)} threads")
    cards = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    console.out.print(f"CUDA devices: {', '.join(cards) or 'none; the CPU computes'}")
    for name in datainfo.KNOWN:
        info = datainfo.describe(name, data)
        state = (
            f"not here: {datainfo.how_to_get(datainfo.find(name))}"
            if info is None
            else (f"here, {'original' if info.original else info.caveat}")
        )
        console.out.print(f"dataset {name}: {state}")
    torchvision_part("models")
    console.out.print("torchvision: works")

    Store(store, make=False)
    place = require_writable(store)
    free = shutil.disk_usage(place).free
    console.out.print(f"store {store}: can be written, {free / 2**30:.1f} GiB free")
