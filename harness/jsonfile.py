"""JSON from files that anybody may have written: bounded in size and depth, every key once, every number finite."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from harness.files import read_regular
from harness.printable import shown

_Read = TypeVar("_Read")

LARGEST = 64 << 20
"""Bytes of a file, where its reader names no other limit."""

DEEPEST = 64
"""Lists and objects within one another."""

Kind = Literal["verdicts", "report", "baseline", "sensitivity"]
"""Files that commands write and other commands are given."""

_WRITTEN_BY: Mapping[Kind, str] = {
    "verdicts": "a verdicts file, as `harness measure` writes",
    "report": "the machine report of a spec, as `harness verify` writes",
    "baseline": "a baseline, as `harness regress --update` writes",
    "sensitivity": "a file of `harness sensitivity`",
}
_FIELDS: Mapping[Kind, Set[str]] = {
    "report": {"id", "scale", "claims", "spec_path"},
    "baseline": {"spec", "scale", "history", "content"},
    "sensitivity": {"spec", "scale", "comparisons"},
}
"""Those by which a kind is told from the others; verdicts have the names of specs in their place."""

_LARGEST_INTEGER = 2**64
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""Also one that does not end, up to the text's end: else every quote in it would begin another search."""
_SHOWN = 60
"""Letters of what was found that are told."""


def read(path: Path, limit: int = LARGEST) -> Any:
    """The value in a JSON file.

    Args:
        path: of the file, a regular one.
        limit: the most bytes that it may have.

    Raises:
        OSError: it cannot be opened or read.
        ValueError: it is no such file, or its text is none that ``parse`` takes; in words that follow its name.
    """
    return parse(read_regular(path, limit))


def read_as(
    path: Path, validate: Callable[[bytes], _Read], name: str, *, kind: Kind | None = None, limit: int = LARGEST
) -> _Read:
    """What a model makes of a JSON file that ``parse`` takes too, which is stricter than a model's own reading.

    Args:
        path: of the file, a regular one.
        validate: of the model, such as ``model_validate_json``.
        name: of such files in a sentence.
        kind: of such files, so that those of another kind are told.
        limit: the most bytes that it may have.

    Raises:
        OSError: it cannot be opened or read.
        ValueError: it is no such file; in words that follow its name.
    """
    try:
        content = read_regular(path, limit)
        value = parse(content)
    except ValueError as error:
        raise ValueError(f"is no {name}: the file {error}") from error
    try:
        return validate(content)
    except ValidationError as error:
        other = "" if kind is None else unlike(value, kind)
        raise ValueError(other or f"is no {name}: {told(error)}") from error


def parse(content: bytes) -> Any:
    """The value of a JSON text (RFC 8259) that is read the same by everybody.

    Raises:
        ValueError: the text is not UTF-8 or no JSON; or it has ``NaN``, ``Infinity`` or a number beyond the range of
            float64, an integer beyond 64 bits, a key twice in an object, half of a surrogate pair, or lists and
            objects more than ``DEEPEST`` deep. In words that follow the file's name.
    """
    try:
        text = content.decode("utf-8")
        _require_shallow(text)
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_finite,
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError as error:
        raise ValueError(f"is not UTF-8 ({error})") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error})") from error
    return value


def unlike(value: Any, wanted: Kind) -> str:
    """That a value is of another kind than a reader wants, for the end of a sentence that begins with the file's name.

    Args:
        value: of a file.
        wanted: what it should be.

    Returns:
        "is no verdicts file but a baseline, ...", or nothing where the value is of the wanted kind or of none.

    Examples:
        >>> from harness.jsonfile import unlike
        >>> unlike({"spec": "imp", "scale": "toy", "comparisons": []}, "verdicts")
        'is no verdicts file but a file of `harness sensitivity`'
    """
    kind = _kind(value)
    if kind is None or kind == wanted:
        return ""
    name = {"verdicts": "verdicts file", "report": "machine report", "sensitivity": "file of sensitivity"}
    return f"is no {name.get(wanted, wanted)} but {_WRITTEN_BY[kind]}"


def _kind(value: Any) -> Kind | None:
    if not isinstance(value, dict):
        return None
    for kind, fields in _FIELDS.items():
        if fields <= value.keys():
            return kind
    claims = [claim for spec in value.values() if isinstance(spec, dict) for claim in spec.values()]
    return "verdicts" if claims and all(isinstance(claim, dict) and "verdict" in claim for claim in claims) else None


def told(error: ValidationError) -> str:
    """The first problem that a model has with a value, with its field, and what was found."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"])) or "the whole"
    return f"{place}: {first['msg']}, found {shown(first['input'])}"


def _require_shallow(text: str) -> None:
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    depth = 0
    for sign in re.findall(r"[][{}]", _STRING.sub("", text)):
        depth += 1 if sign in "[{" else -1
        if depth > DEEPEST:
            raise ValueError(f"has lists or objects nested more than {DEEPEST} deep")


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"has the key {name[:_SHOWN]!r} twice in one object")
        members[name] = value
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"has {name}, which is no number of JSON")


def _integer(text: str) -> int:
    if len(text) > len(str(-_LARGEST_INTEGER)) or abs(int(text)) >= _LARGEST_INTEGER:
        raise ValueError(f"has an integer of more than 64 bits, {text[:_SHOWN]}")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"has a number beyond the range of float64, {text[:_SHOWN]}")
    return value
