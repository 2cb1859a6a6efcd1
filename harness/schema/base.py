"""The base of every model of a spec, and its value types."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
)
from pydantic_core import core_schema

from harness.printable import unprintable
from harness.steps import Duration

MOST_ITEMS = 1000
"""Of a list in a spec."""


class Model(BaseModel):
    """Frozen; unknown fields are errors; values are not coerced (``"0.1"`` is no number)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class _DurationSchema:
    """Teaches Pydantic to read, write and describe ``Duration``."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def read(value: object) -> Duration:
            return value if isinstance(value, Duration) else Duration.parse(value)

        return core_schema.no_info_plain_validator_function(read, serialization=core_schema.to_string_ser_schema())

    @staticmethod
    def __get_pydantic_json_schema__(schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": r"^[0-9]+\s*(it|ep)$", "examples": ["2000it", "3ep"]}


def line(text: str) -> str:
    """The text.

    Raises:
        ValueError: it is more than one line, or has control characters.
    """
    character = unprintable(text)
    if character:
        raise ValueError(
            f"the character {character} cannot stand in it: text is one line (a long one is broken without a sign, or "
            "with '>-'), without characters that command a terminal or turn the direction of reading"
        )
    return text


def _number(value: object) -> object:
    """A literal 1 takes whatever equals 1: true and 1.0 too."""
    if isinstance(value, bool | float):
        raise ValueError("should be 1, a whole number")
    return value


Version = Annotated[Literal[1], BeforeValidator(_number)]
"""The version of a file's format: 1 is the only one so far."""

Time = Annotated[Duration, _DurationSchema]
"""A length of training with its unit, "2000it" or "3ep"."""


def _computable(value: float) -> float:
    if value and not LEAST <= abs(value) <= MOST:
        raise ValueError(
            f"this is 0 or infinite in float32: write a number of size {LEAST:g} to {MOST:g}, or 0 where that is "
            "allowed"
        )
    return value


LEAST, MOST = 1e-37, 1e38
"""Sizes of numbers other than 0 that float32 holds with all its digits."""
Number = Annotated[float, AfterValidator(_computable)]
Fraction = Annotated[Number, Field(gt=0, lt=1)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Margin = Annotated[float, Field(gt=0)]
"""A difference between results, which nothing computes with in float32."""
Decay = Annotated[Number, Field(ge=0, le=1 - 1e-6)]
"""What is kept of a running mean or a velocity; what is nearer to 1 is 1 in float32."""
Count = Annotated[int, Field(ge=1, le=10**9)]
Hundreds = Annotated[int, Field(ge=1, le=10_000)]
"""A count of what is computed one by one, or kept side by side."""
Chains = Annotated[int, Field(ge=1, le=10**6)]
"""Simulated walks side by side."""
Width = Annotated[int, Field(ge=1, le=100_000)]
"""Features or channels of a layer."""
Seed = Annotated[int, Field(ge=0, le=10**15)]
"""Whole in every reader of JSON, whose numbers are doubles."""
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=80)]
Line = AfterValidator(line)
"""Of text: one line without control characters."""
Text = Annotated[str, Field(min_length=1, max_length=2000), Line]
_T = TypeVar("_T")
Many = Annotated[tuple[_T, ...], Strict(False), Field(max_length=MOST_ITEMS)]
"""A list."""
