"""A fresh run against a baseline: which changes are alarms, what is said of them, how often chance raises one."""

import math
import random
import statistics

import pytest
from scipy import stats as distributions

from harness.regress.compare import Finding, compare, count_numbers, in_logarithms, interval
from harness.regress.model import FAMILY_WISE_ERROR, Judged, Number
from tests.regress.samples import baseline, content, number

NAME = "instability at fork=0"


def judged(verdict: str, *, in_order: bool = True, **more: object) -> dict[str, Judged]:
    return {"stable": Judged.model_validate({"verdict": verdict, "in_order": in_order, "number": NAME, **more})}


def found(before: dict[str, object], now: dict[str, object], name: str, *, broken: bool = False) -> Finding:
    findings = compare(baseline(**before), content(**now), 1, broken=broken)
    (one,) = [finding for finding in findings if finding.name == name]
    return one


def test_a_run_like_its_baseline_raises_nothing() -> None:
    findings = compare(baseline(), content(), 1, broken=False)
    assert {one.tone for one in findings} == {"same"}
    assert {one.name for one in findings} >= {"trainable parameters", "plan", "resolved setting", NAME}


def test_the_interval_is_that_of_a_fresh_mean() -> None:
    low, high = interval(number(5.0, 2.0, 10), 4, 25)
    half = distributions.t.ppf(1 - FAMILY_WISE_ERROR / 50, 9) * 2.0 * (1 / 10 + 1 / 4) ** 0.5
    assert (low, high) == pytest.approx((5.0 - half, 5.0 + half), rel=1e-12)


def test_chance_raises_an_alarm_as_rarely_as_promised() -> None:
    """Normal numbers, 40 comparisons a run: the share of runs with an alarm, against the family-wise error."""
    draw, runs, comparisons = random.Random(0), 3000, 40
    shares = [FAMILY_WISE_ERROR / comparisons * step for step in (1, 50)]
    alarms = [0, 0]
    for _ in range(runs):
        before = [draw.gauss(0, 1) for _ in range(20)]
        fresh = sum(draw.gauss(0, 1) for _ in range(5)) / 5
        mean = sum(before) / 20
        sd = (sum((x - mean) ** 2 for x in before) / 19) ** 0.5
        for place, m in enumerate((comparisons, comparisons / 50)):
            low, high = interval(Number(mean=mean, sd=sd, n=20), 5, m)
            alarms[place] += not low <= fresh <= high
    for count, share in zip(alarms, shares, strict=True):
        assert distributions.binomtest(count, runs, share).pvalue > 1e-4


@pytest.mark.parametrize(("mean", "tone"), [(10.9, "same"), (13.0, "alarm"), (7.0, "alarm")])
def test_a_number_outside_its_interval_is_an_alarm(mean: float, tone: str) -> None:
    one = found({}, {"numbers": {NAME: number(mean, 0.1, 5, unit="points")}}, NAME)
    assert one.tone == tone


def test_an_alarm_says_what_by_how_much_and_since_when() -> None:
    text = found({}, {"numbers": {NAME: number(13.0, 0.1, 5, unit="points")}}, NAME).text
    low, high = interval(number(), 5, 1)
    for part in ("13 points, n = 5", "baseline 10, n = 20", f"[{low:.5g}, {high:.5g}]", "+3 points", "+30 %"):
        assert part in text
    assert "since 0123456789ab, 2026-01-02: first baseline" in text


def test_no_spread_is_taken_for_the_floor() -> None:
    flat = {"numbers": {NAME: number(10.0, 0.0, 20, floor=0.25)}}
    assert found(flat, {"numbers": {NAME: number(10.25, 0.0, 5)}}, NAME).tone == "same"
    assert found(flat, {"numbers": {NAME: number(11.0, 0.0, 5)}}, NAME).tone == "alarm"
    exact = {"numbers": {NAME: number(0.0, 0.0, 20)}}
    assert found(exact, exact, NAME).tone == "same"


def test_a_baseline_of_values_is_held_against_fresh_logarithms() -> None:
    """As of a lognormal law with its mean and sd, which 200,000 draws of such a law are."""
    source = random.Random(0)
    draws = [source.lognormvariate(0.3, 0.5) for _ in range(200_000)]
    told = in_logarithms(number(statistics.fmean(draws), statistics.stdev(draws), 20, floor=0.01))
    assert (told.mean, told.sd) == (pytest.approx(0.3, abs=0.01), pytest.approx(0.5, abs=0.01))
    assert (told.n, told.logarithm) == (20, True)
    assert told.floor == pytest.approx(0.01 / statistics.fmean(draws), rel=0.01)


@pytest.mark.parametrize(("fresh", "tone"), [(5.0, "same"), (3.0, "alarm")])
def test_a_factor_is_compared_by_its_logarithm_whatever_its_baseline_was(fresh: float, tone: str) -> None:
    """Values about 10 with a geometric sd of 2: half of that is usual of five, by the logarithm; a third is not."""
    spread = math.log(2) * 0.9
    variance = spread**2
    mean = 10 * math.exp(variance / 2)
    before = {"numbers": {NAME: number(mean, mean * math.sqrt(math.expm1(variance)), 20)}}
    one = found(before, {"numbers": {NAME: number(math.log(fresh), spread, 5, logarithm=True)}}, NAME)
    assert one.tone == tone
    assert f"{fresh:g}, n = 5; baseline 10" in one.text


