"""The record of a judgement: what is written is what is read, in committed reports too."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.judging.spread import Spread
from harness.pipeline.outcome import Outcome
from harness.report.json import plain_value
from harness.report.read import PATTERN
from harness.report.record import JudgementRecord, Row, with_estimands
from tests.support import ROOT

REPORTS = sorted((ROOT / "reports").rglob(PATTERN))


def test_a_spread_comes_back_and_none_is_not_written(realistic: Outcome) -> None:
    one = replace(realistic.judgements[0], spread=Spread(None, 0.7, 397, 200))
    written = plain_value(JudgementRecord.of(one))
    assert JudgementRecord.model_validate_json(json.dumps(written)).judgement(one.claim) == one
    assert "spread" not in plain_value(JudgementRecord.of(realistic.judgements[0]))


def test_a_judgement_comes_back(realistic: Outcome, awkward: Outcome, paper: Outcome) -> None:
    for outcome in (realistic, awkward, paper):
        for one in outcome.judgements:
            text = json.dumps(plain_value(JudgementRecord.of(one)), allow_nan=False)
            assert JudgementRecord.model_validate_json(text).judgement(one.claim) == one


@pytest.mark.parametrize("path", REPORTS, ids=lambda path: path.stem)
def test_committed_records_are_read_and_written_with_the_same_bytes(path: Path) -> None:
    claims: list[dict[str, Any]] = json.loads(path.read_bytes())["claims"]
    assert claims
    for one in claims:
        named = with_estimands(one)
        record = JudgementRecord.model_validate_json(json.dumps(named))
        if "in_order" in one:  # else written before reports told it, and kept twelve digits
            written = plain_value(record)
            if "depends_on" not in one:  # before choices left open were flipped
                named["depends_on"] = []
            if "by_itself" not in one:  # before what Holm left open kept the verdict of its own test
                named["by_itself"] = None
            if "p" not in one:  # before chance was told, and what is known of a claim had its power
                named |= {"primary": False, "p": None, "fresh": None}
                if one["check"] is not None and one["check"]["known"] is not None:
                    named["check"]["known"] |= {"power": None}
            if one["estimate"] is not None and "level" not in one["estimate"]:  # before the estimand was named
                named["estimate"] |= {"level": 0.95, "mean": None}
            assert written == named
            again = plain_value(JudgementRecord.model_validate_json(json.dumps(written)))
            assert json.dumps(again) == json.dumps(written)
            if named == one:
                assert json.dumps(written) == json.dumps(one)
        assert record.holds == record.verdict.good


def test_an_older_record_is_of_means_and_a_newer_one_says_of_what() -> None:
    old, new = {"kind": "at_most", "bound": 2.0}, {"kind": "at_most", "estimand": "median", "bound": 2.0}
    searched = {"kind": "first_within", "axis": "fork", "threshold": 2.0, "earliest": 0, "latest": 0}
    checks = with_estimands(
        {"checks": {"toy": {"expect": old}, "paper": {"expect": new}, "room": {"expect": searched}}}
    )
    assert [check["expect"] for check in checks["checks"].values()] == [old | {"estimand": "mean"}, new, searched]


def test_most_committed_reports_are_of_this_form() -> None:
    assert sum("in_order" in json.loads(path.read_bytes())["claims"][0] for path in REPORTS) > 10


def test_a_row_has_only_what_the_record_has(realistic: Outcome) -> None:
    for one in realistic.judgements:
        row = Row.of(JudgementRecord.of(one))
        assert ("n" in row.model_fields_set) == (one.estimate is not None)
        assert row.in_order == one.as_expected
