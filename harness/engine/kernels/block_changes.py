"""A block of a small residual network at a state, and how compiled loops carry changes through it and back.

What does not change along a direction is computed once, in double precision by PyTorch's operations.

Suffixes: T direction, N vector of examples, L lane.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.engine.kernels.autograd import addresses_of, lanes_of, room_for, tables_of, whole
from harness.engine.kernels.changes import backward, forward
from harness.engine.kernels.convolution import TILE
from harness.engine.kernels.recorded import Seen
from harness.engine.networks.layers import NORM_EPSILON


class Block:
    """A block at a state, in vectors of examples, and how it changes."""

    def __init__(
        self,
        seen: Seen,
        gradients: tuple[Tensor, Tensor, Tensor],
        held: Mapping[str, Tensor],
        by_batch: bool,
        dtype: torch.dtype,
    ) -> None:
        """Gradients are those by y, u and out; ``held`` has parameters and running statistics [...]."""
        self.source, self.added, self.by_batch = seen.source, seen.added, by_batch
        x, y, u, out = (tensor.detach() for tensor in seen.tensors)
        variance, mean = torch.var_mean(y, (0, 2, 3), correction=0)
        if not by_batch:
            variance, mean = held[f"{seen.norm}.variance"], held[f"{seen.norm}.mean"]
        inverse = (variance + NORM_EPSILON).rsqrt()
        normal = (y - mean[:, None, None]) * inverse[:, None, None]
        g_y, g, g_out = gradients
        steepness, bend = _slopes(u, seen.activation)
        self.images = [_vectors(t, dtype) for t in (normal, g, steepness, bend * g_out, g_y)]
        self.x = _vectors(x, dtype)
        weight, scale = held[seen.weight], held[f"{seen.norm}.scale"]
        by_channel = scale, inverse, g.mean((0, 2, 3)), (g * normal).mean((0, 2, 3))
        self.weight = weight.to(dtype).contiguous()
        self.by_channel = [one.to(dtype).contiguous() for one in by_channel]
        chunks, height, wide, inputs, lanes = self.x.shape
        outputs, size = weight.shape[0], weight.shape[-1]
        (rows, rows_back), (columns, columns_back) = (tables_of(n, size, seen.stride) for n in (height, wide))
        self._forth, self._back = addresses_of(rows, columns), addresses_of(rows_back, columns_back)
        self.shape = len(x), chunks, height, wide, inputs, out.shape[2], out.shape[3], outputs, size
        self.sizes = [weight.numel(), outputs, outputs]
        window = size * size
        self._room_forward = (
            *(window * inputs * whole(outputs, TILE),) * 2,
            whole(outputs, TILE),
            3 * outputs * lanes,
            3 * outputs,
        )
        self._room_backward = (
            self.x.numel(),
            *(window * outputs * whole(inputs, TILE),) * 2,
            whole(inputs, TILE),
            window * whole(outputs, 4) * whole(inputs, 2) * lanes // 2,
            2 * outputs * lanes,
            5 * outputs,
        )

    def push(self, x: Tensor | None, added: Tensor | None, parts: tuple[Tensor, Tensor, Tensor]) -> "Moved":
        """The change of the result: of changes of the input, of what is added, and of the parameters [T, size]."""
        weight, scale, shift = (part.contiguous() for part in parts)
        count = len(weight)
        y, u, out = self.x.new_empty(3, count, *self.images[0].shape).unbind()
        means = self.x.new_empty(count, 3, self.shape[-2])
        turns = bool(weight.any())
        _held, room = room_for(self.x, *self._room_forward)
        normal, slope, steepness, *_ = self.images
        forward(
            (
                *addresses_of(self.x, normal, slope, steepness, self.weight, *self.by_channel[:2]),
                *addresses_of(x, weight, scale, shift, added, y, u, out, means),
                *room,
            ),
            self._forth,
            (count, *self.shape),
            (x is not None, turns, added is not None, self.by_batch),
            _one(self.x.dtype),
        )
        return Moved(y, u, out, means, x, weight, scale, turns)

    def pull(
        self, gradient: Tensor, moved: "Moved", *, wants_x: bool, wants_weight: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Changes of the gradients by the input, by what was added, and by the parameters; spoils ``moved``."""
        count, like = len(gradient), self.x
        x_gradient = like.new_empty(count, *like.shape) if wants_x else like
        parts = [like.new_empty(count, size) for size in self.sizes]
        _held, room = room_for(like, *self._room_backward)
        normal, slope, steepness, bend, before = self.images
        backward(
            (
                *addresses_of(gradient, like, normal, slope, steepness, bend, before, self.weight, *self.by_channel),
                *addresses_of(moved.x, moved.weight, moved.scale, moved.y, moved.u, moved.means),
                *addresses_of(x_gradient, *parts),
                *room,
            ),
            self._forth,
            self._back,
            (count, *self.shape),
            (moved.x is not None, moved.turns, self.by_batch, wants_x, wants_weight),
            _one(like.dtype),
        )
        return x_gradient, moved.u, parts


@dataclass(frozen=True)
class Moved:
    """How a block changed along T directions: what ``Block.push`` found, and what it was given."""

    y: Tensor
    u: Tensor
    out: Tensor
    means: Tensor
    x: Tensor | None
    weight: Tensor
    scale: Tensor
    turns: bool


def _slopes(u: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    """First and second derivative of an activation; with φ the normal density and Φ its integral, GELU is u Φ(u)."""
    if activation == "relu":
        return (u > 0).to(u), torch.zeros_like(u)
    if activation == "gelu":
        density = (-u * u / 2).exp() / math.sqrt(2 * math.pi)
        return torch.special.ndtr(u) + u * density, (2 - u * u) * density
    return torch.ones_like(u), torch.zeros_like(u)


def _vectors(images: Tensor, dtype: torch.dtype) -> Tensor:
    """[B, C, H, W] in vectors of examples [N, H, W, C, L], filled up with zeros."""
    lanes = lanes_of(dtype)
    filled = F.pad(images.detach().to(dtype), [0, 0] * 3 + [0, -len(images) % lanes])
    vectors: Tensor = filled.unflatten(0, (-1, lanes)).permute(0, 3, 4, 2, 1).contiguous()
    return vectors


def _one(dtype: torch.dtype) -> Any:
    return np.float32(1) if dtype == torch.float32 else np.float64(1)
