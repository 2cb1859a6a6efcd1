"""Any field that a lab may give its options has another value, one that the model takes where there is one."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from harness.conformance.changes import changed
from harness.schema.base import Many, Model, Time
from harness.steps import Duration


class Inner(Model):
    """Some."""

    deep: float = 0.0


class Options(Model):
    """Fields of many kinds."""

    maybe: int | None = None
    given: Annotated[int, Field(ge=1)] | None = 3
    name: str = "some"
    path: str | None = None
    switch: bool = False
    choice: Literal["a", "b"] = "a"
    pair: tuple[int, int] = (1, 2)
    arms: Many[Literal["imp", "other"]] = ("imp", "other")
    times: Many[Time] = (Duration(0, "it"),)
    by_name: dict[str, int] = Field(default_factory=lambda: {"a": 1, "b": 2})
    inner: Inner = Inner()
    model: Inner | None = None
    odd: Any = Field(default=b"x", examples=["y"])


EXPECTED: list[tuple[str, Any]] = [
    ("maybe", 1),
    ("given", 4),
    ("given", None),
    ("name", "somex"),
    ("path", "other"),
    ("switch", True),
    ("choice", "b"),
    ("pair", (2, 2)),
    ("arms", ("other",)),
    ("times", (Duration(1, "it"),)),
    ("by_name", {"b": 2}),
    ("by_name", {"a": 1}),
    ("inner.deep", Inner(deep=0.25)),
    ("model", Inner()),
    ("odd", "y"),
]


def test_every_kind_of_field_has_another_value() -> None:
    found = [(name, getattr(copy, name.split(".")[0])) for name, copy in changed(Options())]
    assert found == EXPECTED


def test_a_field_without_a_known_value_is_told() -> None:
    class Strange(BaseModel):
        of: Any = b"x"

    with pytest.raises(LookupError, match=r"Strange\.of: .* name one that the field takes, Field\(examples="):
        list(changed(Strange()))