def test_a_baseline_whose_mean_has_no_logarithm_is_held_against_the_factor_itself() -> None:
    before = {"numbers": {NAME: number(-1.0, 0.1, 20)}}
    one = found(before, {"numbers": {NAME: number(math.log(5.0), 0.1, 5, logarithm=True)}}, NAME)
    assert one.tone == "alarm"
    assert one.text.startswith("5, n = 5; baseline -1")


def test_logarithms_are_told_as_what_they_are_of() -> None:
    before = {"numbers": {NAME: number(0.0, 0.01, 20, logarithm=True)}}
    one = found(before, {"numbers": {NAME: number(1.0, 0.01, 5, logarithm=True)}}, NAME)
    assert one.tone == "alarm"
    assert "2.7183, n = 5; baseline 1, n = 20" in one.text


@pytest.mark.parametrize(("broken", "tone"), [(False, "alarm"), (True, "note")])
def test_a_number_that_is_gone(broken: bool, tone: str) -> None:
    assert found({}, {"numbers": {}}, NAME, broken=broken).tone == tone


@pytest.mark.parametrize(
    ("before", "now", "tone"),
    [
        ("HOLDS", "HOLDS", "same"),
        ("HOLDS", "FAILS", "alarm"),
        ("FAILS", "HOLDS", "alarm"),
        ("REPRODUCED", "CONTRADICTED", "alarm"),
        ("HOLDS", "REPRODUCED", "note"),
        ("HOLDS", "INCONCLUSIVE", "note"),
        ("INCONCLUSIVE", "FAILS", "note"),
        ("HOLDS", "NOT RUN", "alarm"),
        ("NOT RUN", "HOLDS", "note"),
    ],
)
def test_turns_of_a_verdict(before: str, now: str, tone: str) -> None:
    out_of_order = now in ("FAILS", "INCONCLUSIVE")
    one = found({"claims": judged(before)}, {"claims": judged(now, in_order=not out_of_order)}, "verdict of stable")
    assert one.tone == tone


def test_an_undecided_claim_is_an_alarm_when_its_number_moved() -> None:
    now = {"claims": judged("INCONCLUSIVE", in_order=False), "numbers": {NAME: number(20.0, 1.0, 5)}}
    assert found({"claims": judged("HOLDS")}, now, "verdict of stable").tone == "alarm"
    now["claims"] = judged("INCONCLUSIVE", in_order=True)
    assert found({"claims": judged("HOLDS")}, now, "verdict of stable").tone == "note"


@pytest.mark.parametrize(
    ("kind", "low", "high", "tone"),
    [
        ("first", 20.0, 40.0, "same"),
        ("first", 40.0, None, "same"),
        ("first", 41.0, None, "alarm"),
        ("first", None, None, "alarm"),
        ("first", 0.0, 9.0, "alarm"),
        ("last", None, 10.0, "same"),
        ("last", None, None, "alarm"),
    ],
)
def test_crossings_are_apart_when_their_sets_are(kind: str, low: float | None, high: float | None, tone: str) -> None:
    before = judged("HOLDS", crossing=kind, low=10.0, high=40.0)
    one = found({"claims": before}, {"claims": judged("HOLDS", crossing=kind, low=low, high=high)}, "verdict of stable")
    assert one.tone == tone


def test_exact_facts() -> None:
    one = found({}, {"facts": {"trainable parameters": 1220, "dataset digest": "d4a5"}}, "trainable parameters")
    assert (one.tone, one.text.split(" (since")[0]) == ("alarm", "1,220, baseline 1,210 (+10)")
    assert found({}, {"facts": {"trainable parameters": 1210}}, "dataset digest").tone == "alarm"


def test_another_default_of_the_code_is_named() -> None:
    now = {"setting": {"training": {"batch": 50, "optimiser": {"name": "adam", "beta1": 0.8}}}}
    one = found({}, now, "resolved setting")
    assert one.tone == "alarm"
    assert "training.optimiser.beta1: is new, 0.8" in one.text


def test_another_plan_is_named() -> None:
    one = found({}, {"kinds": {"init": ("ab",), "train 1it → 40it, copy": ("cc",)}}, "plan")
    assert one.tone == "alarm"
    for part in ("train 1it → 40it, copy is new", "train 0it → 40it, copy is gone", "init is another job"):
        assert part in one.text


def test_all_numbers_of_a_run_share_the_error() -> None:
    assert count_numbers([baseline(), baseline(numbers={"a": number(), "b": number()})]) == 3


def test_a_smoke_run_is_exact_but_for_rounding() -> None:
    init, distance = baseline().content.rehearsal
    rounded = found({}, {"rehearsal": {init: 1.0 + 1e-9, distance: -2.0}}, "smoke run")
    assert rounded.tone == "same"
    changed = found({}, {"rehearsal": {init: 1.0, distance: -1.99}}, "smoke run")
    assert changed.tone == "alarm"
    assert f"1 of 2 numbers changed, beginning with {distance}: +1 %" in changed.text
    assert found({}, {"rehearsal": {init: 1.0}}, "smoke run").tone == "alarm"


@pytest.mark.parametrize(
    ("before", "now", "unit", "tone"),
    [
        (0.0, -3e-15, "points", "same"),
        (0.0, 1e-6, "points", "alarm"),
        (1e-14, 2e-14, "", "alarm"),
        (1e-14, 1e-14 * (1 + 1e-15), "", "same"),
    ],
)
def test_numbers_differ_by_more_than_the_rounding_of_what_they_come_from(
    before: float, now: float, unit: str, tone: str
) -> None:
    flat = {"numbers": {NAME: number(before, 0.0, 20, unit=unit)}}
    assert found(flat, {"numbers": {NAME: number(now, 0.0, 5, unit=unit)}}, NAME).tone == tone
