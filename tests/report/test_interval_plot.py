"""The small picture: what was measured stands inside what is allowed exactly when it is."""

import re
from dataclasses import replace
from typing import Any

import pytest

from harness.judging.statistics import Estimate
from harness.pipeline.outcome import Outcome
from harness.report.figures.interval_plot import interval_plot
from harness.schema.claims import Check

_WINDOW = {"axis": "level", "threshold": 0.2, "earliest": 14, "latest": 16}


@pytest.mark.parametrize(
    ("expect", "value", "inside"),
    [
        ({"kind": "equals", "estimand": "mean", "value": 3.0, "margin": 0.5}, 2.6, True),
        ({"kind": "equals", "estimand": "mean", "value": 3.0, "margin": 0.5}, 3.6, False),
        ({"kind": "at_most", "estimand": "mean", "bound": 2.0}, -7.0, True),
        ({"kind": "at_most", "estimand": "mean", "bound": 2.0}, 2.1, False),
        ({"kind": "at_least", "estimand": "mean", "bound": 60.0}, 80.0, True),
        ({"kind": "at_least", "estimand": "mean", "bound": 60.0}, 17.0, False),
        ({"kind": "less_than", "estimand": "mean", "than": {"arm": "imp"}, "by": 0.5}, -0.6, True),
        ({"kind": "less_than", "estimand": "mean", "than": {"arm": "imp"}, "by": 0.5}, -0.4, False),
        ({"kind": "less_than", "estimand": "geometric_mean", "than": {"arm": "imp"}}, 0.9, True),
        ({"kind": "less_than", "estimand": "geometric_mean", "than": {"arm": "imp"}}, 1.1, False),
        ({"kind": "first_within", **_WINDOW}, 15.0, True),
        ({"kind": "last_within", **_WINDOW}, 17.0, False),
    ],
)
def test_the_dot_is_in_the_shade_when_the_claim_allows_it(
    expect: dict[str, Any], value: float, inside: bool, realistic: Outcome
) -> None:
    check = Check.model_validate({"expect": expect})
    estimate = Estimate(value, 3, 0.1, value - 0.05, value + 0.05)
    drawn = interval_plot(replace(realistic.judgements[0], check=check, estimate=estimate))
    assert drawn is not None
    left, width = (float(one) for one in re.findall(r'class="range" x="(\S+)".* width="(\S+)"', drawn)[0])
    (dot,) = (float(one) for one in re.findall(r'class="dot" cx="(\S+)"', drawn))
    assert (left <= dot <= left + width) == inside


def test_nothing_is_drawn_where_there_is_no_number_or_no_range(realistic: Outcome) -> None:
    named = {"axis": "rewind", "threshold": 2.0, "earliest": "0it", "latest": "25it"}
    crossing = Check.model_validate({"expect": {"kind": "first_within", **named}})
    measured = realistic.judgements[0]
    assert interval_plot(replace(measured, check=crossing)) is None
    assert interval_plot(replace(measured, check=None)) is None
    assert interval_plot(replace(measured, estimate=None)) is None
    assert interval_plot(replace(measured, estimate=Estimate(None, 3, None, None, None, "crossing"))) is None
