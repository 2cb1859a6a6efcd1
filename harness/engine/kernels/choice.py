"""Where compiled loops are used in training, and in whose place PyTorch's operations stay."""

from functools import lru_cache
from importlib.util import find_spec

import torch

from harness.engine.networks.build import Network
from harness.engine.networks.layers import Layers


@lru_cache(maxsize=1)
def _installed() -> bool:
    return find_spec("numba") is not None


def reason_against(device: torch.device, threads: int) -> str:
    """Why no network is trained by compiled loops here; "" where small ones are."""
    if device.type != "cpu":
        return f"not on {device.type}"
    if threads != 1:
        return f"{threads} threads"
    return "" if _installed() else "Numba is not installed"


def layers_for(network: Network, device: torch.device, precision: str) -> type[Layers]:
    """The layers that a training uses.

    Compiled ones for small networks with images, on the CPU, in fp32 or fp64, where PyTorch has one thread: those are
    the convolutions that its library is slow at. Evaluation, and derivatives by ``torch.func``, never ask.
    """
    has_images = any(parameter.kind == "conv" for parameter in network.parameters.values())
    if network.unfused or not has_images or precision not in ("fp32", "fp64"):
        return Layers
    if reason_against(device, torch.get_num_threads()):
        return Layers
    from harness.engine.kernels.layers import CompiledLayers  # Numba takes half a second to import

    return CompiledLayers
