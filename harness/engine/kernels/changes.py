"""How a block and its gradient change with the block's input and parameters: derivatives of second order.

A block is y = weight * x, a convolution; u = scale (y - mean) / sd + shift + what is added; out = a(u), the activation.
A dash is the derivative along a direction. Every direction is gone through by itself, so that its numbers stay in the
cache. With n = (y - mean) / sd, r = 1 / sd, and means over the examples and pixels of a channel,

    y' = weight * x' + weight' * x,  n' = r (y' - mean y' - n mean(n y')),
    u' = scale n' + scale' n + shift' + added',  out' = a'(u) u'.

For the gradient, g by u and g_out by out, with p = mean g and q = mean(n g),

    g = a'(u) g_out,  g_y = r scale (g - p - n q),
    g' = a'(u) g_out' + a''(u) g_out u',
    g_y' = r scale (g' - p' - n q' - n' q) + (r scale' - r² mean(n y') scale) (g - p - n q).

By running statistics n' is r y', and p and q are not there. Derivatives by the weight and by x are those of a
convolution, ``x * g_y' + x' * g_y`` and ``weight * g_y' + weight' * g_y``.

Images are [N, H, W, C, L], see ``convolution``. Of what is given, x, n, g, g_y, a' and a'' are zero in lanes beyond the
examples.
"""

from typing import Any

from harness.engine.kernels import convolution as conv
from harness.engine.kernels.activation import NONE
from harness.engine.kernels.lanes import (
    SOURCES,
    add,
    after,
    arrays_at,
    broadcast,
    clear,
    compiled,
    first,
    kept,
    load,
    multiply_add,
    store,
    total,
    width,
    zero,
)


@compiled
def _sums(y: Any, more: Any, normal: Any, slope: Any, sums: Any, adds: bool, shape: Any) -> None:
    """Adds ``more`` to y if so flagged, and sums y, n y and g y by channel: [3, C, L]."""
    chunks, pixels, channels, _ = shape
    lanes = width(y)
    clear(sums, 3 * channels * lanes)
    i = 0
    for _ in range(chunks * pixels):
        for c in range(channels):
            value = load(y, i)
            if adds:
                value = add(value, load(more, i))
                store(y, i, value)
            s = c * lanes
            store(sums, s, add(load(sums, s), value))
            s += channels * lanes
            store(sums, s, multiply_add(value, load(normal, i), load(sums, s)))
            s += channels * lanes
            store(sums, s, multiply_add(value, load(slope, i), load(sums, s)))
            i += lanes


@compiled
def _activated(
    y: Any, normal: Any, added: Any, steepness: Any, u: Any, out: Any, factors: Any, adds: bool, shape: Any
) -> None:
    """Changes u' and out' of y': factors [3, C] are those of y', of n, and what is constant."""
    chunks, pixels, channels, _ = shape
    lanes = width(y)
    i = 0
    for _ in range(chunks * pixels):
        for c in range(channels):
            value = multiply_add(
                load(normal, i), broadcast(factors, channels + c), broadcast(factors, 2 * channels + c)
            )
            value = multiply_add(load(y, i), broadcast(factors, c), value)
            if adds:
                value = add(value, load(added, i))
            store(u, i, value)
            store(out, i, multiply_add(value, load(steepness, i), zero(out)))
            i += lanes


@compiled
def _gradient(gradient: Any, steepness: Any, bend: Any, u: Any, normal: Any, sums: Any, shape: Any) -> None:
    """Writes g' in the place of u', and the sums of g' and n g' by channel: [2, C, L]."""
    chunks, pixels, channels, _ = shape
    lanes = width(u)
    clear(sums, 2 * channels * lanes)
    i = 0
    for _ in range(chunks * pixels):
        for c in range(channels):
            value = multiply_add(load(bend, i), load(u, i), zero(u))
            value = multiply_add(load(gradient, i), load(steepness, i), value)
            store(u, i, value)
            s = c * lanes
            store(sums, s, add(load(sums, s), value))
            s += channels * lanes
            store(sums, s, multiply_add(value, load(normal, i), load(sums, s)))
            i += lanes


