"""What Pydantic finds wrong with a file, in our words: what was found, and what is allowed."""

import difflib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from harness.printable import shown
from harness.schema.document import Location

_KEY = "[key]"
"""Pydantic's last part of the place of a mapping's key."""

_Words = Callable[[Mapping[str, Any]], str]
_LIST, _MAPPING = "should be a list", "should be a mapping (field: value)"
_INTEGER, _NUMBER, _TEXT = (
    "should be an integer",
    "should be a number",
    "should be text (in quotes, if it looks like more)",
)
_SAYS: Mapping[str, str | _Words] = {
    "missing": "this field is missing",
    "union_tag_not_found": lambda context: f"the field {context['discriminator']} is missing here",
    "union_tag_invalid": lambda context: (
        f"found {context['discriminator']} {str(context['tag'])[:60]!r}; allowed: {context['expected_tags']}"
    ),
    "value_error": lambda context: str(context["error"]),
    "literal_error": lambda context: f"should be {context['expected']}",
    "greater_than": lambda context: f"should be greater than {context['gt']}",
    "greater_than_equal": lambda context: f"should be greater than or equal to {context['ge']}",
    "less_than": lambda context: f"should be less than {context['lt']}",
    "less_than_equal": lambda context: f"should be less than or equal to {context['le']}",
    "multiple_of": lambda context: f"should be a multiple of {context['multiple_of']}",
    "finite_number": "should be a finite number (.inf, .nan and what is too large to hold are none)",
    "int_type": _INTEGER,
    "int_from_float": _INTEGER,
    "int_parsing_size": "should be a smaller integer",
    "float_type": _NUMBER,
    "bool_type": "should be true or false",
    "string_type": _TEXT,
    "string_too_short": lambda context: f"should have at least {_items(context['min_length'], 'character')}",
    "string_too_long": lambda context: f"should have at most {_items(context['max_length'], 'character')}",
    "string_pattern_mismatch": lambda context: (
        "should be a name: small letters (a to z) first, digits and _ after it"
        if context["pattern"].startswith("^[a-z]")
        else f"should look like {context['pattern']}"
    ),
    "too_short": lambda context: f"should have at least {_items(context['min_length'], 'item')}",
    "too_long": lambda context: f"should have at most {_items(context['max_length'], 'item')}",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "dict_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
}
"""Kind of error -> words."""

_WHOLE = ("missing", "union_tag_not_found", "union_tag_invalid")
"""Kinds whose words stand alone."""

_OF_SIZE = ("too_short", "too_long")


def place(detail: ErrorDetails) -> Location:
    """Where an error is; for a mapping's key, the entry."""
    location = tuple(detail["loc"])
    return location[:-1] if location[-1:] == (_KEY,) else location


def details(error: ValidationError) -> list[ErrorDetails]:
    """What Pydantic found, but that a list whose items are wrong seems empty to it."""
    found = error.errors(include_url=False)
    around = {place(detail)[:depth] for detail in found for depth in range(len(place(detail)))}
    return [detail for detail in found if not (detail["type"] == "too_short" and place(detail) in around)]


def message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """An error in words.

    Args:
        detail: of Pydantic.
        model: that was validated.

    Returns:
        What was found, and what is allowed.
    """
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        location = place(detail)
        return _unknown(str(location[-1]), fields_at(model, location[:-1]))
    if kind == "missing" and (choices := _choices(model, place(detail))):
        return f"this field is missing; allowed: {choices}"
    says = _SAYS.get(kind, f"is not allowed here ({kind})")
    words = says if isinstance(says, str) else says(detail.get("ctx", {}))
    of_parts = kind == "value_error" and isinstance(value, dict | list | BaseModel)
    if kind in _WHOLE or of_parts:
        return words
    if kind in _OF_SIZE and not isinstance(value, str):
        return f"found {_items(len(value), 'item')}: {words}"
    return f"found {shown(value)}: {words}"


def _choices(model: type[BaseModel], location: Location) -> str:
    """The words that a field takes, where it takes some of a few."""
    return ", ".join(repr(word) for word in _at(model, location).get("enum", ()))


def fields_at(model: type[BaseModel], location: Location) -> list[str]:
    """The fields that a model allows at a place."""
    return sorted(_at(model, location).get("properties", {}))


def _at(model: type[BaseModel], location: Location) -> dict[str, Any]:
    """The JSON Schema of a place."""
    whole = _schema(model)
    node: dict[str, Any] = whole
    for part in location:
        node = _enter(whole, node, part)
    return _resolve(whole, node)


def _unknown(name: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(name[:80], allowed, 1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown field{hint}; allowed here: {', '.join(allowed) or 'none'}"


def _items(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _resolve(whole: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    allowed = [option for option in node.get("anyOf", ()) if option.get("type") != "null"]
    node = allowed[0] if len(allowed) == 1 else node  # a field that may be left out
    return whole["$defs"][node["$ref"].rsplit("/", 1)[-1]] if "$ref" in node else node


def _enter(whole: dict[str, Any], node: dict[str, Any], part: str | int) -> dict[str, Any]:
    node = _resolve(whole, node)
    if "discriminator" in node:
        return (
            {"$ref": node["discriminator"]["mapping"].get(part, "")} if part in node["discriminator"]["mapping"] else {}
        )
    if isinstance(part, int):
        return dict(node.get("items", {}))
    patterns = list(node.get("patternProperties", {}).values())
    extra = patterns[0] if patterns else node.get("additionalProperties")
    return dict(node.get("properties", {}).get(part) or (extra if isinstance(extra, dict) else {}))
