"""The rest of a network from any of its layers on, its input there as a forward pass left it.

Derivatives by the parameters of a layer and of all later ones need no more than this: what comes before is constant.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.engine.networks.build import Network
from harness.engine.networks.initialise import unflatten
from harness.engine.networks.layers import BatchNormMode, Layers, Parameter
from harness.errors import HarnessError

OPERATIONS = (
    "images", "vectors", "convolve", "convolve_window", "batch_norm", "layer_norm", "linear", "relu", "gelu",
    "concatenate", "dropout", "pool_max", "pool_max_window", "pool_mean_window", "pool_max_all", "pool_all",
)  # fmt: skip
"""The methods of ``Layers`` that turn one tensor into another; a test holds the list complete."""


class _Recorder(Layers):
    """Keeps what every operation gave, and which parameters it read."""

    def __init__(self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], mode: BatchNormMode) -> None:
        super().__init__(parameters, buffers, batch_norm=mode)
        self.results: list[Tensor] = []
        self.read: list[list[str]] = []

    def parameter(self, name: str, declared: Parameter) -> Tensor:
        self.read[-1].append(name)
        return super().parameter(name, declared)


class _Resumed(Layers):
    """Gives what was recorded until its first operation, then computes."""

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        buffers: Mapping[str, Tensor],
        mode: BatchNormMode,
        recorded: Sequence[Tensor],
    ) -> None:
        super().__init__(parameters, buffers, batch_norm=mode)
        self.recorded = recorded
        self.place = 0


def _recording(name: str) -> Callable[..., Tensor]:
    def operation(self: _Recorder, x: Tensor, *args: Any, **options: Any) -> Tensor:
        self.read.append([])
        result: Tensor = getattr(super(_Recorder, self), name)(x, *args, **options)
        self.results.append(result)
        return result

    return operation


def _resuming(name: str) -> Callable[..., Tensor]:
    def operation(self: _Resumed, x: Tensor, *args: Any, **options: Any) -> Tensor:
        place, self.place = self.place, self.place + 1
        if place < len(self.recorded):
            return self.recorded[place]
        result: Tensor = getattr(super(_Resumed, self), name)(x, *args, **options)
        return result

    return operation


for _name in OPERATIONS:
    setattr(_Recorder, _name, _recording(_name))
    setattr(_Resumed, _name, _resuming(_name))


@dataclass(frozen=True)
class Tail:
    """A network from one of its layers on.

    Attributes:
        start: place of the layer's first parameter in the flat vector [P].
        stop: place after the layer's last parameter.
        logits: the flat vector's part [P - start] -> class scores [B, K].
    """

    start: int
    stop: int
    logits: Callable[[Tensor], Tensor]


def tails(
    network: Network, weights: Tensor, buffers: Mapping[str, Tensor], x: Tensor, *, batch_norm: BatchNormMode
) -> list[Tail]:
    """The tails of a network at a state, one for each operation that has parameters, in the order of the flat vector.

    Of a network with auxiliary heads there are none: their parameters count in training only.

    Args:
        network: R = 1 of it.
        weights: [P], in the order of ``initialise.flatten``.
        buffers: name -> [C].
        x: images [B, C, H, W].
        batch_norm: ``eval``, or ``batch``: statistics of these images, the running ones left alone.
    """
    if network.has_auxiliaries:
        raise HarnessError(f"{network.name} has an auxiliary head: curvature is of networks with one head")
    held = {name: value[None] for name, value in buffers.items()}
    recorder = _Recorder(unflatten(network, weights[None]), held, batch_norm)
    network.run(recorder, x[:, None])
    results = [result.detach() for result in recorder.results]
    tails, start = [], 0
    for place, names in enumerate(recorder.read):
        if names:
            stop = start + sum(math.prod(network.parameters[name].shape) for name in names)
            tails.append(Tail(start, stop, _tail(network, weights, held, x, batch_norm, results[:place], start)))
            start = stop
    return tails


def _tail(
    network: Network,
    weights: Tensor,
    buffers: Mapping[str, Tensor],
    x: Tensor,
    mode: BatchNormMode,
    recorded: Sequence[Tensor],
    start: int,
) -> Callable[[Tensor], Tensor]:
    def logits(suffix: Tensor) -> Tensor:
        flat = torch.cat([weights[:start], suffix])[None]
        return network.run(_Resumed(unflatten(network, flat), buffers, mode, recorded), x[:, None])[0]

    return logits
