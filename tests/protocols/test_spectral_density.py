"""The spectral density in place of the exact Hessian: it sees the same negative part, and says what it cannot see."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import Place, claim, edited, spectrum_text

RATIO = claim("ratio", "negative_ratio", "{checkpoint: 10it}", "{kind: at_least, bound: 0.0}")
ESTIMATED = ("      ranks: 8\n", "      ranks: 8\n      density: {probes: 8, steps: 40}\n")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def numbers(root: Path, text: str) -> dict[str, float]:
    """Claim -> its number."""
    root.mkdir()
    place = Place(root)
    said = place.verify(place.write(text), more=("--exit-zero",))
    assert said.code == 0, said.out + said.err
    (report,) = place.reports.glob("*-toy.json")
    document: dict[str, Any] = json.loads(report.read_text())
    return {one["id"]: float(one["estimate"]["value"]) for one in document["claims"]}


def test_it_sees_the_negative_part_that_the_exact_hessian_has(tmp_path: Path) -> None:
    exact = numbers(tmp_path / "exact", spectrum_text(RATIO))
    estimated = numbers(tmp_path / "estimated", edited(spectrum_text(RATIO), *ESTIMATED))
    assert estimated["ratio"] == pytest.approx(exact["ratio"], rel=0.2)


def test_what_is_not_measured_is_told(place: Place) -> None:
    some = claim("some", "negative_share", "{checkpoint: 10it}", "{kind: at_least, bound: 0.0}")
    said = place.verify(place.write(edited(spectrum_text(some), *ESTIMATED)))
    assert said.code == 2
    assert "negative_share needs all eigenpairs: leave settings.density out" in " ".join(said.err.split())


def test_a_network_too_large_for_the_exact_hessian_has_a_density(place: Place) -> None:
    text = edited(spectrum_text(RATIO), "widths: [4]", "widths: [64]")
    said = place.verify(place.write(edited(text, "parameters: 398", "parameters: 75658")))
    assert said.code == 2
    assert "or the spectral density (settings.density" in " ".join(said.err.split())
