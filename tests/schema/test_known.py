"""What is known of claims is held against its power calculation; which claims are primary."""

from pathlib import Path

import pytest

from harness.protocols import protocols
from harness.schema.load import load
from tests.support import SPECS, Place, claim, cli, instability_text, line_of

BOUND = "{kind: at_most, estimand: mean, bound: 2.0}"
CROSSING = "{kind: first_within, axis: fork, threshold: 2.0, earliest: 0it, latest: 40it}"
KNOWN = "        known: {{verdict: {}, why: Too few{}}}\n"
POWER = ", power: {{effect: {}, sd: {}, n: {}, power: {}}}"


def spec(verdict: str, power: str, expect: str = BOUND) -> str:
    """With two initialisations; ``power`` is the field with its comma."""
    at = "{}" if expect == CROSSING else "{fork: 0it}"
    return instability_text(claim("a", at=at, expect=expect) + KNOWN.format(verdict, power))


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        (spec("inconclusive", ""), "known", ["power: {effect: ...", "missing"]),
        (spec("fails", POWER.format(1, 1, 2, 0.2)), "known.power", ["known to fail", "leave it out"]),
        (spec("inconclusive", POWER.format(1, 1, 3, 0.5)), "known.power.n", ["found 3", "has 2 initialisations"]),
        (spec("inconclusive", POWER.format(1, 1, 2, 0.5)), "known.power.power", ["found 0.5", "mean has the power"]),
        (spec("inconclusive", POWER.format(20, 1, 2, 0.98)), "known.power.power", ["0.98", "can decide"]),
        (spec("inconclusive", POWER.format(1, 0, 2, 0.5)), "known.power.sd", ["greater than 0"]),
        (
            spec("inconclusive", POWER.format(-1, 1, 2, 0.2)),
            "known.power.effect",
            ["1, on the side where the claim fails", "fails_or_inconclusive"],
        ),
        (
            spec("fails_or_inconclusive", POWER.format(1, 1, 2, 0.2)),
            "known.power.effect",
            ["found 1", "on the side where the claim is true", "its sign"],
        ),
        (spec("fails_or_inconclusive", ""), "known", ["power: {effect: ...", "missing"]),
        (
            spec("fails_or_inconclusive", POWER.format(-20, 1, 2, 0.98)),
            "known.power.power",
            ["0.98", "say that it fails"],
        ),
        (spec("inconclusive", POWER.format(1, 1, 2, 0.2), CROSSING), "known.verdict", ["crossing has no test"]),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, field: str, words: list[str], tmp_path: Path) -> None:
    path = Place(tmp_path).write(text)
    said = cli("validate", path)
    assert said.code == 2
    assert f"{path}:{line_of(text, 'known:')}: claims[0].checks.toy.{field}: " in said.err
    for word in words:
        assert word in said.err


@pytest.mark.parametrize(("effect", "given"), [(1, 0.2), (1, 0.15), (0, 0.05), (2, 0.32), (-1, 0.2), (-2, 0.32)])
def test_a_calculation_that_is_near_is_taken(effect: float, given: float, tmp_path: Path) -> None:
    """It is the probability to find the side on which the effect lies."""
    text = spec("fails_or_inconclusive" if effect < 0 else "inconclusive", POWER.format(effect, 1, 2, given))
    said = cli("validate", Place(tmp_path).write(text))
    assert said.code == 0, said.err


def test_the_report_and_the_terminal_tell_the_calculation_and_a_failure(tmp_path: Path) -> None:
    place = Place(tmp_path)
    hopeless = "{kind: at_least, estimand: mean, bound: 99.0}"
    text = spec("inconclusive", POWER.format(1, 1, 2, 0.18), hopeless)
    said = place.verify(place.write(text))
    assert said.code == 1, "what is known to be inconclusive may not fail"
    assert "expected inconclusive, found FAILS" in said.out
    assert "as is known of it" not in said.out
    page = (place.reports / "tiny-toy.md").read_text()
    assert "Calculated beforehand: at a distance of 1 from the limit" in page
    assert "2 initialisations decide with probability 0.18 (t test" in page
    assert "expected inconclusive, found FAILS" in page


def test_what_is_taken_to_be_false_may_fail_and_says_so(tmp_path: Path) -> None:
    place = Place(tmp_path)
    hopeless = "{kind: at_least, estimand: mean, bound: 99.0}"
    said = place.verify(place.write(spec("fails_or_inconclusive", POWER.format(-1, 1, 2, 0.18), hopeless)))
    assert said.code == 0, said.out
    assert "FAILS" in said.out
    assert "as is known of it" in said.out
    page = (place.reports / "tiny-toy.md").read_text()
    assert "Known: it fails or is undecided here" in page
    assert "at a distance of 1 beyond the limit" in page


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_each_shipped_spec_has_one_to_four_primary_claims(path: Path) -> None:
    claims = load(path, protocols()).spec.claims
    primary = [claim for claim in claims if claim.primary]
    assert 1 <= len(primary) <= 4
