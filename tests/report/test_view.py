"""Claims in words: units of crossings, what would settle a claim."""

from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from harness.judging.spread import Spread
from harness.judging.statistics import Estimate
from harness.judging.verdict import Judgement, Verdict
from harness.pipeline.outcome import Outcome
from harness.report.html import html
from harness.report.json import json
from harness.report.junit import junit
from harness.report.markdown import markdown
from harness.report.view import claim_view, summary
from harness.schema.claims import Claim, KnownVerdict

_TIMES = {"kind": "first_within", "axis": "rewind", "threshold": 2.0, "earliest": "1it", "latest": "3ep"}
_LEVELS = {"kind": "last_within", "axis": "level", "threshold": 2.0, "earliest": 7, "latest": 9}
_VALUE = {"kind": "at_most", "estimand": "mean", "bound": 2.0}


def _crossing(expect: dict[str, Any], *, checked: bool = True, **others: Any) -> Judgement:
    claim = Claim.model_validate(
        {
            "id": "c",
            "sentence": "It is so.",
            "source": {"paper": "ep", "place": "Fig. 1"},
            "quantity": "instability",
            "paper_value": 8,
            "checks": {"toy": {"expect": expect}, **others},
        }
    )
    estimate = Estimate(8.0, 5, None, 7.0, 9.0, "crossing") if checked else None
    check = claim.checks["toy"] if checked else None
    return Judgement(claim, check, Verdict.NOT_RUN, estimate, expect.get("axis", "points"), "", "")


@pytest.mark.parametrize(
    ("judgement", "paper", "measured"),
    [
        (_crossing(_TIMES), "8it", "8it [7it, 9it], n = 5"),
        (_crossing(_LEVELS), "level 8", "level 8 [7, 9], n = 5"),
        (_crossing(_TIMES, checked=False), "8it", "–"),
        (_crossing(_VALUE, checked=False), "8 points", "–"),
        (_crossing(_VALUE, checked=False, paper={"expect": _TIMES}), "8 points", "–"),
    ],
)
def test_points_of_an_axis_are_times_where_the_spec_says_so(judgement: Judgement, paper: str, measured: str) -> None:
    view = claim_view(judgement)
    assert (view.paper, view.measured) == (paper, measured)


def test_what_would_settle_a_claim_is_said_once(realistic: Outcome) -> None:
    one = realistic.judgements[2]
    assert claim_view(one).warnings[-1] == "About 9 initialisations would settle it."
    told = replace(one, why="Only in part; about 9 initialisations would settle it.")
    assert claim_view(told).warnings == one.warnings


@pytest.mark.parametrize(
    ("known", "verdict", "as_expected"),
    [
        ("fails", Verdict.CONTRADICTED, True),
        ("fails", Verdict.FAILS, True),
        ("fails", Verdict.INCONCLUSIVE, False),
        ("fails", Verdict.REPRODUCED, False),
        ("inconclusive", Verdict.INCONCLUSIVE, True),
        ("inconclusive", Verdict.HOLDS, True),
        ("inconclusive", Verdict.FAILS, False),
        ("inconclusive", Verdict.CONTRADICTED, False),
        ("inconclusive", Verdict.NOT_RUN, False),
        ("fails_or_inconclusive", Verdict.INCONCLUSIVE, True),
        ("fails_or_inconclusive", Verdict.FAILS, True),
        ("fails_or_inconclusive", Verdict.CONTRADICTED, True),
        ("fails_or_inconclusive", Verdict.HOLDS, False),
        ("fails_or_inconclusive", Verdict.NOT_RUN, False),
        (None, Verdict.HOLDS, True),
        (None, Verdict.INCONCLUSIVE, False),
        (None, Verdict.NOT_RUN, False),
    ],
)
def test_a_known_verdict_keeps_the_run_in_order_only_when_it_is_found(
    known: str | None, verdict: Verdict, as_expected: bool, realistic: Outcome
) -> None:
    one = realistic.judgements[0]
    assert one.check is not None
    note = None if known is None else KnownVerdict(verdict=known, why="The derivation forgets a factor.")
    told = replace(one, verdict=verdict, check=one.check.model_copy(update={"known": note}))
    outcome = replace(realistic, judgements=[told], failures=())
    assert told.as_expected == as_expected
    assert outcome.exit_code == (0 if as_expected else 1)
    words = " ".join(claim_view(told).warnings)
    assert ("Known: " in words) == ("forgets a factor" in words) == (known is not None)
    assert ("not found again" in words) == (known is not None and not as_expected)
    assert (f"expected inconclusive, found {verdict}" in words) == (known == "inconclusive" and not as_expected)
    either = known == "fails_or_inconclusive"
    assert (f"expected FAILS or inconclusive, found {verdict}" in words) == (either and not as_expected)
    assert ("verdict known beforehand" in summary(outcome)) == (as_expected and not verdict.good)
    suite = ET.fromstring(junit([outcome]))
    assert (suite.get("failures") == suite.get("skipped") == "0") == as_expected


