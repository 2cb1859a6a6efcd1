"""Convolutions of one replica, its images in vectors of examples.

Images are [N, H, W, C, L]: N vectors of L examples, so that a lane is an example and a pixel's channels lie together.
A tile of ``TILE`` outputs of one pixel stays in registers while its inputs pass by, once a weight.

Which input pixel an output pixel meets at a place of the window is in tables: ``rows`` [H out, size] and ``columns``
[W out, size], -1 outside the image.
"""

from typing import Any

from harness.engine.kernels.activation import GELU, RELU, gelu
from harness.engine.kernels.lanes import (
    add,
    after,
    broadcast,
    clear,
    compiled,
    load,
    load_half,
    multiply_add,
    store,
    total,
    where_positive,
    width,
)

TILE = 4
"""Outputs that are computed together; with L numbers each they take eight of AVX2's sixteen registers."""


@compiled
def tiled(outputs: int) -> int:
    """So many outputs in whole tiles."""
    return (outputs + TILE - 1) // TILE * TILE


@compiled
def sums_of(shape: Any) -> int:
    """How many vectors of sums ``correlate_gradient`` wants; for the shape see there."""
    _, _, _, inputs, _, _, outputs, size = shape
    return size * size * ((outputs + 3) // 4) * ((inputs + 1) // 2) * 4  # type: ignore[no-any-return]


@compiled
def pack(weight: Any, packed: Any, wide: int, outputs: int, window: int, strides: Any) -> None:
    """Weights in the order in which ``correlate`` reads them: [window, inputs, outputs], outputs in whole tiles.

    Args:
        weight: the replica's.
        packed: what is written.
        wide: inputs.
        outputs: without those that fill the last tile; they get zeros.
        window: places of it.
        strides: (of an input, of an output) in ``weight``.
    """
    stride = tiled(outputs)
    of_input, of_output = strides
    for place in range(window):
        for i in range(wide):
            row = (place * wide + i) * stride
            for o in range(stride):
                if o < outputs:
                    packed[row + o] = weight[i * of_input + o * of_output + place]
                else:
                    packed[row + o] = 0.0


@compiled
def scale(packed: Any, factors: Any, wide: int, outputs: int, window: int) -> None:
    """Multiplies what ``pack`` wrote by a factor of each output.

    Args:
        packed: what is changed.
        factors: of each output.
        wide: inputs.
        outputs: see ``pack``.
        window: places of it.
    """
    stride = tiled(outputs)
    for row in range(window * wide):
        for o in range(outputs):
            packed[row * stride + o] *= factors[o]


@compiled
def _finish(value: Any, out: Any, place: int, added: Any, flags: Any) -> None:
    """Writes a vector of outputs, after what ``correlate`` was told to do with it."""
    adds, activation = flags
    if adds:
        value = add(value, load(added, place))
    if activation == RELU:
        value = where_positive(value, value)
    elif activation == GELU:
        value, _ = gelu(value)
    store(out, place, value)


@compiled
def correlate(source: Any, packed: Any, bias: Any, out: Any, tables: Any, shape: Any, added: Any, flags: Any) -> None:
    """Each output is its bias and the sum of what its window shows, weighted; and what is added, and the activation.

    Forward that is the convolution; with inputs and outputs exchanged, and the tables of the way back, it is the
    gradient by the input.

    Args:
        source: images [N, H, W, inputs, L].
        packed: see ``pack``.
        bias: of each output, in whole tiles.
        out: images [N, H out, W out, outputs, L]: what is written.
        tables: (rows, columns).
        shape: (N, H, W, inputs, H out, W out, outputs, size of the window).
        added: images like those written; not read unless flagged. They may be the same.
        flags: (whether they are added, the code of the activation of all that).
    """
    chunks, height, wide, inputs, height_out, wide_out, outputs, size = shape
    rows, columns = tables
    lanes = width(source)
    stride = tiled(outputs)
    for n in range(chunks):
        for y in range(height_out):
            for x in range(wide_out):
                for o in range(0, outputs, TILE):
                    a = broadcast(bias, o)
                    b = broadcast(bias, o + 1)
                    c = broadcast(bias, o + 2)
                    d = broadcast(bias, o + 3)
                    for v in range(size):
                        row = rows[y * size + v]
                        if row < 0:
                            continue
                        for u in range(size):
                            column = columns[x * size + u]
                            if column < 0:
                                continue
                            i = ((n * height + row) * wide + column) * inputs * lanes
                            j = (v * size + u) * inputs * stride + o
                            for _ in range(inputs):
                                value = load(source, i)
                                a = multiply_add(broadcast(packed, j), value, a)
                                b = multiply_add(broadcast(packed, j + 1), value, b)
                                c = multiply_add(broadcast(packed, j + 2), value, c)
                                d = multiply_add(broadcast(packed, j + 3), value, d)
                                i += lanes
                                j += stride
                    i = (((n * height_out + y) * wide_out + x) * outputs + o) * lanes
                    _finish(a, out, i, added, flags)
                    if o + 1 < outputs:
                        _finish(b, out, i + lanes, added, flags)
                    if o + 2 < outputs:
                        _finish(c, out, i + 2 * lanes, added, flags)
                    if o + 3 < outputs:
                        _finish(d, out, i + 3 * lanes, added, flags)


@compiled
def _add_tile(source: Any, gradient: Any, sums: Any, columns: Any, apart: Any, pixels: Any) -> None:
    """Adds what one line of outputs gives to the sums of a tile, at one place of the window.

    Args:
        source: the line of inputs, from the tile's first channel on.
        gradient: the line of outputs, from the tile's first channel on.
        sums: of the tile, [4, 2, L / 2].
        columns: from that place of the window on.
        apart: numbers from the first output to the second, third and fourth, and from the first input to the second.
        pixels: (outputs of the line, size of the window, numbers of a pixel of the inputs, of the outputs).
    """
    o1, o2, o3, i1 = apart
    wide_out, size, input_pixel, output_pixel = pixels
    half = width(source) // 2
    a0, a1, b0, b1 = load_half(sums, 0), load_half(sums, half), load_half(sums, 2 * half), load_half(sums, 3 * half)
    sums = after(sums, 4 * half)
    c0, c1, d0, d1 = load_half(sums, 0), load_half(sums, half), load_half(sums, 2 * half), load_half(sums, 3 * half)
    for x in range(wide_out):
        column = columns[x * size]
        if column < 0:
            continue
        g, p = x * output_pixel, column * input_pixel
        for _ in range(2):
            first, second = load_half(source, p), load_half(source, p + i1)
            value = load_half(gradient, g)
            a0, a1 = multiply_add(value, first, a0), multiply_add(value, second, a1)
            value = load_half(gradient, g + o1)
            b0, b1 = multiply_add(value, first, b0), multiply_add(value, second, b1)
            value = load_half(gradient, g + o2)
            c0, c1 = multiply_add(value, first, c0), multiply_add(value, second, c1)
            value = load_half(gradient, g + o3)
            d0, d1 = multiply_add(value, first, d0), multiply_add(value, second, d1)
            g += half
            p += half
    s = -4 * half
    for value in (a0, a1, b0, b1, c0, c1, d0, d1):
        store(sums, s, value)
        s += half


@compiled
def correlate_gradient(source: Any, gradient: Any, sums: Any, tables: Any, shape: Any) -> None:
    """Adds to the gradient by each weight, in half vectors whose lanes are still to be summed.

    A tile is four outputs by two inputs. Where there are fewer, the last is taken again, for sums that nobody reads.

    Args:
        source: images [N, H, W, inputs, L].
        gradient: by [N, H out, W out, outputs, L].
        sums: [window, tiles of outputs, tiles of inputs, 4, 2, L / 2]: what is added to.
        tables: (rows, columns).
        shape: (N, H, W, inputs, H out, W out, outputs, size of the window).
    """
    chunks, height, wide, inputs, height_out, wide_out, outputs, size = shape
    rows, columns = tables
    lanes = width(source)
    pixels = (wide_out, size, inputs * lanes, outputs * lanes)
    for n in range(chunks):
        for y in range(height_out):
            line = after(gradient, (n * height_out + y) * wide_out * outputs * lanes)
            for v in range(size):
                row = rows[y * size + v]
                if row < 0:
                    continue
                given = after(source, (n * height + row) * wide * inputs * lanes)
                s = v * size * ((outputs + 3) // 4) * ((inputs + 1) // 2) * 4 * lanes
                for u in range(size):
                    for o in range(0, outputs, 4):
                        more = outputs - 1 - o
                        o1, o2, o3 = min(1, more) * lanes, min(2, more) * lanes, min(3, more) * lanes
                        for i in range(0, inputs, 2):
                            apart = (o1, o2, o3, min(1, inputs - 1 - i) * lanes)
                            _add_tile(
                                after(given, i * lanes), after(line, o * lanes), after(sums, s), after(columns, u),
                                apart, pixels,
                            )  # fmt: skip
                            s += 4 * lanes


@compiled
def collect(sums: Any, weight_gradient: Any, shape: Any) -> None:
    """The gradient by weights [outputs, inputs, size, size], of what ``correlate_gradient`` summed; sets that zero.

    Args:
        sums: see there.
        weight_gradient: what is written.
        shape: see there.
    """
    _, _, _, inputs, _, _, outputs, size = shape
    half = width(sums) // 2
    window = size * size
    across, down = (inputs + 1) // 2, (outputs + 3) // 4
    for place in range(window):
        for o in range(outputs):
            for i in range(inputs):
                tile = (place * down + o // 4) * across + i // 2
                s = ((tile * 4 + o % 4) * 2 + i % 2) * half
                weight_gradient[(o * inputs + i) * window + place] = total(load_half(sums, s))
    clear(sums, sums_of(shape) * width(sums))
