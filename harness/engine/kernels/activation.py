"""The activations that loops know by code, and GELU of vectors, with its slope.

GELU of x is x P(x), its slope P(x) + x p(x), with the distribution function P and the density p of the normal
distribution (Hendrycks & Gimpel 2016). Both come of the tail of a = |x|,

    1 - P(a) = exp(-a^2 / 2) t T(s),    t = 1 / (a + 4),    s = (a - 4) t.

T is a polynomial that meets what it stands for at Chebyshev points of -1 < s < 1, and so for all a (as Shepherd &
Laframboise 1981 have it for erfc; with 4 few coefficients do). The exponential is 2^(n + f), with n whole and f within
half of zero: a polynomial of f likewise, times a number whose exponent is n. There is no branch, table or call, and
each operation is rounded by itself.

Errors are a few times those of rounding: see ``tests/engine/kernels/test_activation.py``. Of infinite numbers both are
NaN; below -13.3 in single precision (-37.7 in double) both are zero.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from harness.engine.kernels.lanes import emitted

NONE, RELU, GELU = range(3)
CODES = {"none": NONE, "relu": RELU, "gelu": GELU}
"""What loops call the activations of ``Layers.block``."""

_FROM = 4.0


@dataclass(frozen=True)
class _Format:
    """What a type of numbers needs.

    Attributes:
        mantissa: bits of it that are stored.
        bias: of its exponent.
        power: coefficients of 2^f, of the constant first.
        tail: those of T.
    """

    mantissa: int
    bias: int
    power: Sequence[float]
    tail: Sequence[float]


_SINGLE = _Format(
    23,
    127,
    (
        1.0, 0.6931472067028329, 0.24022650922289554, 0.05550327226669895, 0.00961805667843204, 0.0013400428177711937,
        0.00015461444724808513,
    ),
    (
        0.7552851272364403, -0.6078965955977318, 0.3871375594944382, -0.1865241843160793, 0.06039531343028783,
        -0.007521255530326183, -0.0034761964604280503, 0.001575752081489768, 0.00012934012317415976,
        -0.00016261631581073743,
    ),
)  # fmt: skip
_DOUBLE = _Format(
    52,
    1023,
    (
        1.0000000000000007, 0.6931471805599483, 0.24022650695901254, 0.055504108664544756, 0.00961812911053657,
        0.0013333558214738293, 0.00015403526882354606, 1.525266622014565e-05, 1.3217210256367588e-06,
        1.0206977921453389e-07, 6.767963482574983e-09,
    ),
    (
        0.7552851304157504, -0.6078966419718811, 0.3871374007424928, -0.18652185796069495, 0.06039657487951071,
        -0.007540188941470282, -0.0034796921889222523, 0.0016308181893227448, 0.00013334289700753818,
        -0.00023109341448002702, -1.9017398302540339e-06, 3.5139645288703104e-05, 6.979627112323302e-07,
        -5.910091440554133e-06, -5.951332069493058e-07, 1.0097172181131295e-06, 2.3050784277683832e-07,
        -1.4802262033227022e-07, -5.444873469085406e-08, 1.3051477219068438e-08, 6.30609246696847e-09,
    ),
)  # fmt: skip


class _Emitter:
    """Emits what is made of vectors like one of these."""

    def __init__(self, builder: Any, like: Any) -> None:
        self._builder, self._vector = builder, like.type
        single = isinstance(like.type.element, ir.FloatType)
        self._format, bits = (_SINGLE, 32) if single else (_DOUBLE, 64)
        self._whole = ir.VectorType(ir.IntType(bits), like.type.count)
        self._multiply_add, self._magnitude = (
            cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(like.type, [like.type] * count),
                f"llvm.{name}.v{like.type.count}f{bits}",
            )
            for name, count in (("fmuladd", 3), ("fabs", 1))
        )

    def _number(self, value: float) -> Any:
        return ir.Constant(self._vector, [value] * self._vector.count)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        return self._builder.call(self._multiply_add, (a, b, c))

    def _polynomial(self, x: Any, coefficients: Sequence[float]) -> Any:
        value = self._number(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            value = self.multiply_add(value, x, self._number(coefficient))
        return value

    def scaled(self, x: Any, factor: float) -> Any:
        return self._builder.fmul(x, self._number(factor))

    def bell(self, x: Any) -> Any:
        """exp(-x^2 / 2): zero where it would have less than the least exponent."""
        builder, mantissa, bias = self._builder, self._format.mantissa, self._format.bias
        exponent, least = self.scaled(builder.fmul(x, x), -0.5 / math.log(2)), self._number(-bias)
        exponent = builder.select(builder.fcmp_ordered("<", exponent, least), least, exponent)
        shift = self._number(1.5 * 2**mantissa + bias)  # so large that a sum with it is whole, its last bits n + bias
        shifted = builder.fadd(exponent, shift)
        rest = builder.fsub(exponent, builder.fsub(shifted, shift))
        moved = ir.Constant(self._whole, [mantissa] * self._whole.count)
        power = builder.bitcast(builder.shl(builder.bitcast(shifted, self._whole), moved), self._vector)
        return builder.fmul(self._polynomial(rest, self._format.power), power)

    def distribution(self, x: Any, bell: Any) -> Any:
        """P(x)."""
        builder, one, start = self._builder, self._number(1.0), self._number(_FROM)
        a = builder.call(self._magnitude, (x,))
        t = builder.fdiv(one, builder.fadd(a, start))
        s = builder.fmul(builder.fsub(a, start), t)
        tail = builder.fmul(builder.fmul(bell, t), self._polynomial(s, self._format.tail))
        return builder.select(builder.fcmp_ordered(">", x, self._number(0.0)), builder.fsub(one, tail), tail)


@emitted
def gelu(_: Any, x: Any) -> Any:
    """GELU of a vector, and its slope there."""
    found = types.UniTuple(x, 2)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        emit = _Emitter(builder, value)
        bell = emit.bell(value)
        distribution = emit.distribution(value, bell)
        slope = emit.multiply_add(emit.scaled(value, 1 / math.sqrt(2 * math.pi)), bell, distribution)
        return context.make_tuple(builder, found, [builder.fmul(value, distribution), slope])

    return found(x), generate
