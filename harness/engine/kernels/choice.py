"""Where compiled loops train and evaluate, and where PyTorch's operations stay."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from harness.engine.networks.build import Network
from harness.engine.networks.layers import Layers

if TYPE_CHECKING:
    from harness.engine.kernels.second_order import SecondOrder


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
    its library is slow at are convolutions with few channels. Derivatives by ``torch.func`` and recounts never ask;
    gradients and losses around a state do, see ``layers_at``.
    """
    if precision not in ("fp32", "fp64") or not _suits(network, device):
        return Layers
    from harness.engine.kernels.layers import CompiledLayers  # not above: Numba may be absent, and takes its time

    return CompiledLayers


def layers_at(network: Network, weights: Tensor) -> type[Layers]:
    """The layers that a measurement at some weights computes by, in their own number type."""
    return layers_for(network, weights.device, "fp64" if weights.dtype == torch.float64 else "fp32")


def second_order_for(
    network: Network,
    weights: Tensor,
    buffers: Mapping[str, Tensor],
    x: Tensor,
    labels: Tensor,
    *,
    batch_norm: Literal["batch", "eval"],
) -> "SecondOrder | None":
    """Hessian-vector products by compiled loops, where a training would compute by them; None elsewhere.

    For the arguments see ``second_order``, whose rules do not cover every network.
    """
    if not _suits(network, weights.device):
        return None
    from harness.engine.kernels.second_order import second_order

    return second_order(network, weights, buffers, x, labels, batch_norm=batch_norm)


def _suits(network: Network, device: torch.device) -> bool:
    has_images = any(parameter.kind == "conv" for parameter in network.parameters.values())
    return has_images and network.compilable and not network.unfused and not _reason_against(device)
