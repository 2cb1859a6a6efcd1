"""How fast a core of this machine computes, from a few steps of training that take about a second."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from harness.engine.kernels.choice import layers_for
from harness.engine.networks.build import Network, build

PASSES_A_STEP = 3
"""Forward passes that take as long as a step of training: one, and two for its derivatives."""
LAUNCHES_A_PARAMETER = 10
"""Operations that a step of training starts for each parameter tensor, of all replicas that are computed together."""

_CPU = torch.device("cpu")
_EACH_S = 0.3
"""Seconds that each sample takes at least, beside its first step."""
_SMALL: Mapping[str, Any] = {"name": "resnet", "widths": [8, 16], "blocks": 1}
_LARGE: Mapping[str, Any] = {"name": "resnet", "widths": [16, 32, 64], "blocks": 3}


@dataclass(frozen=True)
class Pace:
    """What one thread does in a second of processor time.

    Attributes:
        small: floating-point operations a second (a multiply-add counts as two) of a network whose replicas are
            computed together, in training.
        large: the same of a network whose replicas are computed each by itself.
        launch: seconds that starting an operation takes.
    """

    small: float
    large: float
    launch: float


REFERENCE = Pace(small=60e9, large=50e9, launch=5.2e-6)
"""Of a core of a server with AVX2 (an AMD EPYC, docs/speed.md), where nothing was measured."""


def sample() -> Pace:
    """Measures this machine, on one thread.

    The steps are those of training without data, update and bookkeeping: the toy ResNet of the specs, a few replicas
    side by side; ResNet-20; and one image through the former, which is all launches. They are short, so that on a busy
    machine some pass without another program between.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        small = build(_SMALL, (1, 8, 8), 10)
        launch = _seconds(_step(small, 1, 1)) / (LAUNCHES_A_PARAMETER * len(small.parameters))
        return Pace(
            small=_rate(small, replicas=4, examples=64, launch=launch),
            large=_rate(build(_LARGE, (3, 32, 32), 10), replicas=1, examples=2, launch=launch),
            launch=launch,
        )
    finally:
        torch.set_num_threads(threads)


def _rate(network: Network, *, replicas: int, examples: int, launch: float) -> float:
    operations = 2.0 * network.multiplications * PASSES_A_STEP * replicas * examples
    seconds = _seconds(_step(network, replicas, examples))
    started = launch * LAUNCHES_A_PARAMETER * len(network.parameters)
    return operations / max(seconds - started, seconds / 2)


def _seconds(step: Callable[[], None]) -> float:
    """Of processor time that a step takes after the first: the least of some turns, as what disturbs only adds."""
    step()
    least, begun = float("inf"), time.process_time()
    while time.process_time() - begun < _EACH_S:
        before = time.process_time()
        step()
        least = min(least, time.process_time() - before)
    return least


def _step(network: Network, replicas: int, examples: int) -> Callable[[], None]:
    """A step of training of so many replicas, with as many examples for each."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return 0.1 * torch.randn(shape, generator=generator)

    weights = {name: drawn(replicas, *parameter.shape) for name, parameter in network.parameters.items()}
    buffers = {name: torch.full((replicas, size), value) for name, (size, value) in network.buffers.items()}
    x, labels = drawn(examples, replicas, *network.shape), torch.zeros(replicas * examples, dtype=torch.long)
    layers = layers_for(network, _CPU, "fp32")

    def step() -> None:
        leaves = {name: value.detach().requires_grad_() for name, value in weights.items()}
        scores = network.logits(leaves, buffers, x, batch_norm="train", layers=layers)
        torch.autograd.grad(F.cross_entropy(scores.flatten(0, 1), labels), list(leaves.values()))

    return step
