"""``Layers`` over images in vectors of examples, for compiled loops.

Images are [R, N, H, W, C, L]: N vectors of L examples. A batch that does not fill the last is filled with zeros, which
go along and touch nothing: normalisation leaves them out, and no gradient comes back from them.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.engine.kernels.autograd import Block, apply, apply_known, lanes_of
from harness.engine.kernels.pooling import pool_max
from harness.engine.networks.layers import NORM_EPSILON, Layers


class CompiledLayers(Layers):
    """Layers on the CPU."""

    _examples = 0

    def images(self, x: Tensor) -> Tensor:
        """The input [B, R, C, H, W] as images in vectors of examples."""
        self._examples, replicas = x.shape[:2]
        lanes = lanes_of(x.dtype)
        x = x[:, :1] if x.stride(1) == 0 else x  # all see the same: once in memory
        filled = F.pad(x, [0, 0] * 4 + [0, -len(x) % lanes]) if len(x) % lanes else x
        vectors: Tensor = filled.unflatten(0, (-1, lanes))
        return vectors.permute(2, 0, 4, 5, 3, 1).contiguous().expand(replicas, *[-1] * 5)

    def channels(self, x: Tensor) -> int:
        """C of images."""
        return x.shape[4]

    def convolve(
        self, x: Tensor, name: str, channels: int, size: int, *, stride: int = 1, biased: bool = False
    ) -> Tensor:
        """See ``Layers``."""
        block = Block(self._examples, stride, normalises=False)
        return apply(x, self._parameters[f"{name}.weight"], block, bias=self._bias(name, biased))[0]

    def block(
        self,
        x: Tensor,
        name: str,
        channels: int,
        size: int,
        *,
        norm: str,
        normalisation: str = "batch",
        activation: str = "none",
        stride: int = 1,
        biased: bool = False,
        added: Tensor | None = None,
    ) -> Tensor:
        """See ``Layers``: in one, but for layer normalisation, and gradients at running statistics."""
        if normalisation != "batch" or (not self._normalises_by_batch and torch.is_grad_enabled()):
            return super().block(
                x, name, channels, size, norm=norm, normalisation=normalisation, activation=activation, stride=stride,
                biased=biased, added=added,
            )  # fmt: skip
        block = Block(self._examples, stride, activation=activation, epsilon=NORM_EPSILON)
        weight, bias = self._parameters[f"{name}.weight"], self._bias(name, biased)
        norms = self._parameters[f"{norm}.scale"], self._parameters[f"{norm}.shift"]
        running = self._buffers[f"{norm}.mean"], self._buffers[f"{norm}.variance"]
        if not self._normalises_by_batch:
            return apply_known(x, weight, block, bias=bias, norms=norms, statistics=running, added=added)
        out, *moments = apply(x, weight, block, bias=bias, norms=norms, added=added)
        if self._keeps_statistics:
            self._move_statistics(running, moments, self._examples * out.shape[2] * out.shape[3])
        return out

    def _move_statistics(self, running: Sequence[Tensor], moments: Sequence[Tensor], count: int) -> None:
        """Running means and variances by their share; the variance is that of what the batch is drawn from."""
        drawn_from = count / (count - 1) if count > 1 else math.nan
        for held, new, factor in zip(running, moments, (1.0, drawn_from), strict=True):
            held.mul_(1 - self._momentum).add_(new, alpha=self._momentum * factor)

    def batch_norm(self, x: Tensor, name: str, *, epsilon: float = NORM_EPSILON) -> Tensor:
        """See ``Layers``."""
        return self._folded(x, lambda images: super(CompiledLayers, self).batch_norm(images, name, epsilon=epsilon))

    def layer_norm(self, x: Tensor, name: str) -> Tensor:
        """See ``Layers``."""
        scale, shift = (
            self._parameters[f"{name}.{which}"][:, None, None, None, :, None] for which in ("scale", "shift")
        )
        variance, mean = torch.var_mean(x, (2, 3, 4), correction=0, keepdim=True)
        factor = torch.rsqrt(variance + NORM_EPSILON) * scale
        return torch.addcmul(shift - mean * factor, x, factor)

    def pool_max(self, x: Tensor) -> Tensor:
        """See ``Layers``."""
        return pool_max(x)

    def pool_max_all(self, x: Tensor) -> Tensor:
        """See ``Layers``."""
        return super().pool_max_all(self._fold(x))

    def pool_all(self, x: Tensor) -> Tensor:
        """See ``Layers``."""
        return x.mean((2, 3)).transpose(2, 3).flatten(1, 2)[:, : self._examples]

    def _bias(self, name: str, biased: bool) -> Tensor | None:
        return self._parameters[f"{name}.bias"] if biased else None

    def _folded(self, x: Tensor, operation: Callable[[Tensor], Tensor]) -> Tensor:
        """What an operation of images with replicas folded into the channels makes of these."""
        y = operation(self._fold(x)).unflatten(1, (self.replicas, -1))
        examples = self._examples
        images = self.images(y)
        self._examples = examples
        return images

    def _fold(self, x: Tensor) -> Tensor:
        """[R, N, H, W, C, L] to [B, R*C, H, W]."""
        return x.permute(1, 5, 0, 4, 2, 3).flatten(0, 1).flatten(1, 2)[: self._examples]
