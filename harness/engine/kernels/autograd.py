"""The compiled block as an operation that PyTorch differentiates."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from harness.engine.kernels.activation import CODES
from harness.engine.kernels.block import backward, forward
from harness.engine.kernels.convolution import TILE
from harness.engine.kernels.lanes import BYTES


def lanes_of(dtype: torch.dtype) -> int:
    """How many examples a vector holds."""
    return BYTES // dtype.itemsize


@dataclass(frozen=True)
class Block:
    """What a block does.

    Attributes:
        examples: of the batch; the last vector may hold more.
        stride: pixels from one place of the window to the next.
        normalises: whether batch normalisation follows the convolution.
        activation: ``relu``, ``gelu`` or ``none``, at the end; ``none`` unless it normalises.
        epsilon: added to variances.
    """

    examples: int
    stride: int = 1
    normalises: bool = True
    activation: str = "none"
    epsilon: float = 0.0


@cache
def tables_of(length: int, size: int, stride: int) -> tuple[Tensor, Tensor]:
    """Of an image of that length: the pixel that each output meets at each place, and the output that each pixel does.

    [outputs, size] and [length, size], flat, -1 where there is none. The padding is ``size // 2``. Kept for good: loops
    are told their addresses.
    """
    outputs = (length + 2 * (size // 2) - size) // stride + 1
    forth = torch.full((outputs * size,), -1)
    back = torch.full((length * size,), -1)
    for output in range(outputs):
        for place in range(size):
            pixel = output * stride + place - size // 2
            if 0 <= pixel < length:
                forth[output * size + place], back[pixel * size + place] = pixel, output
    return forth, back


def addresses_of(*tensors: Tensor | None) -> tuple[int, ...]:
    """Where the numbers of each begin; 0 for None."""
    return tuple(0 if tensor is None else tensor.data_ptr() for tensor in tensors)


def _number(value: float, dtype: torch.dtype) -> Any:
    return np.float32(value) if dtype == torch.float32 else np.float64(value)


def whole(count: int, tile: int) -> int:
    """So many in whole tiles."""
    return -(-count // tile) * tile


def room_for(x: Tensor, *counts: int) -> tuple[Tensor, list[int]]:
    """Memory for so many numbers each, and the addresses of each."""
    lanes = lanes_of(x.dtype)
    *starts, end = accumulate((whole(count, lanes) for count in counts), initial=0)
    held = x.new_empty(end)
    begin, size = held.data_ptr(), x.dtype.itemsize
    return held, [begin + start * size for start in starts]


def _contiguous(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


class _Made(NamedTuple):
    """What comes of a block, and what its way back needs.

    Attributes:
        out: images [R, N, H out, W out, C out, L].
        mean: of y, [R, C out].
        variance: the same.
        y: what the convolution gave; where that is not kept, ``out``.
        slopes: of GELU; of other activations, and where they are not kept, ``out``.
        given: x, weight, bias, scale, shift and what was added, as loops read them.
        shape: see ``block.forward``.
        tables: addresses of rows and columns, of the convolution and of the way back.
    """

    out: Tensor
    mean: Tensor
    variance: Tensor
    y: Tensor
    slopes: Tensor
    given: Sequence[Tensor | None]
    shape: tuple[int, ...]
    tables: tuple[tuple[int, ...], tuple[int, ...]]


def _made(
    x: Tensor,
    weight: Tensor,
    others: Sequence[Tensor | None],
    block: Block,
    *,
    known: tuple[Tensor, Tensor] | None = None,
    keeps: bool = False,
) -> _Made:
    """Calls the loops forward.

    Args:
        x: see ``apply``. Images that all replicas share, by a stride of 0, are not copied unless kept.
        weight: see there.
        others: bias, scale, shift and what is added, see there.
        block: what to do.
        known: mean and variance [R, C out] by which it normalises, in place of the batch's.
        keeps: whether x and y are kept for the way back.
    """
    shared = not keeps and x.stride(0) == 0 and x[0].is_contiguous()
    x = x if shared else x.contiguous()
    weight = weight.contiguous()
    bias, scale, shift, added = map(_contiguous, others)
    replicas, chunks, height, wide, inputs, lanes = x.shape
    outputs, size = weight.shape[1], weight.shape[-1]
    (rows, rows_back), (columns, columns_back) = (tables_of(n, size, block.stride) for n in (height, wide))
    height_out, wide_out = len(rows) // size, len(columns) // size
    y = x.new_empty(replicas, chunks, height_out, wide_out, outputs, lanes)
    out = torch.empty_like(y) if keeps and block.normalises else y
    slopes = torch.empty_like(y) if keeps and block.activation == "gelu" else out
    mean, variance = x.new_zeros(2, replicas, outputs).unbind() if known is None else map(Tensor.contiguous, known)
    tiled = whole(outputs, TILE)
    _held, room = room_for(x, size * size * inputs * tiled, tiled, outputs * lanes, outputs, outputs)
    given = x, weight, bias, scale, shift, added
    shape = replicas, block.examples, chunks, height, wide, inputs, height_out, wide_out, outputs, size
    tables = addresses_of(rows, columns), addresses_of(rows_back, columns_back)
    forward(
        (*addresses_of(*given, y, out, slopes, mean, variance), *room),
        tables[0],
        shape,
        0 if shared else x.stride(0),
        (bias is not None, block.normalises, added is not None, CODES[block.activation], known is not None),
        _number(block.epsilon, x.dtype),
    )
    return _Made(out, mean, variance, y, slopes, given, shape, tables)


class _Compiled(torch.autograd.Function):
    """See ``apply``."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        scale: Tensor | None,
        shift: Tensor | None,
        added: Tensor | None,
        block: Block,
    ) -> tuple[Tensor, Tensor, Tensor]:
        made = _made(x, weight, (bias, scale, shift, added), block, keeps=True)
        x_read, weight_read, _, scale_read, *_ = made.given
        ctx.save_for_backward(x_read, weight_read, scale_read, made.y, made.slopes, made.mean, made.variance)
        ctx.block, ctx.shape, ctx.biased, ctx.adds = block, made.shape, bias is not None, added is not None
        ctx.tables = made.tables
        ctx.mark_non_differentiable(made.mean, made.variance)
        ctx.set_materialize_grads(False)
        return made.out, made.mean, made.variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        block: Block = ctx.block
        saved = ctx.saved_tensors
        forth, back = ctx.tables
        x, weight, _, y, *_ = saved
        replicas, _, chunks, _, _, inputs, height_out, wide_out, outputs, size = ctx.shape
        lanes, window, tiled = x.shape[-1], size * size, whole(inputs, TILE)
        gradient = gradients[0].contiguous()
        x_gradient = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        weight_gradient = torch.empty_like(weight)
        scale_gradient, shift_gradient, bias_gradient = x.new_empty(3, replicas, outputs).unbind()
        added_gradient = torch.empty_like(y) if ctx.adds else None
        _held, room = room_for(
            x,
            window * outputs * tiled,
            window * whole(outputs, 4) * whole(inputs, 2) * lanes // 2,
            chunks * height_out * wide_out * outputs * lanes,
            2 * outputs * lanes,
            3 * outputs,
            tiled,
        )
        results = x_gradient, weight_gradient, scale_gradient, shift_gradient, bias_gradient, added_gradient
        backward(
            (*addresses_of(gradient, *saved, *results), *room),
            forth,
            back,
            ctx.shape,
            (block.normalises, ctx.adds, CODES[block.activation], ctx.needs_input_grad[0]),
            _number(block.epsilon, x.dtype),
        )
        return (
            x_gradient,
            weight_gradient,
            bias_gradient if ctx.biased else None,
            *((scale_gradient, shift_gradient) if block.normalises else (None, None)),
            added_gradient,
            None,
        )


