"""Batch normalisation of one replica, its images in vectors of examples [N, H, W, C, L].

Of the last vector only some lanes are examples: ``examples`` counts those of all. What the others hold enters no sum,
and their gradient is zero.
"""

import math
from typing import Any

from harness.engine.kernels.activation import GELU, RELU, gelu
from harness.engine.kernels.lanes import (
    add,
    broadcast,
    clear,
    compiled,
    first,
    load,
    multiply,
    multiply_add,
    store,
    subtract,
    total,
    where_positive,
    width,
)


@compiled
def moments(y: Any, mean: Any, variance: Any, sums: Any, shape: Any) -> None:
    """Mean and variance (of the examples, not of what they are drawn from) of each channel, in two passes.

    Args:
        y: images.
        mean: of each channel: what is written.
        variance: the same.
        sums: room for [C, L].
        shape: (N, pixels, C, examples).
    """
    chunks, pixels, channels, examples = shape
    lanes = width(y)
    clear(sums, channels * lanes)
    for n in range(chunks):
        count = examples - n * lanes
        i = n * pixels * channels * lanes
        for _ in range(pixels):
            for c in range(channels):
                store(sums, c * lanes, add(load(sums, c * lanes), first(load(y, i), count)))
                i += lanes
    for c in range(channels):
        mean[c] = total(load(sums, c * lanes)) / (examples * pixels)
    clear(sums, channels * lanes)
    for n in range(chunks):
        count = examples - n * lanes
        i = n * pixels * channels * lanes
        for _ in range(pixels):
            for c in range(channels):
                away = first(subtract(load(y, i), broadcast(mean, c)), count)
                store(sums, c * lanes, multiply_add(away, away, load(sums, c * lanes)))
                i += lanes
    for c in range(channels):
        variance[c] = total(load(sums, c * lanes)) / (examples * pixels)


@compiled
def normalise(
    y: Any,
    added: Any,
    out: Any,
    slopes: Any,
    factors: Any,
    offsets: Any,
    mean: Any,
    flags: Any,
    shape: Any,
) -> None:
    """(y - mean) times a factor, an offset, what is added, and of all that the activation.

    Args:
        y: images.
        added: the same; not read unless flagged.
        out: the same; what is written.
        slopes: the same; where GELU's are written, before ``out``, which may be the same if nobody wants them.
        factors: of each channel.
        offsets: of each channel.
        mean: of each channel.
        flags: (whether something is added, the activation's code).
        shape: (N, pixels, C, examples).
    """
    chunks, pixels, channels, _ = shape
    adds, activation = flags
    lanes = width(y)
    i = 0
    for _ in range(chunks * pixels):
        for c in range(channels):
            away = subtract(load(y, i), broadcast(mean, c))
            value = multiply_add(away, broadcast(factors, c), broadcast(offsets, c))
            if adds:
                value = add(value, load(added, i))
            if activation == RELU:
                value = where_positive(value, value)
            elif activation == GELU:
                value, slope = gelu(value)
                store(slopes, i, slope)
            store(out, i, value)
            i += lanes


@compiled
def activated_gradient(
    slopes: Any,
    gradient: Any,
    y: Any,
    result: Any,
    mean: Any,
    sums: Any,
    activation: int,
    shape: Any,
) -> None:
    """The gradient by what the activation was of, zero beyond the examples; its sums.

    Args:
        slopes: GELU's, or what came of ReLU; not read without activation.
        gradient: by what came of the replica's images.
        y: what was normalised, the same.
        result: flat, from ``result_start`` on: what is written.
        mean: of each channel.
        sums: [2, C, L]: what is written, of each channel the sum of the result and of its product with y - mean, lanes
            still to be summed.
        activation: its code.
        shape: (N, pixels, C, examples).
    """
    chunks, pixels, channels, examples = shape
    lanes = width(y)
    clear(sums, 2 * channels * lanes)
    i = 0
    for n in range(chunks):
        count = examples - n * lanes
        for _ in range(pixels):
            for c in range(channels):
                value = load(gradient, i)
                if activation == RELU:
                    value = where_positive(load(slopes, i), value)
                elif activation == GELU:
                    value = multiply(load(slopes, i), value)
                value = first(value, count)
                store(result, i, value)
                away = first(subtract(load(y, i), broadcast(mean, c)), count)
                s, t = c * lanes, (channels + c) * lanes
                store(sums, s, add(load(sums, s), value))
                store(sums, t, multiply_add(value, away, load(sums, t)))
                i += lanes


@compiled
def channel_gradients(
    sums: Any,
    variance: Any,
    scale: Any,
    normalises: bool,
    epsilon: float,
    results: Any,
    factors: Any,
    shape: Any,
) -> None:
    """Gradients by what each channel has one of, and the factors of ``normalised_gradient``.

    Args:
        sums: see ``activated_gradient``.
        variance: of each channel.
        scale: the same.
        normalises: whether there was any normalisation; then a bias before it changes nothing.
        epsilon: added to the variance.
        results: gradients by (scale, shift, bias): what is written.
        factors: [3, C], what is written.
        shape: (N, pixels, C, examples).
    """
    _, pixels, channels, examples = shape
    scale_gradient, shift_gradient, bias_gradient = results
    lanes = width(sums)
    for c in range(channels):
        plain, product = total(load(sums, c * lanes)), total(load(sums, (channels + c) * lanes))
        if normalises:
            inverse = 1.0 / math.sqrt(variance[c] + epsilon)
            factor = scale[c] * inverse
            scale_gradient[c], shift_gradient[c], bias_gradient[c] = product * inverse, plain, 0
            factors[c] = factor
            factors[channels + c] = -factor * inverse * inverse * product / (examples * pixels)
            factors[2 * channels + c] = -factor * plain / (examples * pixels)
        else:
            bias_gradient[c] = plain
            factors[c], factors[channels + c], factors[2 * channels + c] = 1, 0, 0


@compiled
def normalised_gradient(
    y: Any,
    gradient: Any,
    result: Any,
    mean: Any,
    factors: Any,
    shape: Any,
) -> None:
    """The gradient by the images, of that by what they were normalised to: a * gradient + b * (y - mean) + c.

    Args:
        y: images.
        gradient: flat, from ``gradient_start`` on.
        result: flat: what is written; it may be the gradient.
        mean: of each channel.
        factors: [3, C], a, b and c of each channel.
        shape: (N, pixels, C, examples).
    """
    chunks, pixels, channels, examples = shape
    lanes = width(y)
    i = 0
    for n in range(chunks):
        count = examples - n * lanes
        for _ in range(pixels):
            for c in range(channels):
                away = subtract(load(y, i), broadcast(mean, c))
                value = multiply_add(away, broadcast(factors, channels + c), broadcast(factors, 2 * channels + c))
                value = multiply_add(load(gradient, i), broadcast(factors, c), value)
                store(result, i, first(value, count))
                i += lanes
