"""YAML text to plain values, with the line of each. A small, safe part of YAML 1.2.

No tags, no anchors and aliases (a spec is the whole truth, read from top to bottom), no duplicate keys, and
numbers, truth values and null as the core schema of YAML 1.2 has them (section 10.3.2: ``1e-4`` and ``060`` are
numbers, ``no`` is a word). A file is read within bounds of its size, its depth and the number of its values.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import RequestError
from harness.files import read_regular
from harness.printable import one_line

MAX_BYTES = 1 << 18
MAX_DEPTH = 50
MAX_VALUES = 20_000
"""Keys, scalars, lists and mappings of a file; a file of that many is read within a second or so."""

_LIBYAML: Callable[[str], Any] | None = getattr(yaml, "CSafeLoader", None)
"""The parser of the library libyaml, twenty times as fast as PyYAML's own; None where PyYAML was built without it.

What it accepts is taken. What it refuses is read by PyYAML's own, which has the words for what is wrong.
"""
_READ_IN_TWO_WAYS = "\t?"
"""A file with one of these is read by PyYAML's own parser: it refuses some of which libyaml makes a value."""

_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]{1,40}|0x[0-9a-fA-F]{1,32}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST_INTEGER = 40
"""Characters; a longer one is read as a float, which no field for a whole number accepts."""
_WORDS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
Location = tuple[str | int, ...]


_LONGEST_NAME = 80
"""Letters of a part of a place that are told."""


@dataclass(frozen=True)
class Document:
    """A read file.

    Attributes:
        path: the file.
        value: dicts, lists and scalars.
        lines: location -> line number, from 1; a mapping's entry has the line of its key.
    """

    path: Path
    value: Any
    lines: dict[Location, int]

    def line(self, location: Location) -> int:
        """Line of the place, or of the nearest place around it that is in the file.

        Parts that are not in the file (the names that Pydantic gives to the members of a union) are passed over.
        """
        known: Location = ()
        for part in location:
            if (*known, part) in self.lines:
                known = (*known, part)
        return self.lines.get(known, 1)

    def place(self, location: Location) -> str:
        """File, line and field, as errors have them."""
        return f"{self.path}:{self.line(location)}: {self._dotted(location)}"

    def _dotted(self, location: Location) -> str:
        """The place as a reader writes it, without the names that Pydantic gives to the members of a union."""
        text = ""
        known: Location = ()
        for number, part in enumerate(location, start=1):
            here: Location = (*known, part)
            if here in self.lines:
                known = here
            elif number < len(location):
                continue
            name = str(part)[:_LONGEST_NAME]
            text += f"[{name}]" if isinstance(part, int) else f".{name}" if text else name
        return text or "the file"


def read(path: Path) -> Document:
    """Reads a YAML file.

    Raises:
        RequestError: missing, no regular file, too large, not text, not YAML, or outside the part of YAML that specs
            may use.
    """
    name = one_line(str(path))
    try:
        text = read_regular(path, MAX_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(f"{name}: not UTF-8 text (byte {error.start}). Save it as UTF-8") from error
    except ValueError as error:
        raise RequestError(f"{name}: {error}. Is this the right file? It should be a short text") from error
    except OSError as error:
        raise RequestError(
            f"{name}: cannot be read ({error.strerror}). Name an existing file (in a container: a mounted one)"
        ) from error
    if _LIBYAML is not None and not any(character in text for character in _READ_IN_TWO_WAYS):
        reader = _Reader(name, _LIBYAML)
        with suppress(RequestError, yaml.YAMLError):
            return Document(path, reader.document(text), reader.lines)
    reader = _Reader(name, yaml.SafeLoader)
    try:
        return Document(path, reader.document(text), reader.lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise RequestError(f"{name}:{line}: not YAML: {error.problem or error.context}. Mend this line") from error


class _Reader:
    """Builds the values of one document from its events, so that what is too large is refused on the way.

    Args:
        name: of the file, as errors have it.
        loader: gives the events.
    """

    def __init__(self, name: str, loader: Callable[[str], Any]) -> None:
        self.lines: dict[Location, int] = {}
        self._name = name
        self._loader = loader
        self._values = 0

    def document(self, text: str) -> Any:
        events = self._events(text)
        next(events)
        if isinstance(next(events), yaml.StreamEndEvent):
            self.lines[()] = 1
            return None
        value = self._value(next(events), events, ())
        next(events)
        if not isinstance(end := next(events), yaml.StreamEndEvent):
            raise self._error(_line(end), "not YAML: another document begins here. Make it a file of its own")
        return value

    def _error(self, line: int, words: str) -> RequestError:
        return RequestError(f"{self._name}:{line + 1}: {words}")

    def _events(self, text: str) -> Iterator[yaml.Event]:
        try:
            loader = self._loader(text)
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position)
            raise self._error(line, f"not YAML: the character U+{error.character:04X} cannot stand in it") from error
        following: Callable[[], yaml.Event | None] = loader.get_event
        try:
            while (event := following()) is not None:
                self._refuse(event)
                yield event
        except (ValueError, OverflowError) as error:  # of chr(), for an escape beyond Unicode
            raise self._error(loader.line, "not YAML: an escape of a character that Unicode does not have") from error
        finally:
            loader.dispose()

    def _refuse(self, event: yaml.Event) -> None:
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._error(line, "anchors and aliases are not allowed here. Write the value out")
        tag = getattr(event, "tag", None)
        if tag:
            raise self._error(line, f"the tag {tag!r} is not allowed here. Remove it")
        if isinstance(event, yaml.NodeEvent):
            self._values += 1
        if self._values > MAX_VALUES:
            raise self._error(line, f"more than {MAX_VALUES:,} values are too many. Is this the right file?")

    def _value(self, event: yaml.Event, events: Iterator[yaml.Event], place: Location) -> Any:
        self.lines.setdefault(place, _line(event) + 1)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if len(place) >= MAX_DEPTH:
            raise self._error(_line(event), f"nested too deeply: more than {MAX_DEPTH} levels")
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, place)
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._value(event, events, (*place, len(items))))
        return items

    def _mapping(self, events: Iterator[yaml.Event], place: Location) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(line, "a key must be a word")
            key = self._text(event)
            if key in mapping:
                first = self.lines[(*place, key)]
                raise self._error(line, f"the key {key!r} is given twice (first on line {first}). Keep one")
            self.lines[(*place, key)] = line + 1
            mapping[key] = self._value(next(events), events, (*place, key))
        return mapping

    def _text(self, event: yaml.ScalarEvent) -> str:
        """A scalar's text; JSON writes a character beyond U+FFFF as the escapes of its two surrogates."""
        text: str = event.value
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError as error:
            words = "half of a surrogate pair is no character. Write the character itself, or both halves"
            raise self._error(_line(event), words) from error

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text = self._text(event)
        if event.style:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _BASED.fullmatch(text):
            return int(text, 0)
        if _INTEGER.fullmatch(text) and len(text) <= _LONGEST_INTEGER:
            return int(text)
        if _NOT_FINITE.fullmatch(text):
            return float(text.replace(".", ""))
        return float(text) if _FLOAT.fullmatch(text) else text


def _line(event: yaml.Event) -> int:
    """Number of the line on which an event begins, from 0."""
    return event.start_mark.line if event.start_mark else 0
