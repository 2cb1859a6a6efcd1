"""A convolution with batch normalisation, shortcut and activation behind it, forward and backward, replica by replica.

So a replica's numbers stay in the cache from one part to the next, and do not depend on what is computed beside it.
Arrays are told by their addresses, each of a contiguous tensor that ``autograd`` keeps meanwhile.
"""

import math
from typing import Any

from harness.engine.kernels import convolution as conv
from harness.engine.kernels import normalisation as norm
from harness.engine.kernels.activation import NONE
from harness.engine.kernels.lanes import SOURCES, after, arrays_at, clear, kept, width


@kept
def forward(
    addresses: Any, tables: Any, shape: Any, apart: int, flags: Any, epsilon: Any, sources: int = SOURCES
) -> None:
    """All replicas, one after the other.

    Args:
        addresses: of x [R, N, H, W, C in, L]; weight [R, C out, C in, size, size]; bias, scale, shift [R, C out]; what
            is added, like the result; y and out, written: what the convolution gives and what comes of that, which may
            be one; slopes of GELU, written, or out again; mean and variance of y [R, C out], written unless known; room
            for packed weights, a tiled bias, sums, factors and offsets. What the flags leave out is not read, nor out
            and slopes written without normalisation.
        tables: addresses of rows and columns, see ``convolution``.
        shape: (R, examples, N, H, W, C in, H out, W out, C out, size).
        apart: numbers from one replica's x to the next's; 0 where all see the same.
        flags: (biased, normalised, added, the activation's code, known): whether it normalises by mean and variance as
            they are. Then the convolution's weights and bias do so, and y, out and slopes are one.
        epsilon: added to variances; a number of the arrays' type.
        sources: see ``lanes.kept``.
    """
    replicas, examples, chunks, height, wide, inputs, height_out, wide_out, outputs, size = shape
    biased, normalises, adds, activation, known = flags
    (
        x, weight, bias, scale, shift, added, y, out, slopes, mean, variance,
        packed, tiled_bias, sums, factors, offsets,
    ) = arrays_at(addresses, epsilon)  # fmt: skip
    window, pixels = size * size, height_out * wide_out
    images = pixels * outputs * chunks * width(x)
    counts = (chunks, height, wide, inputs, height_out, wide_out, outputs, size)
    normed = (chunks, pixels, outputs, examples)
    clear(tiled_bias, conv.tiled(outputs))
    for r in range(replicas):
        own_y, own_mean, own_variance = after(y, r * images), after(mean, r * outputs), after(variance, r * outputs)
        own_added, own_out = after(added, r * images), after(out, r * images)
        if biased:
            for c in range(outputs):
                tiled_bias[c] = bias[r * outputs + c]
        own_weight = after(weight, r * outputs * inputs * window)
        conv.pack(own_weight, packed, inputs, outputs, window, (window, inputs * window))
        if known:
            for c in range(outputs):
                factors[c] = scale[r * outputs + c] / math.sqrt(own_variance[c] + epsilon)
                offset = bias[r * outputs + c] - own_mean[c] if biased else -own_mean[c]
                tiled_bias[c] = shift[r * outputs + c] + offset * factors[c]
            conv.scale(packed, factors, inputs, outputs, window)
        own_x, then = after(x, r * apart), (known and adds, activation if known else NONE)
        conv.correlate(own_x, packed, tiled_bias, own_y, arrays_at(tables, 0), counts, own_added, then)
        if normalises and not known:
            norm.moments(own_y, own_mean, own_variance, sums, normed)
            for c in range(outputs):
                factors[c] = scale[r * outputs + c] / math.sqrt(own_variance[c] + epsilon)
                offsets[c] = shift[r * outputs + c]
            own_slopes, do = after(slopes, r * images), (adds, activation)
            norm.normalise(own_y, own_added, own_out, own_slopes, factors, offsets, own_mean, do, normed)


@kept
def backward(
    addresses: Any, forth: Any, back: Any, shape: Any, flags: Any, epsilon: Any, sources: int = SOURCES
) -> None:
    """All replicas, one after the other.

    Args:
        addresses: of the gradient by out; x, weight, scale, y, slopes, mean, variance, as ``forward`` left them; the
            gradients by x, weight, scale, shift, bias and what was added, all written: by x if wanted, by the last if
            something was added; room for packed weights, sums of the convolution, the gradient by y, sums, factors and
            a bias of zeros.
        forth: addresses of rows and columns of the convolution.
        back: addresses of those of the way back.
        shape: see ``forward``.
        flags: (normalised, added, the activation's code, whether the gradient by x is wanted).
        epsilon: see ``forward``.
        sources: see ``lanes.kept``.
    """
    replicas, examples, chunks, height, wide, inputs, height_out, wide_out, outputs, size = shape
    normalises, adds, activation, wanted = flags
    (
        gradient, x, weight, scale, y, slopes, mean, variance,
        x_gradient, weight_gradient, scale_gradient, shift_gradient, bias_gradient, added_gradient,
        packed, weight_sums, inner, sums, factors, zeros,
    ) = arrays_at(addresses, epsilon)  # fmt: skip
    window, pixels = size * size, height_out * wide_out
    weights = outputs * inputs * window
    images_in, images = height * wide * inputs * chunks * width(x), pixels * outputs * chunks * width(x)
    counts = (chunks, height, wide, inputs, height_out, wide_out, outputs, size)
    turned = (chunks, height_out, wide_out, outputs, height, wide, inputs, size)
    normed = (chunks, pixels, outputs, examples)
    clear(weight_sums, conv.sums_of(counts) * width(x))
    clear(zeros, conv.tiled(inputs))
    for r in range(replicas):
        own_y, own_slopes, own_gradient = after(y, r * images), after(slopes, r * images), after(gradient, r * images)
        own_x, own_weight, channel = after(x, r * images_in), after(weight, r * weights), r * outputs
        own_mean, own_variance = after(mean, channel), after(variance, channel)
        kept = after(added_gradient, r * images) if adds else inner
        norm.activated_gradient(own_slopes, own_gradient, own_y, kept, own_mean, sums, activation, normed)
        by_channel = after(scale_gradient, channel), after(shift_gradient, channel), after(bias_gradient, channel)
        norm.channel_gradients(
            sums, own_variance, after(scale, channel), normalises, epsilon, by_channel, factors, normed
        )
        norm.normalised_gradient(own_y, kept, inner, own_mean, factors, normed)
        conv.correlate_gradient(own_x, inner, weight_sums, arrays_at(forth, 0), counts)
        conv.collect(weight_sums, after(weight_gradient, r * weights), counts)
        if wanted:
            conv.pack(own_weight, packed, outputs, inputs, window, (inputs * window, window))
            own_result = after(x_gradient, r * images_in)
            conv.correlate(inner, packed, zeros, own_result, arrays_at(back, 0), turned, own_result, (False, NONE))
