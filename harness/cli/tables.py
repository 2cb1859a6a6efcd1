"""Tables on a terminal of any width, in which no word is broken: an id can be copied as it stands."""

from collections.abc import Sequence
from typing import Literal

from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from harness.cli.console import Printer, line

Head = tuple[str, Literal["left", "right"]]
"""A column: its name, and where its cells stand."""

_BORDERS = 3
"""Columns of the terminal beside each cell, and one more."""
_INDENT = "    "


def show(printer: Printer, heads: Sequence[Head], rows: Sequence[Sequence[str | Text]]) -> None:
    """Prints a table; where the terminal is too narrow for its words, a line a cell in place of it.

    Args:
        printer: the console.
        heads: the columns.
        rows: of as many cells; the first names the row.
    """
    cells = [[cell if isinstance(cell, Text) else line(cell) for cell in row] for row in rows]
    needed = [_needed(printer, [line(name), *column]) for (name, _), *column in zip(heads, *cells, strict=True)]
    room = printer.width - _BORDERS * len(heads) - 1
    if sum(size.minimum for size in needed) > room:
        _listed(printer, heads, cells)
        return
    table = Table()
    for (name, justify), width in zip(heads, _widths(needed, room), strict=True):
        table.add_column(name, justify=justify, width=width)
    for row in cells:
        table.add_row(*row)
    printer.print(table, soft_wrap=False)


def _needed(printer: Printer, column: Sequence[Text]) -> Measurement:
    """From the longest word of a column to its longest cell."""
    sizes = [Measurement.get(printer, printer.options, cell) for cell in column]
    return Measurement(max(size.minimum for size in sizes), max(size.maximum for size in sizes))


def _widths(needed: Sequence[Measurement], room: int) -> list[int]:
    """Widths that fit: each column has its longest word, and what is left goes to those that would take more."""
    spare = room - sum(size.minimum for size in needed)
    wished = sum(size.span for size in needed)
    if wished <= spare:
        return [size.maximum for size in needed]
    return [size.minimum + spare * size.span // wished for size in needed]


def _listed(printer: Printer, heads: Sequence[Head], rows: Sequence[Sequence[Text]]) -> None:
    for first, *rest in rows:
        printer.print(first)
        for (name, _), cell in zip(heads[1:], rest, strict=True):
            printer.print(Text.assemble(_INDENT, line(name), ": ", cell))