@compiled
def _before_norm(gradient: Any, y: Any, normal: Any, slope: Any, factors: Any, shape: Any) -> None:
    """Writes g_y' in the place of y': factors [5, C] are those of g', y', n, g, and what is constant."""
    chunks, pixels, channels, examples = shape
    lanes = width(y)
    i = 0
    for n in range(chunks):
        count = examples - n * lanes
        for _ in range(pixels):
            for c in range(channels):
                f = c
                value = multiply_add(load(gradient, i), broadcast(factors, f), broadcast(factors, 4 * channels + c))
                f += channels
                value = multiply_add(load(y, i), broadcast(factors, f), value)
                f += channels
                value = multiply_add(load(normal, i), broadcast(factors, f), value)
                f += channels
                value = multiply_add(load(slope, i), broadcast(factors, f), value)
                store(y, i, first(value, count))
                i += lanes


@compiled
def _add_to(result: Any, more: Any, count: int) -> None:
    """Adds images of so many numbers."""
    lanes = width(result)
    for i in range(0, count, lanes):
        store(result, i, add(load(result, i), load(more, i)))


@kept
def forward(addresses: Any, forth: Any, shape: Any, flags: Any, like: Any, sources: int = SOURCES) -> None:
    """How a block's result changes along each of T directions.

    Args:
        addresses: of x; n, g and a' like out; weight [C out, C in, size, size]; scale and r [C out]; x' [T, like x];
            weight' [T, like weight]; scale' and shift' [T, C out]; what is added', y', u' and out' [T, like out], the
            last three written; means [T, 3, C out] of y', n y' and g y', written; room for packed weights, others,
            zeros, sums and factors.
        forth: addresses of rows and columns of the convolution.
        shape: (T, examples, N, H, W, C in, H out, W out, C out, size).
        flags: (whether x', weight', added' are there and not zero, whether the norm is by the batch).
        like: a number of the arrays' type.
        sources: see ``lanes.kept``.
    """
    directions, examples, chunks, height, wide, inputs, height_out, wide_out, outputs, size = shape
    moves, turns, adds, by_batch = flags
    (
        x, normal, slope, steepness, weight, scale, inverse, x_change, weight_change, scale_change, shift_change,
        added_change, y_change, u_change, out_change, means, packed, packed_change, zeros, sums, factors,
    ) = arrays_at(addresses, like)  # fmt: skip
    window, pixels = size * size, height_out * wide_out
    weights = outputs * inputs * window
    images_in, images = height * wide * inputs * chunks * width(x), pixels * outputs * chunks * width(x)
    counts = (chunks, height, wide, inputs, height_out, wide_out, outputs, size)
    normed = (chunks, pixels, outputs, examples)
    clear(zeros, conv.tiled(outputs))
    conv.pack(weight, packed, inputs, outputs, window, (window, inputs * window))
    for t in range(directions):
        y, u, out = after(y_change, t * images), after(u_change, t * images), after(out_change, t * images)
        mean = after(means, 3 * t * outputs)
        if moves:
            conv.correlate(
                after(x_change, t * images_in), packed, zeros, y, arrays_at(forth, 0), counts, y, (False, NONE)
            )
        elif not turns:
            clear(y, images)
        if turns:
            own = after(weight_change, t * weights)
            conv.pack(own, packed_change, inputs, outputs, window, (window, inputs * window))
            conv.correlate(x, packed_change, zeros, u if moves else y, arrays_at(forth, 0), counts, y, (False, NONE))
        _sums(y, u, normal, slope, sums, moves and turns, normed)
        for c in range(3 * outputs):
            mean[c] = total(load(sums, c * width(x))) / (examples * pixels)
        for c in range(outputs):
            if not by_batch:
                mean[c], mean[outputs + c] = 0, 0
            factor = scale[c] * inverse[c]
            factors[c] = factor
            factors[outputs + c] = scale_change[t * outputs + c] - factor * mean[outputs + c]
            factors[2 * outputs + c] = shift_change[t * outputs + c] - factor * mean[c]
        _activated(y, normal, after(added_change, t * images), steepness, u, out, factors, adds, normed)