def apply(
    x: Tensor,
    weight: Tensor,
    block: Block,
    *,
    bias: Tensor | None = None,
    norms: tuple[Tensor, Tensor] | tuple[None, None] = (None, None),
    added: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """A convolution, and what the block says of batch normalisation, addition and activation after it.

    Padded by half the window. A replica's bits depend on its own numbers only.

    Args:
        x: images in vectors of examples, [R, N, H, W, C in, L].
        weight: [R, C out, C in, size, size].
        block: what to do.
        bias: [R, C out].
        norms: scale and shift [R, C out], if it normalises.
        added: like the result, before the activation.

    Returns:
        Images [R, N, H out, W out, C out, L]; mean and variance [R, C out] of what was normalised, zeros without.
    """
    if not torch.is_grad_enabled():
        made = _made(x, weight, (bias, *norms, added), block)
        return made.out, made.mean, made.variance
    found: tuple[Tensor, Tensor, Tensor] = _Compiled.apply(x, weight, bias, *norms, added, block)  # type: ignore[no-untyped-call]
    return found


def apply_known(
    x: Tensor,
    weight: Tensor,
    block: Block,
    *,
    bias: Tensor | None = None,
    norms: tuple[Tensor, Tensor],
    statistics: tuple[Tensor, Tensor],
    added: Tensor | None = None,
) -> Tensor:
    """The same, normalised by means and variances that are known, as part of the convolution; without gradients.

    Args:
        x: see ``apply``.
        weight: see there.
        block: what to do.
        bias: see there.
        norms: scale and shift [R, C out].
        statistics: mean and variance [R, C out].
        added: see there.

    Raises:
        RuntimeError: gradients are enabled, and nobody would get any.
    """
    if torch.is_grad_enabled():
        raise RuntimeError("a block of known statistics has no gradient: call it under torch.no_grad()")
    return _made(x, weight, (bias, *norms, added), block, known=statistics).out
