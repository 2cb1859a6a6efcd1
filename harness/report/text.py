"""Words for what the reports share: free of control characters, and neither HTML nor Markdown yet."""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.digits import fixed, plain
from harness.observation import UNITS
from harness.printable import clean

_T = TypeVar("_T")


def shorten(text: str, length: int) -> str:
    """The beginning of a text, ended by an ellipsis where something was cut.

    Args:
        text: one line.
        length: characters allowed, the ellipsis included.

    Returns:
        At most ``length`` characters, cut between words where possible.
    """
    if len(text) <= length:
        return text
    head = text[: length - 1]
    cut = head.rfind(" ")
    return (head[:cut] if cut > length // 2 else head).rstrip(" ,;:") + "…"


def evenly(values: Sequence[_T], most: int) -> list[_T]:
    """At most so many of the values, spread evenly, both ends among them.

    Args:
        values: any.
        most: at least 2.

    Returns:
        All of them where they are few enough.
    """
    if len(values) <= most:
        return list(values)
    return [values[round(at * (len(values) - 1) / (most - 1))] for at in range(most)]


def value_text(value: Any) -> str:
    """A plain value as a reader wants it: yes and no, numbers without noise, lists with commas.

    Args:
        value: what JSON can hold, or anything with a sensible ``str``.

    Returns:
        One line or more of clean text.
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return plain(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {value_text(item)}" for key, item in value.items()) or "none"
    if isinstance(value, Set):
        return value_text(sorted(value, key=str))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return ", ".join(value_text(item) for item in value) or "none"
    return clean(str(value))


_BEFORE_UNIT = re.compile(
    rf"(?<=[\d\])]) (?=(?:{'|'.join(map(re.escape, filter(None, UNITS)))})(?!\w))|(?<=\bn) (?==)|(?<=\bn =) "
)
"""The blank between a number, or the end of its interval, and a unit; those of "n = 5"."""


def unbroken(text: str) -> str:
    """A text whose numbers stay on one line with their units, and with what they are the number of.

    Args:
        text: any text.

    Returns:
        The same with no-break spaces there.
    """
    return _BEFORE_UNIT.sub("\u00a0", text)


@dataclass(frozen=True)
class Row:
    """A line of a table of nested values; ``value`` is None where deeper rows follow."""

    label: str
    value: str | None
    depth: int


def rows(values: Mapping[Any, Any], depth: int = 0) -> Iterator[Row]:
    """Nested mappings as the rows of a table, parents before children.

    Args:
        values: nested plain values.
        depth: of the outermost rows.

    Yields:
        Rows in the mapping's order.
    """
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield Row(clean(str(key)), None, depth)
            yield from rows(value, depth + 1)
        else:
            yield Row(clean(str(key)), value_text(value), depth)


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 job", "12,000 jobs".

    Args:
        number: how many.
        noun: in the singular, with a plural in s.

    Returns:
        Both.
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def seconds_text(seconds: float) -> str:
    """A time in the units of its size: "0.8 s", "42 s", "3 min 20 s", "2 h 5 min".

    Args:
        seconds: wall time.

    Returns:
        At most two units.
    """
    if seconds < 9.95:
        return f"{fixed(seconds, 1)} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    big, small, names = (whole // 60, whole % 60, ("min", "s"))
    if whole >= 3600:
        big, small, names = (*divmod(round(whole / 60), 60), ("h", "min"))
    return f"{big} {names[0]}" + (f" {small} {names[1]}" if small else "")


def bytes_text(size: int) -> str:
    """A size in decimal units: "4.2 MB".

    Args:
        size: in bytes.

    Returns:
        The size with its unit.
    """
    amount = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 99.5 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
