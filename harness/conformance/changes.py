"""Other values of a model's fields, of their kind: a field that decides something shows in what they change."""

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from harness.steps import Duration

_FIRST: typing.Mapping[type, Any] = types.MappingProxyType(
    {int: 1, float: 0.25, str: "other", bool: True, Duration: Duration(1, "it")}
)
"""Values where a field has none."""


def changed(model: BaseModel, skip: frozenset[str] = frozenset()) -> Iterator[tuple[str, Any]]:
    """(field, copy of the model in which it differs), of all fields and those within them.

    A field whose other values cannot be guessed names one: ``Field(examples=[...])``.

    Args:
        model: any.
        skip: fields that are left out.

    Raises:
        LookupError: no other value of a field is known.
    """
    for name, field in type(model).model_fields.items():
        if name in skip or _is_tag(field.annotation):
            continue
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            for inner, other in changed(value):
                yield f"{name}.{inner}", model.model_copy(update={name: other})
        else:
            copies = [model.model_copy(update={name: other}) for other in _others_of(field, value)]
            if not copies:
                raise LookupError(
                    f"{type(model).__name__}.{name}: no other value than {value!r} of {field.annotation} is known "
                    "here: name one that the field takes, Field(examples=[...])"
                )
            sound = [copy for copy in copies if _is_sound(copy)] or copies
            yield from ((name, copy) for copy in (sound[:1] if isinstance(value, tuple) else sound))


def _others_of(field: FieldInfo, value: Any) -> list[Any]:
    named = [example for example in field.examples or () if example != value]
    return named or list(_others(field.annotation, value))


def _others(annotation: Any, value: Any) -> Iterator[Any]:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        yield from _others(arguments[0], value)
    elif origin in (types.UnionType, typing.Union):
        members = [member for member in arguments if member is not type(None)]
        yield from (other for member in members for other in _others(member, value))
        if value is not None and len(members) < len(arguments):
            yield None
    elif origin is Literal:
        yield from (choice for choice in arguments if choice != value)
    elif isinstance(value, tuple):
        yield from (value[:number] + value[number + 1 :] for number in range(len(value)) if len(value) > 1)
        if value and arguments:
            yield from ((other, *value[1:]) for other in _others(arguments[0], value[0]))
    elif isinstance(value, dict):
        yield from ({name: value[name] for name in value if name != left_out} for left_out in value if len(value) > 1)
    elif value is None:
        if annotation in _FIRST:
            yield _FIRST[annotation]
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield annotation()
    elif annotation is type(value) or not isinstance(annotation, type):
        yield from _next(value)


def _next(value: Any) -> Iterator[Any]:
    match value:
        case bool():
            yield not value
        case int():
            yield value + 1
        case float():
            yield value * 0.5 if value else 0.25
        case str():
            yield f"{value}x"
        case Duration():
            yield Duration(value.count + 1, value.unit)


def _is_sound(model: BaseModel) -> bool:
    """Whether a copy is a value of its model."""
    try:
        type(model).model_validate({name: getattr(model, name) for name in type(model).model_fields})
    except ValidationError:
        return False
    return True


def _is_tag(annotation: Any) -> bool:
    """Whether a field only says which member of a union this is."""
    return typing.get_origin(annotation) is Literal and len(typing.get_args(annotation)) == 1
