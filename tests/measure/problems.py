"""Small networks at ordinary states, and their loss written with torch's own modules, to hold curvature against."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.engine.networks.build import Network, build
from harness.engine.networks.initialise import flatten, unflatten
from harness.measure.curvature import Objective
from tests.engine.oracles import TINY_LENET, TINY_RESNET, TINY_RESNET9, fill, plain, random_state

SHAPE, CLASSES = (1, 8, 8), 3
NETWORKS: dict[str, dict[str, Any]] = {
    "lenet": {**TINY_LENET, "hidden": [4, 3]},
    "resnet": {**TINY_RESNET, "widths": [2, 3]},
    "resnet9": {**TINY_RESNET9, "widths": [2, 2, 3, 2]},
    "layer_norm": {**TINY_RESNET9, "widths": [2, 2, 2, 3], "normalisation": "layer"},
}
Mode = Literal["batch", "eval"]


@dataclass(frozen=True)
class Problem:
    """A network at a state, and the examples of its loss, float64."""

    network: Network
    weights: Tensor
    buffers: dict[str, Tensor]
    chunks: list[tuple[Tensor, Tensor]]

    def objective(self, mode: Mode, kept: Tensor | None = None, dtype: torch.dtype = torch.float64) -> Objective:
        """The loss as the harness has it."""
        buffers = {name: value.to(dtype) for name, value in self.buffers.items()}
        return Objective(self.network, buffers, [(x.to(dtype), y) for x, y in self.chunks], mode, kept)

    def module(self, mode: Mode) -> nn.Module:
        """The network as torch writes it, normalising by the batch or by its running statistics."""
        parameters = unflatten(self.network, self.weights[None])
        buffers = {name: value[None] for name, value in self.buffers.items()}
        module = fill(plain(self.network), parameters, buffers, 0).train(mode == "batch")
        for part in module.modules():
            if mode == "batch" and isinstance(part, nn.BatchNorm2d):
                part.running_mean = part.running_var = part.num_batches_tracked = None  # it has the batch's own only
        return module

    @property
    def places(self) -> Tensor:
        """[P] for every number of the module, in the order of its parameters, its place in the flat vector."""
        count = torch.arange(self.network.size, dtype=torch.float64)
        numbered = fill(plain(self.network), unflatten(self.network, count[None]), {}, 0)
        return nn.utils.parameters_to_vector(numbered.parameters()).detach().long()

    def hessian(self, mode: Mode) -> Tensor:
        """[P, P] by ``torch.autograd.functional.hessian`` of torch's own modules, in the order of the flat vector."""
        module = self.module(mode)
        shapes = {name: value.shape for name, value in module.named_parameters()}
        examples = sum(len(y) for _, y in self.chunks)

        def loss(vector: Tensor) -> Tensor:
            parts = vector.split([shape.numel() for shape in shapes.values()])
            values = {name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
            each = [
                F.cross_entropy(torch.func.functional_call(module, values, (x,)), y, reduction="sum")
                for x, y in self.chunks
            ]
            return torch.stack(each).sum() / examples

        there = torch.autograd.functional.hessian(loss, nn.utils.parameters_to_vector(module.parameters()).detach())
        back = self.places.argsort()
        return there[back][:, back]


def problem(name: str, sizes: Sequence[int] = (9, 6), seed: int = 0) -> Problem:
    """A network of ``NETWORKS`` with random numbers for its state, and chunks of random images."""
    network = build(NETWORKS[name], SHAPE, CLASSES)
    parameters, buffers = random_state(network, 1, seed)
    generator = torch.Generator().manual_seed(seed + 1)
    chunks = [
        (
            torch.randn(size, *SHAPE, generator=generator, dtype=torch.float64),
            torch.randint(0, CLASSES, (size,), generator=generator),
        )
        for size in sizes
    ]
    return Problem(network, flatten(network, parameters)[0], {n: v[0] for n, v in buffers.items()}, chunks)


def relative(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest entry."""
    return float((found - expected).abs().max() / expected.abs().max())