def test_an_erratum_is_told_in_every_form_with_its_quotes(realistic: Outcome) -> None:
    first, *others = realistic.judgements
    source = first.claim.source.model_copy(update={"paper": "lmc", "errata": ("vgg16_error_at_1000", "of_another_day")})
    told = replace(first, claim=first.claim.model_copy(update={"source": source}))
    words, *rest = claim_view(told).warnings
    assert rest == list(claim_view(first).warnings)
    assert words.startswith("Erratum: The error of the full VGG-16 at iteration 1000 is given twice, as 20 %")
    assert "Unpruned networks: “at which point test error" in words
    assert "for Resnet20 and 35% (compared to final error 6.3%)" in words
    outcome = replace(realistic, judgements=[told, *others])
    for text in (markdown(outcome), html(outcome), junit([outcome])):
        assert "and 35% (compared to final error 6.3%) for VGG16" in text
    assert '"vgg16_error_at_1000"' in json(outcome)
    assert "errata" not in json(realistic)


def test_a_spread_is_told_in_every_form_with_what_the_verdict_is_about(realistic: Outcome) -> None:
    first, *others = realistic.judgements
    assert claim_view(first).spread == ""
    told = replace(
        first,
        unit="%",
        estimate=Estimate(2.6, 5, 0.5, 1.9, 3.3),
        spread=Spread(0.31, of_test_set=0.7234, examples=397, resamples=200, between_low=0.0, between_high=1.2345),
    )
    words = claim_view(told).spread
    assert words == (
        "Of the sd of 0.5 points between initialisations, an unlimited test set would leave 0.31 points (95 % "
        "interval 0 to 1.2 points), an estimate from 5 initialisations, not told apart from 0. The test "
        "set alone, its 397 examples drawn anew 200 times, moves the estimate with an sd of 0.72 "
        "points: the verdict is about this test set, and its interval has of that only what initialisations "
        "answer differently."
    )
    outcome = replace(realistic, judgements=[told, *others])
    assert words in markdown(outcome)
    assert words in html(outcome).replace("\u00a0", " ")
    assert words in junit([outcome])
    assert '"of_test_set": 0.7234' in json(outcome)
    factor = replace(told, estimate=Estimate(2.6, 5, 0.0, 1.9, 3.3, kind="geometric_mean"))
    assert "an sd of a factor of 2.06" in claim_view(factor).spread
    assert "(95 % interval a factor of 1 to a factor of 3.44), an estimate" in claim_view(factor).spread
    apart = replace(told, spread=Spread(0.3, 0.7, 397, 200, between_low=0.1, between_high=1.2))
    assert "would leave 0.3 points (95 % interval 0.1 to 1.2 points), an estimate from 5 initialisations. The" in (
        claim_view(apart).spread
    )
    nothing = replace(told, spread=Spread(0.0, 0.7, 397, 200, between_low=0.0, between_high=0.0))
    assert "would leave 0 points, an estimate from 5 initialisations, not told apart from 0. The" in (
        claim_view(nothing).spread
    )
    single = replace(told, spread=Spread(None, 0.7, 397, 200), estimate=Estimate(2.6, 1, None, None, None))
    assert claim_view(single).spread.startswith("The test set alone")
