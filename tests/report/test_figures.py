"""Drawings: the same bytes again, the paper's mark, own ids, texts as text, nothing global left behind."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib
import pytest
from PIL import Image

from harness.figure import Figure, Reference, Series
from harness.pipeline.outcome import Outcome
from harness.report.figures.annotations import reference_label
from harness.report.figures.draw import png, svg
from harness.report.figures.palette import APPEARANCES, appearances, ordered

_SVG = "{http://www.w3.org/2000/svg}"


def _texts(drawing: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(drawing).iter(f"{_SVG}text")]


def test_a_drawing_is_the_same_again_and_leaves_no_setting_behind(realistic: Outcome, curvature: Outcome) -> None:
    before = dict(matplotlib.rcParams)
    for figure in (*realistic.figures, *curvature.figures):
        assert svg(figure) == svg(figure)
        assert png(figure, dots_per_inch=50) == png(figure, dots_per_inch=50)
    assert dict(matplotlib.rcParams) == before


def test_the_users_own_settings_do_not_matter(realistic: Outcome) -> None:
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 20, "svg.fonttype": "path"}):
        changed = svg(realistic.figures[0])
    assert changed == svg(realistic.figures[0])


def test_the_papers_value_and_the_threshold_are_marked(realistic: Outcome) -> None:
    drawing = svg(realistic.figures[0])
    assert {"paper: 500", "stable: 2"} <= set(_texts(drawing))
    ids = {one.get("id") for one in ET.fromstring(drawing).iter()}
    assert {"instability-paper-x-500", "instability-threshold-y-2"} <= ids
    assert "paper: 3.2" in _texts(svg(realistic.figures[1]))


@pytest.mark.parametrize(
    ("label", "value", "text"),
    [
        ("paper", 3.2, "paper: 3.2"),
        ("", 3.2, "paper: 3.2"),
        ("paper: 3.2", 3.2, "paper: 3.2"),
        ("LMC, Table 2", 2.0, "paper: LMC, Table 2"),
        ("the paper's", -0.2, "the paper's: −0.2"),
        ("paper 63000", 63000.0, "paper 63000"),
    ],
)
def test_a_reference_names_its_value(label: str, value: float, text: str) -> None:
    assert reference_label(Reference(label, value, "y", "paper")) == text


def test_every_id_has_the_prefix_and_every_reference_its_target(realistic: Outcome, curvature: Outcome) -> None:
    for figure in (*realistic.figures, *curvature.figures):
        _ids_fit(svg(figure, prefix="f7"))


def _ids_fit(drawing: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', drawing)
    assert all(one.startswith("f7-") for one in ids)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"(?:href=\"|url\()#([^\")]+)", drawing)) <= set(ids)
    assert "<style" not in drawing
    assert "DejaVu" not in drawing


def test_a_drawing_has_a_name_for_those_who_cannot_see_it(realistic: Outcome) -> None:
    root = ET.fromstring(svg(realistic.figures[0]))
    assert root.get("role") == "img"
    assert root.findtext(f"{_SVG}title") == realistic.figures[0].title
    assert root.findtext(f"{_SVG}desc") == realistic.figures[0].caption


def test_texts_are_text_and_awkward_data_are_drawn(awkward: Outcome) -> None:
    drawing = svg(awkward.figures[0], prefix="f1")
    root = ET.fromstring(drawing)
    assert not list(root.iter(f"{_SVG}script"))
    assert "_hidden" in _texts(drawing)
    assert any(text.startswith("</title><script>") for text in _texts(drawing))
    assert "no data" in _texts(svg(awkward.figures[1]))


def test_points_stand_in_the_papers_order(realistic: Outcome) -> None:
    by_text = {}
    for one in ET.fromstring(svg(realistic.figures[1])).iter(f"{_SVG}text"):
        by_text["".join(one.itertext())] = float(one.get("x", "nan"))
    assert by_text["100"] < by_text["16.8"] < by_text["8.6"]


@pytest.mark.parametrize("x_scale", ["linear", "log", "symlog", "reversed_log"])
@pytest.mark.parametrize("y_scale", ["linear", "log", "up_to_100"])
@pytest.mark.parametrize("points", [0, 1, 2, 40])
def test_every_scale_can_be_drawn(x_scale: str, y_scale: str, points: int) -> None:
    x = [float(one) for one in range(points)]
    y = [0.5 * one for one in x]
    figure = Figure("any", "Any", "Any.", "x", "y", [Series("one", "imp", x, y, y, y)])
    drawing = svg(replace(figure, x_scale=x_scale, y_scale=y_scale))
    ET.fromstring(drawing)
    assert "nan" not in drawing.lower()


@pytest.mark.parametrize(
    ("x_scale", "x", "labels"),
    [
        ("symlog", [0.0, 1.25e-5, 0.0625], {"0", "1.25e-5", "0.0625"}),
        ("symlog", [0.0, 125.0, 63000.0], {"0", "125", "63K"}),
        ("reversed_log", [2e-14, 1.25e-7, 100.0], {"2e-14", "1.25e-7", "100"}),
        ("log", [1e-14, 1e-7, 1.0], {"10⁻¹¹"}),
        ("linear", [0.0, 1e-14, 2e-14], {"1e−14"}),
    ],
)
def test_ticks_have_their_digits_whatever_their_size(x_scale: str, x: list[float], labels: set[str]) -> None:
    figure = Figure("any", "Any", "Any.", "x", "y", [Series("one", "imp", x, [1.0, 2.0, 3.0])])
    assert labels <= set(_texts(svg(replace(figure, x_scale=x_scale))))


def test_accuracies_near_100_are_told_apart_beside_low_ones() -> None:
    """98 lies as far above 96 as 80 above 60; an interval that reaches 100 is drawn to the edge."""
    line = Series("one", "imp", [0.0, 1.0], [60.0, 98.0], [58.0, 97.0], [62.0, 100.0])
    drawing = svg(Figure("any", "Any", "Any.", "x", "y", [line], y_scale="up_to_100"))
    heights = {
        "".join(one.itertext()): float(one.get("y", "nan")) for one in ET.fromstring(drawing).iter(f"{_SVG}text")
    }
    assert heights["96"] - heights["98"] == pytest.approx(heights["60"] - heights["80"], abs=0.01)
    assert heights["98"] < heights["96"] < heights["80"]


def test_equal_roles_look_equal_in_all_figures(realistic: Outcome) -> None:
    styles = appearances(realistic.figures)
    assert styles["imp"] == APPEARANCES["imp"]
    line = Series("x", "own_role", [0.0], [0.0])
    other = Series("y", "other_role", [0.0], [0.0])
    first = Figure("a", "A", "A.", "x", "y", [line])
    second = Figure("b", "B", "B.", "x", "y", [other, line])
    found = appearances([first, second])
    assert found["own_role"] != found["other_role"]
    assert found["own_role"] == appearances([first])["own_role"]


def test_as_many_roles_as_an_experiment_has_arms_look_different() -> None:
    lines = [Series(f"arm {number}", f"arm{number}", [0.0], [0.0]) for number in range(24)]
    found = appearances([Figure("a", "A", "A.", "x", "y", lines)])
    assert len(set(found.values())) == 24


def test_places_have_names_in_place_of_numbers_and_the_legend_does_not_repeat_them() -> None:
    names = ("full network", "weights permuted within <layers>")
    lines = [Series(name, name, [float(place)], [30.0 + place]) for place, name in enumerate(names)]
    figure = Figure("arms", "Arms", "Arms.", "arm", "y", [*lines, Series("all", "all", [0.0, 1.0], [32.0, 32.0])])
    named, numbered = (_texts(svg(one)) for one in (replace(figure, x_names=names), figure))
    assert [named.count(name) for name in (*names, "all")] == [1, 1, 1]
    assert [one.count("0.4") for one in (named, numbered)] == [0, 1]


def test_a_long_legend_takes_no_room_from_the_axes() -> None:
    def height(count: int) -> float:
        lines = [Series(f"an arm with a long name, number {one}", f"arm{one}", [0.0], [0.0]) for one in range(count)]
        drawing = svg(Figure("a", "A", "A.", "x", "y", lines))
        background = re.search(r'id="a-patch_2">\s*<path d="([^"]+)"', drawing)
        assert background is not None
        ups = [float(corner.split()[1]) for corner in re.split("[ML]", background[1].strip(" z\n"))[1:]]
        return max(ups) - min(ups)

    assert height(14) > 0.95 * height(4)


def test_panels_share_their_x_and_the_events_in_it(curvature: Outcome) -> None:
    drawing = svg(curvature.figures[0])
    texts = _texts(drawing)
    assert texts.count("20,000") == 1
    assert {"training loss (nats)", "λmax", "iteration", "rate drops: 10,000, 20,000"} <= set(texts)
    ids = [one.get("id") or "" for one in ET.fromstring(drawing).iter()]
    assert [one for one in ids if "event-x-10,000" in one] == [
        "training-event-x-10,000",
        "training-event-x-10,000-1",
    ]


def test_a_sequence_is_coloured_in_its_order_and_the_legend_names_both_ends(curvature: Outcome) -> None:
    figure = curvature.figures[1]
    drawing = svg(figure)
    assert all(ordered(series.order or 0) in drawing for series in figure.series)
    grey = [sum(bytes.fromhex(ordered(place / 9)[1:])) for place in range(10)]
    assert grey == sorted(grey, reverse=True)
    named = [text for text in _texts(drawing) if text.startswith("iteration")]
    assert len(named) == 8
    assert {"iteration 0", "iteration 9"} <= set(named)


def test_an_interval_that_reaches_below_0_is_whole_on_a_logarithmic_axis() -> None:
    """Its lower end is out of sight; left out, its neighbours would be joined across the drawing."""
    line = Series("a", "test", [0, 1, 2, 3], [1.0] * 4, [0.5, -1.0, 0.5, 0.5], [2.0] * 4)
    drawing = ET.fromstring(svg(Figure("log", "Title", "Caption", "x", "y", [line], y_scale="log")))
    (band,) = (path for path in drawing.iter(f"{_SVG}path") if "opacity: 0.14" in (path.get("style") or ""))
    assert (band.get("d") or "").count("M") == 1


def test_a_logarithmic_axis_over_many_decades_has_powers_of_ten(curvature: Outcome) -> None:
    texts = _texts(svg(curvature.figures[1]))
    assert {"1", "10", "10⁴", "10⁻⁸"} <= set(texts)


def test_one_label_of_many_lines_stands_once_in_the_legend(curvature: Outcome) -> None:
    assert _texts(svg(curvature.figures[2])).count("a batch") == 1


def test_points_are_not_joined_and_steps_hold_their_value() -> None:
    x, y = [0.0, 1.0, 2.0], [0.0, 1.0, 0.5]

    def lines(style: str) -> list[int]:
        """How many corners each drawn line of the series has."""
        series = replace(Series("one", "imp", x, y), style=style)
        drawing = svg(Figure("any", "Any", "Any.", "x", "y", [series]))
        colour = APPEARANCES["imp"].colour
        paths = [
            one for one in ET.fromstring(drawing).iter(f"{_SVG}path") if f"stroke: {colour}" in one.get("style", "")
        ]
        return [one.get("d", "").count("L") for one in paths if one.get("clip-path")]

    assert lines("line") == [2]
    assert lines("points") == []
    assert lines("steps") == [4]


def test_a_png_stands_alone(realistic: Outcome, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("png") / "a.png"
    path.write_bytes(png(realistic.figures[0], dots_per_inch=100))
    with Image.open(path) as image:
        assert image.size == (480, 350)
