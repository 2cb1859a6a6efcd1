"""Claims in words: units of crossings, what would settle a claim."""

from dataclasses import replace
from typing import Any

import pytest

from harness.outcome import Outcome
from harness.report.view import claim_view
from harness.spec.claims import Claim
from harness.stats import Estimate
from harness.verdict import Judgement, Verdict

_TIMES = {"kind": "first_within", "axis": "rewind", "threshold": 2.0, "earliest": "1it", "latest": "3ep"}
_LEVELS = {"kind": "last_within", "axis": "level", "threshold": 2.0, "earliest": 7, "latest": 9}
_VALUE = {"kind": "at_most", "bound": 2.0}


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
