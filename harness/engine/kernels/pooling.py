"""The greatest of every 2 x 2 pixels, of images in vectors of examples, forward and backward.

As PyTorch has it: of equals the first is the greatest, NaN is greater than all, and what does not fill a window is left
out.
"""

from typing import Any

import torch
from torch import Tensor

from harness.engine.kernels.lanes import SOURCES, arrays_at, kept, load, store, where_beaten, width, zero


@kept
def _forward(addresses: Any, shape: Any, like: Any, sources: int = SOURCES) -> None:
    """All images.

    Args:
        addresses: of images [N, H, W, C, L], and of [N, H // 2, W // 2, C, L], written.
        shape: (N, H, W, C).
        like: a number of the arrays' type.
        sources: see ``lanes.kept``.
    """
    source, result = arrays_at(addresses, like)
    images, height, wide, channels = shape
    lanes = width(source)
    pixel, line, j = channels * lanes, wide * channels * lanes, 0
    for n in range(images):
        for y in range(height // 2):
            for x in range(wide // 2):
                i = ((n * height + 2 * y) * wide + 2 * x) * pixel
                for _ in range(channels):
                    most = load(source, i)
                    for place in (i + pixel, i + line, i + line + pixel):
                        rival = load(source, place)
                        most = where_beaten(most, rival, most, rival)
                    store(result, j, most)
                    i += lanes
                    j += lanes


@kept
def _backward(addresses: Any, shape: Any, like: Any, sources: int = SOURCES) -> None:
    """All images; the gradient by them is zero before.

    Args:
        addresses: of images [N, H, W, C, L], of the gradient by [N, H // 2, W // 2, C, L], and of the gradient by the
            images, written.
        shape: (N, H, W, C).
        like: a number of the arrays' type.
        sources: see ``lanes.kept``.
    """
    source, gradient, result = arrays_at(addresses, like)
    images, height, wide, channels = shape
    lanes = width(source)
    pixel, line, j = channels * lanes, wide * channels * lanes, 0
    nothing = zero(source)
    for n in range(images):
        for y in range(height // 2):
            for x in range(wide // 2):
                i = ((n * height + 2 * y) * wide + 2 * x) * pixel
                for _ in range(channels):
                    g = load(gradient, j)
                    a, b = load(source, i), load(source, i + pixel)
                    c, d = load(source, i + line), load(source, i + line + pixel)
                    by_a, by_b, most = (
                        where_beaten(a, b, g, nothing),
                        where_beaten(a, b, nothing, g),
                        where_beaten(a, b, a, b),
                    )
                    by_a, by_b = where_beaten(most, c, by_a, nothing), where_beaten(most, c, by_b, nothing)
                    by_c, most = where_beaten(most, c, nothing, g), where_beaten(most, c, most, c)
                    by_a, by_b = where_beaten(most, d, by_a, nothing), where_beaten(most, d, by_b, nothing)
                    by_c, by_d = where_beaten(most, d, by_c, nothing), where_beaten(most, d, nothing, g)
                    store(result, i, by_a)
                    store(result, i + pixel, by_b)
                    store(result, i + line, by_c)
                    store(result, i + line + pixel, by_d)
                    i += lanes
                    j += lanes


class _Pooled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.contiguous()
        replicas, chunks, height, wide, channels, lanes = x.shape
        result = x.new_empty(replicas, chunks, height // 2, wide // 2, channels, lanes)
        ctx.save_for_backward(x)
        ctx.shape = replicas * chunks, height, wide, channels
        _forward((x.data_ptr(), result.data_ptr()), ctx.shape, x.new_zeros(()).numpy()[()])
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        gradient, result = gradients[0].contiguous(), torch.zeros_like(x)
        _backward((x.data_ptr(), gradient.data_ptr(), result.data_ptr()), ctx.shape, x.new_zeros(()).numpy()[()])
        return result


def pool_max(x: Tensor) -> Tensor:
    """[R, N, H, W, C, L] to [R, N, H // 2, W // 2, C, L]."""
    found: Tensor = _Pooled.apply(x)  # type: ignore[no-untyped-call]
    return found
