"""The estimand of an expectation: required, one of a few, and with numbers that it can have."""

from pathlib import Path

import pytest

from harness.errors import RequestError
from harness.protocols import protocols
from harness.schema.load import load
from tests.support import claim, edited, imp_text, instability_text, line_of

EXPECTATIONS = {
    "equals": "value: 50.0, margin: 1.0",
    "at_most": "bound: 50.0",
    "at_least": "bound: 50.0",
    "less_than": "than: {fork: 10it}",
}


def problem(text: str, folder: Path) -> str:
    path = folder / "tiny.yaml"
    path.write_text(text)
    with pytest.raises(RequestError) as error:
        load(path, protocols())
    return str(error.value)


@pytest.mark.parametrize("kind", EXPECTATIONS)
def test_without_it_the_error_names_file_line_field_and_choices(kind: str, tmp_path: Path) -> None:
    whole = instability_text(claim("a", expect=f"{{kind: {kind}, estimand: mean, {EXPECTATIONS[kind]}}}"))
    text = edited(whole, "estimand: mean, ", "")
    assert problem(text, tmp_path) == (
        f"{tmp_path / 'tiny.yaml'}:{line_of(text, 'expect')}: claims[0].checks.toy.expect.estimand: this field is "
        "missing; allowed: 'median', 'mean', 'geometric_mean'"
    )


def test_another_word_is_refused(tmp_path: Path) -> None:
    text = instability_text(claim("a", expect="{kind: at_most, estimand: average, bound: 2.0}"))
    assert "expect.estimand: found \"average\": should be 'median', 'mean' or 'geometric_mean'" in problem(
        text, tmp_path
    )


@pytest.mark.parametrize(
    ("quantity", "expect", "words"),
    [
        ("l2_distance", "{kind: at_most, estimand: geometric_mean, bound: 0.0}", "expect.bound: found 0"),
        ("l2_distance", "{kind: at_least, estimand: geometric_mean, bound: -1.0}", "expect.bound: found -1"),
        ("l2_distance", "{kind: equals, estimand: geometric_mean, value: 0.0, margin: 1.0}", "expect.value: found 0"),
        ("l2_distance", "{kind: equals, estimand: geometric_mean, value: 1.0, margin: 1.0}", "expect.margin: found 1"),
        (
            "l2_distance",
            "{kind: less_than, estimand: geometric_mean, than: {fork: 10it}, by: 0.5}",
            "expect.by: found 0.5: with the geometric mean ratios are compared",
        ),
    ],
)
def test_numbers_that_a_geometric_mean_cannot_have(quantity: str, expect: str, words: str, tmp_path: Path) -> None:
    text = instability_text(claim("a", quantity, expect=expect))
    found = problem(text, tmp_path)
    assert f"{tmp_path / 'tiny.yaml'}:{line_of(text, 'expect')}: claims[0].checks.toy.{words}" in found


def test_a_geometric_mean_of_what_has_a_sign_is_refused(tmp_path: Path) -> None:
    expect = "{kind: at_most, estimand: geometric_mean, bound: 1.0}"
    text = imp_text(claim("a", "accuracy_drop", "{rewind: 0it, level: 2}", expect), identity="tiny")
    found = problem(text, tmp_path)
    assert "expect.estimand: found 'geometric_mean', but accuracy_drop is from −100 to 100 points" in found
    assert "choose 'median' or 'mean'" in found
