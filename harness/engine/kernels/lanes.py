"""Vectors of numbers within compiled loops: as many of a type as fill 64 bytes, or half of them.

Numba leaves to LLVM which loops become vectors, and how they sum. Here a loop says so itself: a value of type ``Lanes``
is a vector of LLVM, the functions below are what loops do with it. What comes out does not depend on how wide a
processor's registers are: each lane is rounded by itself, and lanes are summed in one order. (Only a processor that
cannot multiply and add in one rounding gives other last bits.)

Arrays are where their numbers begin; places in them are not checked.
"""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

BYTES = 64
"""Of a vector: a line of the cache, two registers of AVX2, one of AVX-512."""

_Function = TypeVar("_Function", bound=Callable[..., Any])
_INDEX = ir.IntType(32)
_OPTIONS = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
SOURCES = int.from_bytes(
    sha256(b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))).digest()[:7]
)
"""Of all files of this folder, by which it is known whether what was compiled is still what they say."""


def compiled(function: _Function) -> _Function:
    """A function that loops call: compiled with the first of them.

    Without ``fastmath``: no sum is taken in another order than the one that is written.
    """
    made: _Function = njit(**_OPTIONS)(function)
    return made


def kept(function: _Function) -> _Function:
    """A function that Python calls: compiled at its first call, and kept on disk for later processes.

    Numba keeps it beside its source, or else among the user's own caches; where neither can be written, every process
    compiles it anew. What is kept is taken for a call whose types are the same, and for the source file as it is; of
    the functions that it calls Numba knows nothing. So it has an argument that nobody gives, ``SOURCES``, which is part
    of its type by being a default.
    """
    try:
        made: _Function = njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no folder for the cache can be written
        made = compiled(function)
    return made


class Lanes(types.Type):  # type: ignore[misc]
    """The type of a vector."""

    def __init__(self, dtype: Any, count: int) -> None:
        self.dtype, self.count = dtype, count
        super().__init__(name=f"Lanes({dtype}, {count})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        number = ir.FloatType() if lanes.dtype == types.float32 else ir.DoubleType()
        super().__init__(manager, lanes, ir.VectorType(number, lanes.count))


def emitted(function: Callable[..., Any]) -> Any:
    """What compiled loops call, told by what it emits."""
    return intrinsic(function)


def _size(dtype: Any) -> int:
    return int(dtype.bitwidth) // 8


def _lanes(dtype: Any, parts: int = 1) -> Lanes:
    return Lanes(dtype, BYTES // _size(dtype) // parts)


def _pointer(builder: Any, arguments: Any) -> Any:
    """Where the second argument is in the array that is the first."""
    return builder.gep(arguments[0], [arguments[1]])


def _splat(builder: Any, number: Any, vector: Any) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INDEX, vector.count), None))


def _loading(array: Any, lanes: Lanes) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = context.get_value_type(lanes)
        place = builder.bitcast(_pointer(builder, arguments), vector.as_pointer())
        return builder.load(place, align=_size(array.dtype))

    return lanes(array, types.intp), generate


