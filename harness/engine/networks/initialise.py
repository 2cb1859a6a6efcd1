"""Initial states: the weights a network starts from, as a pure function of a seed."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from harness import seeds
from harness.engine.networks.build import Network
from harness.engine.networks.layers import Parameter


def initial_parameters(network: Network, *, scheme: str, batch_norm_scale: str, seed: int) -> dict[str, Tensor]:
    """Fresh parameters of one replica, float32, name -> shape. Biases and shifts are 0, layer normalisation's scales 1.

    Args:
        network: whose parameters.
        scheme: ``kaiming_normal`` (He et al. 2015: variance 2/fan_in) or ``glorot_normal`` (Glorot & Bengio 2010:
            variance 2/(fan_in + fan_out)), for convolutions and linear layers.
        batch_norm_scale: ``uniform`` draws BN scales from U(0, 1), the default of the PyTorch of the papers' day;
            ``one`` sets them to 1, today's default.
        seed: every seed gives another draw.
    """
    return {
        name: _draw(parameter, scheme, batch_norm_scale, seeds.stream("init", seed, name))
        for name, parameter in network.parameters.items()
    }


def _draw(parameter: Parameter, scheme: str, batch_norm_scale: str, key: int) -> Tensor:
    count = math.prod(parameter.shape)
    if parameter.is_weight:
        fans = parameter.fan_in if scheme == "kaiming_normal" else (parameter.fan_in + parameter.fan_out)
        return (seeds.normal(key, count) * math.sqrt(2 / fans)).float().reshape(parameter.shape)
    if parameter.kind == "bn_scale":
        return seeds.uniform(key, count).float() if batch_norm_scale == "uniform" else torch.ones(count)
    if parameter.kind == "ln_scale":
        return torch.ones(count)
    return torch.zeros(parameter.shape)


def initial_buffers(network: Network) -> dict[str, Tensor]:
    """Running statistics before training: means 0, variances 1; name -> [C]."""
    return {name: torch.full((size,), value) for name, (size, value) in network.buffers.items()}


def flatten(network: Network, parameters: Mapping[str, Tensor]) -> Tensor:
    """Stacks parameters [R, *shape] into one buffer [R, P], in declared order."""
    return torch.cat([parameters[name].flatten(1) for name in network.parameters], dim=1)


def unflatten(network: Network, flat: Tensor) -> dict[str, Tensor]:
    """Views of a buffer [R, P] as name -> [R, *shape]."""
    sizes = [math.prod(parameter.shape) for parameter in network.parameters.values()]
    return {
        name: part.unflatten(1, parameter.shape)
        for (name, parameter), part in zip(network.parameters.items(), flat.split(sizes, dim=1), strict=True)
    }


def kernels(network: Network) -> Tensor:
    """[P] bool: which numbers of a flat buffer are weights of convolutions and linear layers."""
    each = network.parameters.values()
    return torch.cat([torch.full((math.prod(parameter.shape),), parameter.is_weight) for parameter in each])
