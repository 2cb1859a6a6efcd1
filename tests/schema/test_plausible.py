"""Numbers that a quantity cannot have are refused with their place; those that are hardly meant are told."""

from pathlib import Path

import pytest

from harness.judging.plausible import doubts
from harness.protocols import protocols
from harness.schema.claims import Check, Claim
from harness.schema.load import load
from tests.support import ROOT, Place, claim, cli, edited, imp_text, instability_text, line_of, quadratic_text

FORK, LEVEL = "{fork: 0it}", "{rewind: 0it, level: 2}"
WHERE = {"instability": instability_text, "imp": imp_text}


@pytest.mark.parametrize(
    ("protocol", "quantity", "expect", "field", "words"),
    [
        (
            "instability",
            "accuracy",
            "{kind: equals, value: 983.0, margin: 0.3}",
            "value",
            "983, but accuracy",
        ),
        ("instability", "error", "{kind: at_most, bound: 100.5}", "bound", "from 0 to 100 %"),
        ("instability", "error", "{kind: at_least, bound: -1.0}", "bound", "−1, but error is from 0 to 100 %"),
        ("instability", "instability", "{kind: at_most, bound: -2.0}", "bound", "from 0 to 100 points"),
        ("instability", "l2_distance", "{kind: at_least, bound: -1.0}", "bound", "0 or more"),
        ("instability", "disagreements", "{kind: at_most, bound: -1.0}", "bound", "0 examples or more"),
        (
            "instability",
            "error",
            "{kind: first_within, axis: fork, threshold: -2.0, earliest: 0it, latest: 10it}",
            "threshold",
            "from 0 to 100 %",
        ),
        ("imp", "accuracy", "{kind: less_than, than: {level: 0}, by: 101.0}", "by", "differ by at most 100"),
        ("imp", "accuracy_drop", "{kind: at_least, bound: 120.0}", "bound", "from −100 to 100 points"),
        ("imp", "density", "{kind: equals, value: 168.0, margin: 1.0}", "value", "from 0 to 100 %"),
    ],
)
def test_a_number_outside_the_range_is_refused_with_its_place(
    protocol: str, quantity: str, expect: str, field: str, words: str, tmp_path: Path
) -> None:
    at = "{}" if "first_within" in expect else FORK if protocol == "instability" else LEVEL
    text = WHERE[protocol](claim("mistyped", quantity, at, expect))
    place = Place(tmp_path)
    path = place.write(text)
    said = place.verify(path)
    assert said.code == 2
    assert f"{path}:{line_of(text, 'expect')}: claims[0].checks.toy.expect.{field}: found" in said.err
    assert words in said.err.replace("\n", " ")
    assert not place.keys()


def test_the_paper_s_number_is_refused_once_though_it_concerns_all_scales(tmp_path: Path) -> None:
    text = instability_text(claim("a", "accuracy", FORK, "{kind: at_least, bound: 90.0}"))
    text = edited(text, "    quantity: accuracy\n", "    quantity: accuracy\n    paper_value: 983.0\n")
    said = cli("validate", path := Place(tmp_path).write(text))
    assert said.code == 2
    assert said.err.count(f"{path}:{line_of(text, 'paper_value')}: claims[0].paper_value: found 983") == 1


@pytest.mark.parametrize(
    ("quantity", "expect"),
    [
        ("accuracy", "{kind: equals, value: 98.3, margin: 0.3}"),
        ("error", "{kind: at_most, bound: 0.5}"),
        ("error", "{kind: equals, value: 0.982, margin: 0.1}"),
        ("error", "{kind: at_most, bound: 100.0}"),
        ("accuracy", "{kind: at_least, bound: 0.0}"),
        ("instability", "{kind: equals, value: 0.0, margin: 0.01}"),
    ],
)
def test_what_can_be_meant_draws_no_word(quantity: str, expect: str, tmp_path: Path) -> None:
    said = cli("validate", Place(tmp_path).write(instability_text(claim("a", quantity, FORK, expect))))
    assert said.code == 0, said.err
    assert "warning" not in said.out