@emitted
def arrays_at(_: Any, addresses: Any, like: Any) -> Any:
    """The arrays of numbers of ``like``'s type that begin at some addresses: these cost a call less than arrays."""
    found = types.UniTuple(types.CPointer(types.unliteral(like)), addresses.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = context.get_value_type(found.dtype)
        places = cgutils.unpack_tuple(builder, arguments[0])
        return context.make_tuple(builder, found, [builder.inttoptr(place, pointer) for place in places])

    return found(addresses, like), generate


@emitted
def after(_: Any, array: Any, count: Any) -> Any:
    """The array without its first so many numbers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _pointer(builder, arguments)

    return array(array, types.intp), generate


@emitted
def width(_: Any, array: Any) -> Any:
    """How many numbers of an array's type a vector has."""
    count = _lanes(array.dtype).count

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_constant(types.intp, count)

    return types.intp(array), generate


@emitted
def load(_: Any, array: Any, place: Any) -> Any:
    """The vector that begins at a place."""
    return _loading(array, _lanes(array.dtype))


@emitted
def load_half(_: Any, array: Any, place: Any) -> Any:
    """The half vector that begins at a place."""
    return _loading(array, _lanes(array.dtype, 2))


@emitted
def store(_: Any, array: Any, place: Any, value: Any) -> Any:
    """Writes a vector, or a half, from a place on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        where = builder.bitcast(_pointer(builder, arguments), arguments[2].type.as_pointer())
        builder.store(arguments[2], where, align=_size(array.dtype))
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@emitted
def broadcast(_: Any, array: Any, place: Any) -> Any:
    """The number at a place in every lane."""
    lanes = _lanes(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number = builder.load(_pointer(builder, arguments))
        return _splat(builder, number, context.get_value_type(lanes))

    return lanes(array, types.intp), generate


def _every_lane(operation: Callable[..., Any]) -> Any:
    """The intrinsic of vectors of one type that gives one more."""

    @emitted
    def two(_: Any, a: Any, b: Any) -> Any:
        return a(a, a), lambda context, builder, signature, arguments: operation(builder, *arguments)

    return two


add = _every_lane(lambda builder, a, b: builder.fadd(a, b))
subtract = _every_lane(lambda builder, a, b: builder.fsub(a, b))
multiply = _every_lane(lambda builder, a, b: builder.fmul(a, b))


@emitted
def multiply_add(_: Any, a: Any, b: Any, c: Any) -> Any:
    """The product of a and b, and c, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = arguments[0].type
        name = f"llvm.fmuladd.v{vector.count}f{a.dtype.bitwidth}"
        known = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        return builder.call(known, arguments)

    return a(a, a, a), generate


@emitted
def where_positive(_: Any, a: Any, b: Any) -> Any:
    """b, but zero where a is zero or less: where a is NaN, b."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        zero = ir.Constant(arguments[0].type, None)
        return builder.select(builder.fcmp_ordered("<=", arguments[0], zero), zero, arguments[1])

    return a(a, a), generate


@emitted
def first(_: Any, a: Any, count: Any) -> Any:
    """a, but zero in all lanes after the first so many."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, wanted = arguments
        numbers = ir.VectorType(wanted.type, value.type.count)
        lane = ir.Constant(numbers, list(range(numbers.count)))
        kept = builder.icmp_signed("<", lane, _splat(builder, wanted, numbers))
        return builder.select(kept, value, ir.Constant(value.type, None))

    return a(a, types.intp), generate


@emitted
def total(_: Any, a: Any) -> Any:
    """The sum of all lanes: those of the second half are added to those of the first, until one is left."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (value,) = arguments
        while value.type.count > 1:
            half = value.type.count // 2
            parts = [
                builder.shuffle_vector(
                    value, value, ir.Constant(ir.VectorType(_INDEX, half), list(range(start, start + half)))
                )
                for start in (0, half)
            ]
            value = builder.fadd(*parts)
        return builder.extract_element(value, ir.Constant(_INDEX, 0))

    return a.dtype(a), generate


@compiled
def clear(array: Any, count: int) -> None:
    """Sets the first so many numbers zero."""
    for place in range(count):
        array[place] = 0


@emitted
def where_beaten(_: Any, a: Any, b: Any, otherwise: Any, then: Any) -> Any:
    """``then`` where b is greater than a, or NaN; ``otherwise`` elsewhere."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        held, rival, kept, taken = arguments
        greater = builder.or_(builder.fcmp_ordered(">", rival, held), builder.fcmp_unordered("uno", rival, rival))
        return builder.select(greater, taken, kept)

    return a(a, a, a, a), generate


@emitted
def zero(_: Any, array: Any) -> Any:
    """The vector of zeros."""
    lanes = _lanes(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return ir.Constant(context.get_value_type(lanes), None)

    return lanes(array), generate
