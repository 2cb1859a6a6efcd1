"""Surfaces: round levels that enclose the values, cells where they belong, small files, nothing that breaks them."""

import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pytest

from harness.figure import Figure, Series, Surface
from harness.pipeline.outcome import Outcome
from harness.report.figures.draw import svg
from harness.report.figures.surfaces import surface_levels

_SVG = "{http://www.w3.org/2000/svg}"


def _texts(drawing: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(drawing).iter(f"{_SVG}text")]


def _figure(surface: Surface, *series: Series) -> Figure:
    return Figure("any", "Any", "Any.", "x", "y", series, surface=surface)


@pytest.mark.parametrize("most", [4, 12, 20])
@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize(
    ("low", "high"), [(0.1, 0.9), (1e-9, 1e7), (3.0, 3.0), (1.0, 10.0), (0.999, 1.001), (0.02, 57.0), (1e-300, 1e300)]
)
def test_levels_enclose_the_values(low: float, high: float, scale: str, most: int) -> None:
    levels = surface_levels(low, high, scale, most)
    assert levels[0] <= low
    assert levels[-1] >= high
    assert all(before < after for before, after in pairwise(levels))
    assert 2 <= len(levels) <= most + 2


def test_levels_are_round_and_no_wider_than_needed() -> None:
    assert surface_levels(0.0, 0.97, "linear", 5) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert surface_levels(0.03, 40.0, "log", 12) == pytest.approx([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50])
    assert surface_levels(-2.0, 2.0, "linear", 4) == pytest.approx([-2.0, -1.0, 0.0, 1.0, 2.0])


def test_cells_have_the_colour_of_the_bar_and_lie_where_they_belong() -> None:
    drawing = svg(_figure(Surface([0, 1], [0, 1], [[0.0, 0.0], [0.0, 1.0]], "z", "heat")))
    fills = {}
    for group in ET.fromstring(drawing).iter(f"{_SVG}g"):
        path = group.find(f"{_SVG}path")
        if path is not None and (group.get("id") or "").startswith("any-patch") and path.get("clip-path"):
            fills[path.get("style", "").split(";")[0]] = path.get("d", "").count("M")
    # Two rows below and above: the low cells are one run of two and one of one.
    assert fills == {"fill: #440154": 2, "fill: #fde725": 1}


def test_a_small_matrix_has_its_values_and_names(curvature: Outcome) -> None:
    texts = _texts(svg(curvature.figures[3]))
    assert {"0.88", "0.25", "0.5", "1e-2…1e-1", "mean squared overlap"} <= set(texts)
    assert texts.count("1e-1…1") == 2


def test_a_contour_is_small_and_the_path_lies_over_it(curvature: Outcome) -> None:
    drawing = svg(curvature.figures[4])
    assert len(drawing) < 150_000
    assert {"training loss (nats)", "checkpoints", "across (λmax)"} <= set(_texts(drawing))
    assert "<image" not in drawing


def test_a_matrix_of_many_cells_is_small() -> None:
    values = [[((7 * row + 11 * column) % 41) / 40 for column in range(41)] for row in range(41)]
    drawing = svg(_figure(Surface(range(41), range(41), values, "z", "heat")))
    assert len(drawing) < 200_000
    assert "<image" not in drawing


@pytest.mark.parametrize("style", ["contour", "heat"])
@pytest.mark.parametrize(("z_scale", "scale"), [("linear", "log"), ("log", "linear")])
@pytest.mark.parametrize(
    "z",
    [
        [[1.0, 1.0], [1.0, 1.0]],
        [[0.0, -1.0], [0.0, -2.0]],
        [[float("nan"), 2.0], [float("inf"), 1.0]],
        [[float("nan")] * 2] * 2,
        [[1e-12, 1.0], [1e3, 1e12]],
        [[3.0, 4.0]],
    ],
)
def test_any_values_can_be_drawn(z: list[list[float]], style: str, z_scale: str, scale: str) -> None:
    surface = replace(Surface([1.0, 10.0], [1.0, 10.0][: len(z)], z, "z"), style=style, z_scale=z_scale)
    path = Series("path", "imp", [0.0, 2.0, float("nan")], [-1.0, 5.0, 1.0])
    drawing = svg(replace(_figure(surface, path), x_scale=scale, y_scale=scale))
    ET.fromstring(drawing)
    drawn = [one for row in z for one in row if math.isfinite(one) and (one > 0 or z_scale == "linear")]
    assert ("no data" in _texts(drawing)) == (not drawn)
