"""Drawings: the same bytes again, the paper's mark, own ids, texts as text, nothing global left behind."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib
import pytest
from PIL import Image

from harness.figure import Figure, Reference, Series
from harness.outcome import Outcome
from harness.report.figures import png, reference_label, svg
from harness.report.palette import LOOKS, looks

_SVG = "{http://www.w3.org/2000/svg}"


def _texts(drawing: str) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(drawing).iter(f"{_SVG}text")]


def test_a_drawing_is_the_same_again_and_leaves_no_setting_behind(realistic: Outcome) -> None:
    before = dict(matplotlib.rcParams)
    for figure in realistic.figures:
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


def test_every_id_has_the_prefix_and_every_reference_its_target(realistic: Outcome) -> None:
    drawing = svg(realistic.figures[0], prefix="f7")
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


@pytest.mark.parametrize("x_scale", ["linear", "symlog", "reversed_log"])
@pytest.mark.parametrize("y_scale", ["linear", "log"])
@pytest.mark.parametrize("points", [0, 1, 2, 40])
def test_every_scale_can_be_drawn(x_scale: str, y_scale: str, points: int) -> None:
    x = [float(one) for one in range(points)]
    y = [0.5 * one for one in x]
    figure = Figure("any", "Any", "Any.", "x", "y", [Series("one", "imp", x, y, y, y)])
    drawing = svg(replace(figure, x_scale=x_scale, y_scale=y_scale))
    ET.fromstring(drawing)
    assert "nan" not in drawing.lower()


def test_equal_roles_look_equal_in_all_figures(realistic: Outcome) -> None:
    styles = looks(realistic.figures)
    assert styles["imp"] == LOOKS["imp"]
    line = Series("x", "own_role", [0.0], [0.0])
    other = Series("y", "other_role", [0.0], [0.0])
    first = Figure("a", "A", "A.", "x", "y", [line])
    second = Figure("b", "B", "B.", "x", "y", [other, line])
    found = looks([first, second])
    assert found["own_role"] != found["other_role"]
    assert found["own_role"] == looks([first])["own_role"]


def test_a_png_stands_alone(realistic: Outcome, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("png") / "a.png"
    path.write_bytes(png(realistic.figures[0], dots_per_inch=100))
    with Image.open(path) as image:
        assert image.size == (480, 350)