def test_a_quantity_without_a_range_takes_any_number(tmp_path: Path) -> None:
    at = '{rate: "0.05", momentum: "0"}'
    text = quadratic_text(claim("a", "level_over_printed", at, "{kind: at_least, bound: -1.0e9}"))
    assert cli("validate", Place(tmp_path).write(text)).code == 0


FRACTION = instability_text(claim("a", "accuracy", FORK, "{kind: equals, value: 0.982, margin: 0.003}"))


def test_a_fraction_for_per_cent_is_doubted_by_validate(tmp_path: Path) -> None:
    said = cli("validate", path := Place(tmp_path).write(FRACTION))
    assert said.code == 0
    words = "found 0.982 for accuracy, which is in %: is 98.2 meant?"
    place = f"{path}:{line_of(FRACTION, 'expect')}: claims[0].checks.toy.expect.value"
    assert f"warning: {place}: {words}" in said.out


def test_a_doubt_is_told_by_verify_and_in_every_report(tmp_path: Path) -> None:
    place = Place(tmp_path)
    said = place.verify(place.write(FRACTION))
    words = "Found 0.982 for accuracy, which is in %: is 98.2 meant?"
    assert words in " ".join(said.out.split())
    for report in ("tiny-toy.html", "tiny-toy.md", "tiny-toy.json"):
        assert words in (place.reports / report).read_text(encoding="utf-8"), report


def of(protocol: str, quantity: str, paper_value: float, expect: dict[str, object], **more: object) -> list[str]:
    """The doubts of a claim with one check, at the paper's scale."""
    check = Check.model_validate({"at": {}, "expect": expect, **more})
    made = Claim.model_validate(
        {
            "id": "a",
            "sentence": "A sentence.",
            "source": {"paper": "lmc", "place": "Table 1"},
            "quantity": quantity,
            "paper_value": paper_value,
            "checks": {"paper": check},
        }
    )
    quantities = protocols()[protocol].quantities
    return [message for _, message in doubts(made, made.checks, "paper", quantities[quantity])]


@pytest.mark.parametrize(
    ("paper", "expect", "words"),
    [
        (
            35.0,
            {"kind": "equals", "estimand": "mean", "value": 3.5, "margin": 0.05},
            "the paper's 35 is not within 3.5 ± 0.05, as the",
        ),
        (3.5, {"kind": "equals", "estimand": "mean", "value": 3.5, "margin": 0.05}, None),
        (3.55, {"kind": "equals", "estimand": "mean", "value": 3.5, "margin": 0.05}, None),
        (3.5, {"kind": "at_least", "estimand": "mean", "bound": 5.0}, "is not at least 5"),
        (3.5, {"kind": "at_least", "estimand": "mean", "bound": 0.5}, None),
        (3.5, {"kind": "at_most", "estimand": "mean", "bound": 0.5}, "is not at most 0.5"),
        (
            2000.0,
            {"kind": "first_within", "axis": "level", "threshold": 5.0, "earliest": 100, "latest": 500},
            "is not from 100 to 500",
        ),
        (300.0, {"kind": "first_within", "axis": "level", "threshold": 5.0, "earliest": 100, "latest": 500}, None),
        (35.0, {"kind": "less_than", "estimand": "mean", "than": {"level": 1}}, None),
    ],
)
def test_the_paper_s_number_is_held_against_the_check_of_its_scale(
    paper: float, expect: dict[str, object], words: str | None
) -> None:
    found = of("imp", "density", paper, expect)
    assert len(found) == (0 if words is None else 1)
    assert words is None or words in found[0]
    assert of("imp", "density", paper, expect, sentence="Another one is checked.") == []


def test_no_shipped_spec_is_doubted() -> None:
    paths = sorted((ROOT / "specs").rglob("*.yaml"))
    assert paths
    assert [one for path in paths for one in load(path, protocols()).doubts] == []
