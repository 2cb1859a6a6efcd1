"""Verdicts as data: complete, in a stable order, in numbers that people compare; and read with care."""

import json
import os
from pathlib import Path

import pytest

from harness.errors import RequestError
from harness.judging.verdict import Verdict
from harness.pipeline.outcome import Outcome
from harness.report.verdicts import Row, read_verdicts, verdicts


def test_every_checked_claim_has_its_verdict_and_numbers(realistic: Outcome, awkward: Outcome, tmp_path: Path) -> None:
    path = tmp_path / "toy.json"
    path.write_text(verdicts([realistic, awkward]))
    found = read_verdicts(path)
    for outcome in (realistic, awkward):
        checked = {one.claim.id: one for one in outcome.judgements if one.check is not None}
        assert found[outcome.spec.id].keys() == checked.keys()
        for name, row in found[outcome.spec.id].items():
            one = checked[name]
            assert (row.verdict, row.in_order) == (one.verdict, one.as_expected)
            if one.estimate is None:
                assert row.n is None
            else:
                assert (row.n, row.unit) == (one.estimate.n, one.unit)
                assert (row.estimand or "crossing") == one.estimate.kind
                numbers = (row.value, row.low, row.high)
                for number, wanted in zip(
                    numbers, (one.estimate.value, one.estimate.low, one.estimate.high), strict=True
                ):
                    assert number == (None if wanted is None else pytest.approx(wanted, rel=1e-4))


def test_the_order_of_the_outcomes_does_not_show(realistic: Outcome, awkward: Outcome) -> None:
    assert verdicts([realistic, awkward]) == verdicts([awkward, realistic])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Row(verdict=Verdict.NOT_RUN, in_order=False), "NOT RUN"),
        (Row(verdict=Verdict.FAILS, in_order=False, value=-0.5, n=1, unit="points"), "FAILS, −0.5 points, n = 1"),
        (Row(verdict=Verdict.HOLDS, in_order=True, value=2.6, low=1.9, high=3.3, n=5), "HOLDS, 2.6 [1.9, 3.3], n = 5"),
        (
            Row(verdict=Verdict.HOLDS, in_order=True, value=2.6, low=1.9, high=3.3, n=5, estimand="geometric_mean"),
            "HOLDS, geometric mean 2.6 [1.9, 3.3], n = 5",
        ),
        (
            Row(verdict=Verdict.FAILS, in_order=False, low=100, n=5, unit="rewind"),
            "FAILS, none [100, none] rewind, n = 5",
        ),
    ],
)
def test_a_row_in_words(row: Row, words: str) -> None:
    assert row.words == words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, ["cannot be read (No such file or directory)"]),
        ("", ["is no verdicts file: the file"]),
        ("[1]", ["is no verdicts file: the whole: ", "found [1]"]),
        ("{}", ["holds no spec"]),
        ('{"imp": {"a": {"verdict": "GOOD", "in_order": true}}}', ["imp.a.verdict", "'HOLDS'", 'found "GOOD"']),
        ('{"imp": {"a": {"verdict": "HOLDS"}}}', ["imp.a.in_order", "required"]),
        ('{"imp": {"a": {"verdict": "HOLDS", "in_order": true, "value": "x"}}}', ["imp.a.value", 'found "x"']),
        ('{"imp": {"a": {"verdict": "HOLDS", "in_order": true, "colour": 1}}}', ["imp.a.colour", "found 1"]),
        ('{"imp": {"a": {"verdict": "HOLDS", "in_order": 1}}}', ["imp.a.in_order", "found 1"]),
        ('{"imp": {"a": {"verdict": "FAILS", "verdict": "HOLDS", "in_order": true}}}', ["'verdict' twice"]),
        ('{"imp": {}, "imp": {}}', ["the key 'imp' twice"]),
        ('{"imp": {"a": {"verdict": "HOLDS", "in_order": true, "value": NaN}}}', ["has NaN"]),
        ('{"imp": {"a": {"verdict": "HOLDS", "in_order": true, "value": 1e999}}}', ["beyond the range of float64"]),
        ('{"imp": {"a": {"verdict": "HOLDS", "in_order": true, "n": 1' + "0" * 400 + "}}}", ["more than 64 bits"]),
        ('{"imp": ' + "[" * 10**5, ["nested more than 64 deep"]),
    ],
)
def test_what_is_no_verdicts_file_is_told(content: str | None, words: list[str], tmp_path: Path) -> None:
    path = tmp_path / "toy.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RequestError) as caught:
        read_verdicts(path)
    for word in (str(path), "harness measure", *words):
        assert word in str(caught.value)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "toy.json")
    with pytest.raises(RequestError, match="is no verdicts file: the file is a named pipe"):
        read_verdicts(tmp_path / "toy.json")


def test_counts_keep_their_digits_and_means_lose_noise(realistic: Outcome) -> None:
    numbers = [
        number
        for claims in json.loads(verdicts([realistic])).values()
        for row in claims.values()
        for number in (row.get("value"), row.get("low"), row.get("high"))
        if number is not None
    ]
    assert numbers
    assert all(number == int(number) or len(f"{number:g}") <= 8 for number in numbers)
