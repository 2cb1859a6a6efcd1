"""YAML text to plain values, with the line of each. A small, safe part of YAML 1.2.

No tags, no anchors and aliases (a spec is the whole truth, read from top to bottom), no duplicate keys, and
numbers and booleans as YAML 1.2 has them (``1e-4`` is a number, ``no`` is a word).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness.errors import RequestError

MAX_BYTES = 1 << 20
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LONGEST_NUMBER = 40
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
Location = tuple[str | int, ...]


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


def read(path: Path) -> Document:
    """Reads a YAML file.

    Raises:
        RequestError: missing, too large, not text, not YAML, or outside the part of YAML that specs may use.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise RequestError(f"{path}: {size:,} bytes; a spec has at most {MAX_BYTES:,}. Is this the right file?")
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(f"{path}: not UTF-8 text (byte {error.start}). Save it as UTF-8") from error
    except OSError as error:
        raise RequestError(
            f"{path}: cannot be read ({error.strerror}). Name an existing spec file (in a container: a mounted one)"
        ) from error
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            _refuse(path, event)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Location, int] = {}
        value = _value(path, node, (), lines) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise RequestError(f"{path}:{line}: not YAML: {error.problem or error.context}. Mend this line") from error
    except yaml.YAMLError as error:
        raise RequestError(f"{path}: not YAML: {error}") from error
    except RecursionError as error:
        raise RequestError(f"{path}: nested too deeply for a spec") from error
    return Document(path, value, lines)


def _refuse(path: Path, event: yaml.Event) -> None:
    line = event.start_mark.line + 1 if event.start_mark else 1
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        raise RequestError(f"{path}:{line}: anchors and aliases are not allowed in a spec. Write the value out")
    tag = getattr(event, "tag", None)
    if tag:
        raise RequestError(f"{path}:{line}: the tag {tag!r} is not allowed in a spec. Remove it")


def _value(path: Path, node: yaml.Node, place: Location, lines: dict[Location, int]) -> Any:
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise RequestError(f"{path}:{line}: a key must be a word")
            key = key_node.value
            if key in found:
                first = lines[(*place, key)]
                raise RequestError(f"{path}:{line}: the key {key!r} is given twice (first on line {first}). Keep one")
            lines[(*place, key)] = line
            found[key] = _value(path, value_node, (*place, key), lines)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(path, item, (*place, index), lines) for index, item in enumerate(node.value)]
    return _scalar(node)


def _scalar(node: yaml.Node) -> Any:
    text = node.value
    if getattr(node, "style", None) is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if len(text) > _LONGEST_NUMBER:
        return text
    if _INTEGER.fullmatch(text):
        return int(text.replace("_", ""))
    return float(text) if _FLOAT.fullmatch(text) else text
