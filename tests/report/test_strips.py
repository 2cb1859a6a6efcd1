"""Panels side by side, and strips of blocks."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from harness.figure import Figure, Panel, Series, Span
from harness.report.figures.draw import svg

_SVG = "{http://www.w3.org/2000/svg}"
LINES = [Series("a line", "test", [0, 10, 100], [1.0, 2.0, 3.0], panel=panel) for panel in range(3)]
PANELS = Figure("panels", "Title", "Caption", "iteration", "first", LINES, below=(Panel("second"), Panel("third")))
STRIPS = Figure(
    "strips",
    "Title",
    "Caption",
    "iteration",
    "travel",
    LINES[:1],
    x_scale="symlog",
    below=(Panel("phases"),),
    spans=[
        Span(0, 10, "fast\nand <wild>", "own", 0.0, 1),
        Span(10, 100, "slow", "own", 1.0, 1),
        Span(0, 100, "all", "other", 0.5, 1),
    ],
)


def texts(drawing: str) -> list[str]:
    return ["".join(each.itertext()).strip() for each in ET.fromstring(drawing).iter(f"{_SVG}text")]


def axes(drawing: str) -> int:
    return sum((each.get("id") or "").split("-")[-1].startswith("axes_") for each in ET.fromstring(drawing).iter())


@pytest.mark.parametrize("columns", [1, 2, 3, 5])
def test_panels_stand_side_by_side(columns: int) -> None:
    """However many fit, each is there once, and the lowest of each column names x."""
    drawing = svg(replace(PANELS, columns=columns))
    assert {"first", "second", "third"} <= set(texts(drawing))
    assert axes(drawing) == 3
    assert texts(drawing).count("iteration") == min(columns, 3)


def test_a_strip_has_its_blocks_and_its_name() -> None:
    found = texts(svg(STRIPS))
    assert {"fast", "and <wild>", "slow", "all", "own", "other"} <= set(found)
    assert svg(STRIPS) == svg(STRIPS)


def test_a_label_is_cut_off_by_the_next_block_alone() -> None:
    """That of a strip's last block has nothing to run into, and is read where the block is narrower."""
    drawing = ET.fromstring(svg(STRIPS))
    cut = [text for group in drawing.iter() if group.get("clip-path") for text in group.iter(f"{_SVG}text")]
    assert {"".join(text.itertext()).strip() for text in cut} == {"fast", "and <wild>"}


def test_a_figure_of_strips_can_be_empty() -> None:
    empty = replace(STRIPS, series=[replace(LINES[0], x=[], y=[])], spans=())
    assert "no data" in texts(svg(empty))
