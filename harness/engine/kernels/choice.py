"""Where compiled loops train and evaluate, and where PyTorch's operations stay."""

from functools import lru_cache
from importlib.util import find_spec

import torch

from harness.engine.networks.build import Network
from harness.engine.networks.layers import Layers


@lru_cache(maxsize=1)
def installed() -> bool:
    """Whether Numba is there."""
    return find_spec("numba") is not None


def _reason_against(device: torch.device) -> str:
    """Why no network is computed by compiled loops here; "" where small ones are."""
    if device.type != "cpu":
        return f"compiled loops are not for {device.type}"
    if torch.get_num_threads() != 1:
        return f"compiled loops are for one thread, not {torch.get_num_threads()}"
    return "" if installed() else "Numba is not installed"


def told(device: torch.device) -> str:
    """What this process trains and evaluates small networks by on a device, in words."""
    reason = _reason_against(device)
    return f"PyTorch's operations ({reason})" if reason else "compiled loops, in training and evaluation"


def layers_for(network: Network, device: torch.device, precision: str) -> type[Layers]:
    """The layers that a training or an evaluation computes by.

    Compiled ones for small networks with convolutions, on the CPU, in fp32 or fp64, where PyTorch has one thread: what
    its library is slow at are convolutions with few channels. Derivatives by ``torch.func`` and recounts never ask.
    """
    has_images = any(parameter.kind == "conv" for parameter in network.parameters.values())
    if network.unfused or not has_images or precision not in ("fp32", "fp64") or _reason_against(device):
        return Layers
    from harness.engine.kernels.layers import CompiledLayers  # not above: Numba may be absent, and takes its time

    return CompiledLayers