@kept
def backward(addresses: Any, forth: Any, back: Any, shape: Any, flags: Any, like: Any, sources: int = SOURCES) -> None:
    """How the gradients by a block's input and parameters change along each of T directions.

    Args:
        addresses: of g_out' [T, like out]; x; n, g, a', a'' g_out and g_y like out; weight; scale, r, p and q [C out];
            x', weight' and scale' as given to ``forward``; y', u' and means as it left them, the first two overwritten,
            u' by g', which is the change of the gradient by what was added; the changes of the gradients by x [T, like
            x], weight, scale and shift, written; room for images like x, packed weights, others, zeros, sums of the
            convolution, sums and factors.
        forth: addresses of rows and columns of the convolution.
        back: addresses of those of the way back.
        shape: see ``forward``.
        flags: (whether x' and weight' are there and not zero, whether the norm is by the batch, whether the gradients
            by x and by the weight are wanted).
        like: see ``forward``.
        sources: see ``lanes.kept``.
    """
    directions, examples, chunks, height, wide, inputs, height_out, wide_out, outputs, size = shape
    moves, turns, by_batch, wants_x, wants_weight = flags
    (
        gradient, x, normal, slope, steepness, bend, slope_before, weight, scale, inverse, mean_slope, mean_product,
        x_change, weight_change, scale_change, y_change, u_change, means,
        x_gradient, weight_gradient, scale_gradient, shift_gradient,
        scratch, packed, packed_change, zeros, weight_sums, sums, factors,
    ) = arrays_at(addresses, like)  # fmt: skip
    window, pixels = size * size, height_out * wide_out
    weights, number = outputs * inputs * window, examples * pixels
    images_in, images = height * wide * inputs * chunks * width(x), pixels * outputs * chunks * width(x)
    counts = (chunks, height, wide, inputs, height_out, wide_out, outputs, size)
    turned = (chunks, height_out, wide_out, outputs, height, wide, inputs, size)
    normed = (chunks, pixels, outputs, examples)
    clear(zeros, conv.tiled(inputs))
    clear(weight_sums, conv.sums_of(counts) * width(x))
    conv.pack(weight, packed, outputs, inputs, window, (inputs * window, window))
    for t in range(directions):
        y, u, mean = after(y_change, t * images), after(u_change, t * images), after(means, 3 * t * outputs)
        _gradient(after(gradient, t * images), steepness, bend, u, normal, sums, normed)
        for c in range(outputs):
            r, p, q = inverse[c], mean_slope[c], mean_product[c]
            mean_y, mean_ny = mean[c], mean[outputs + c]
            p_change = total(load(sums, c * width(x))) / number
            q_change = total(load(sums, (outputs + c) * width(x))) / number
            q_change += r * (mean[2 * outputs + c] - mean_y * p - mean_ny * q)
            shift_gradient[t * outputs + c] = p_change * number
            scale_gradient[t * outputs + c] = q_change * number
            factor = scale[c] * r
            other = scale_change[t * outputs + c] * r - factor * r * mean_ny
            factors[c] = factor
            factors[3 * outputs + c] = other
            if by_batch:
                factors[outputs + c] = -factor * q * r
                factors[2 * outputs + c] = factor * (q * r * mean_ny - q_change) - other * q
                factors[4 * outputs + c] = factor * (q * r * mean_y - p_change) - other * p
            else:
                factors[outputs + c], factors[2 * outputs + c], factors[4 * outputs + c] = 0, 0, 0
        if wants_x or wants_weight:
            _before_norm(u, y, normal, slope, factors, normed)
        if wants_weight:
            conv.correlate_gradient(x, y, weight_sums, arrays_at(forth, 0), counts)
            if moves:
                own = after(x_change, t * images_in)
                conv.correlate_gradient(own, slope_before, weight_sums, arrays_at(forth, 0), counts)
            conv.collect(weight_sums, after(weight_gradient, t * weights), counts)
        if wants_x:
            result = after(x_gradient, t * images_in)
            conv.correlate(y, packed, zeros, result, arrays_at(back, 0), turned, result, (False, NONE))
            if turns:
                own = after(weight_change, t * weights)
                conv.pack(own, packed_change, outputs, inputs, window, (inputs * window, window))
                conv.correlate(
                    slope_before, packed_change, zeros, scratch, arrays_at(back, 0), turned, scratch, (False, NONE)
                )
                _add_to(result, scratch, images_in)
