"""The p-values of decisions against SciPy's tests, and what fresh initialisations would say against simulation."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from harness.judging.decision import Decision, decide
from harness.judging.estimands import Located
from harness.judging.evidence import Fresh, Limit, p_falling
from harness.observation import Quantity
from harness.schema.claims import AtLeast, AtMost, Equals, Expectation, FirstWithin, LessThan

ANY = Quantity("points", ("arm",), "any number")


def decided(expect: Expectation, *samples: list[float]) -> Decision:
    """Of one arm, or of two."""
    rows = [{seed: [value] for seed, value in enumerate(sample)} for sample in samples]
    return decide(expect, [{"arm": arm} for arm in ("imp", "random")[: len(rows)]], rows, ANY)


def at_most(bound: float, estimand: str = "mean") -> AtMost:
    return AtMost.model_validate({"kind": "at_most", "estimand": estimand, "bound": bound})


def at_least(bound: float, estimand: str = "mean") -> AtLeast:
    return AtLeast.model_validate({"kind": "at_least", "estimand": estimand, "bound": bound})


def equals(value: float, margin: float, estimand: str = "mean") -> Equals:
    return Equals.model_validate({"kind": "equals", "estimand": estimand, "value": value, "margin": margin})


def less(estimand: str = "mean") -> LessThan:
    return LessThan.model_validate({"kind": "less_than", "estimand": estimand, "than": {"arm": "random"}})


@pytest.mark.parametrize(
    ("values", "stands", "p"),
    [
        ([0, 0, 0, 0, 0], True, 1 / 32),
        ([9, 9, 9, 9, 9], False, 1 / 32),
        ([0, 0, 0, 0, 0, 0, 0, 9], True, 9 / 256),
        ([9, 9, 9, 9, 9, 9, 9, 0], False, 9 / 256),
        ([2, 2, 2, 2, 2], True, 1 / 32),
        ([0, 0, 0, 0, 9], None, None),
    ],
)
def test_the_p_of_a_median_counts_initialisations(values: list[float], stands: bool | None, p: float | None) -> None:
    told = decided(at_most(2.0, "median"), values)
    assert told.stands is stands
    assert told.p == (None if p is None else pytest.approx(p))


def test_a_tie_counts_against_less() -> None:
    tied = decided(less("median"), [1.0, 2, 3, 4, 5], [1.0, 2, 3, 4, 5])
    assert (tied.stands, tied.p) == (False, pytest.approx(1 / 32))


def test_a_refuted_equality_of_a_median_has_both_sides() -> None:
    told = decided(equals(2.0, 0.5, "median"), [9.0] * 6)
    assert (told.stands, told.p) == (False, pytest.approx(2 / 64))


SAMPLE, OTHER = [1.1, 1.9, 1.4, 0.7, 1.6], [2.0, 2.9, 2.2, 1.9, 2.3]


@pytest.mark.parametrize(
    ("told", "stands", "p"),
    [
        (decided(at_most(2.0), SAMPLE), True, stats.ttest_1samp(SAMPLE, 2.0, alternative="less").pvalue),
        (decided(at_least(2.0), SAMPLE), False, stats.ttest_1samp(SAMPLE, 2.0, alternative="less").pvalue),
        (decided(at_least(0.5), SAMPLE), True, stats.ttest_1samp(SAMPLE, 0.5, alternative="greater").pvalue),
        (decided(at_most(0.5), SAMPLE), False, stats.ttest_1samp(SAMPLE, 0.5, alternative="greater").pvalue),
        (decided(equals(1.3, 0.8), SAMPLE), True, stats.ttest_1samp(SAMPLE, 2.1, alternative="less").pvalue),
        (decided(equals(4.0, 1.8), SAMPLE), False, stats.ttest_1samp(SAMPLE, 2.2).pvalue),
        (decided(less(), SAMPLE, OTHER), True, stats.ttest_rel(SAMPLE, OTHER, alternative="less").pvalue),
        (decided(less(), OTHER, SAMPLE), False, stats.ttest_rel(OTHER, SAMPLE, alternative="greater").pvalue),
        (
            decided(at_most(2.0, "geometric_mean"), SAMPLE),
            True,
            stats.ttest_1samp(np.log(SAMPLE), math.log(2.0), alternative="less").pvalue,
        ),
        (
            decided(less("geometric_mean"), SAMPLE, OTHER),
            True,
            stats.ttest_1samp(np.log(np.divide(SAMPLE, OTHER)), 0.0, alternative="less").pvalue,
        ),
    ],
)
def test_the_p_of_a_mean_is_students(told: Decision, stands: bool, p: float) -> None:
    assert told.stands is stands
    assert told.p == pytest.approx(p, rel=1e-9)


EXPECTATIONS = [
    expectation
    for estimand in ("median", "mean", "geometric_mean")
    for expectation in (at_most(2.0, estimand), at_least(2.0, estimand), equals(2.0, 0.5, estimand))
]


@settings(deadline=None)
@given(
    st.sampled_from(EXPECTATIONS),
    st.lists(st.floats(0.1, 5.0).map(lambda value: round(value, 2)), min_size=2, max_size=12),
)
def test_what_is_decided_has_a_small_p_and_nothing_else_has_one(expect: Expectation, values: list[float]) -> None:
    told = decided(expect, values)
    assert (told.p is None) == (told.stands is None)
    if told.p is not None:
        assert 0 <= told.p <= 0.05 + 1e-9


def test_one_initialisation_and_a_crossing_have_neither() -> None:
    assert decided(at_most(2.0), [1.0]).p is None
    assert decided(at_most(2.0), [1.0]).fresh is None
    crossing = FirstWithin(kind="first_within", axis="rewind", threshold=2, earliest=0, latest=100)
    rows = [{0: [9.0], 1: [9.1], 2: [9.2]}, {0: [0.1], 1: [0.2], 2: [0.3]}]
    told = decide(crossing, [{"rewind": 0}, {"rewind": 100}], rows, ANY)
    assert (told.p, told.fresh) == (None, None)


@pytest.mark.parametrize("estimand", ["median", "mean", "geometric_mean"])
@pytest.mark.parametrize("expect", [at_most, at_least, lambda bound, estimand: equals(bound, 0.6, estimand)])
def test_fresh_initialisations_say_what_is_told(expect, estimand: str) -> None:
    """Were the estimate and the sd of a sample the truth, so many fresh samples would stand and fall."""
    values = [1.2, 1.9, 1.4, 0.9, 1.6, 2.4, 1.5, 1.1]
    asked = expect(2.0, estimand)
    told = decided(asked, values).fresh
    assert told is not None
    made = np.log(values) if estimand == "geometric_mean" else np.array(values)
    centre = np.median(made) if estimand == "median" else made.mean()
    draws = np.random.default_rng(0).normal(centre, made.std(ddof=1), (1500, len(values)))
    draws = np.exp(draws) if estimand == "geometric_mean" else draws
    said = [decided(asked, list(draw)).stands for draw in draws]
    # 1,500 samples, three standard errors; both sides of an equality are taken as exclusive.
    assert said.count(True) / len(said) == pytest.approx(told.stands, abs=0.04)
    assert said.count(False) / len(said) == pytest.approx(told.falls, abs=0.04)


def on_397_images(values: list[float], expect: Expectation) -> Decision:
    """Of a rate, which moves in steps of a quarter of a point."""
    rate = Quantity("%", ("arm",), "a rate")
    return decide(expect, [{"arm": "imp"}], [{seed: [value] for seed, value in enumerate(values)}], rate, 397)


@pytest.mark.parametrize("estimand", ["median", "mean", "geometric_mean"])
@pytest.mark.parametrize(("n", "spread"), [(5, 0.02), (8, 0.02), (5, 0.15), (9, 0.3)])
def test_fresh_rates_have_their_resolution(estimand: str, n: int, spread: float) -> None:
    """A fifth of a point inside of the limit, nearer than a step: more than their spread decides whether they stand."""
    rng = np.random.default_rng(n)
    values = 1.8 + spread * stats.norm.ppf((np.arange(n) + 0.5) / n)
    asked = at_most(2.0, estimand)
    told = on_397_images(list(values), asked)
    assert told.stands is None
    assert told.outlook is not None
    fresh, freely = told.outlook.fresh(), replace(told.outlook, resolution=0.0).fresh()
    assert fresh.stands < freely.stands, "the resolution is in it"
    made = np.log(values) if estimand == "geometric_mean" else values
    centre = np.median(made) if estimand == "median" else made.mean()
    draws = rng.normal(centre, told.outlook.sd, (300, n))
    draws = np.exp(draws) if estimand == "geometric_mean" else draws
    said = [on_397_images(list(draw), asked).stands for draw in draws]
    # 300 samples: three standard errors are .087. Of an even number the upper of the two middle values stands for both.
    assert said.count(True) / len(said) == pytest.approx(fresh.stands, abs=0.09)
    assert said.count(False) / len(said) == pytest.approx(fresh.falls, abs=0.09)


def test_without_spread_fresh_initialisations_say_the_same() -> None:
    for bound, stands in ((2.0, True), (1.0, True), (0.5, False)):
        told = decided(at_most(bound), [1.0, 1.0, 1.0])
        assert told.stands is stands
        assert told.p == 0.0
        assert told.fresh == Fresh(float(stands), float(not stands))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_rates_that_agree_by_rounding_are_no_certainty(n: int) -> None:
    """Their p-value is that of a spread of rounding, or the level by which the resolution decided; not 0."""
    located = Located({seed: [1.0] for seed in range(n)}, "mean", resolution=0.25)
    limit = Limit(0.5, upper=True, inside=0)
    expected = stats.t.sf(0.5 / (0.25 / math.sqrt(12) / math.sqrt(n)), n - 1)
    assert p_falling(located, [limit]) == pytest.approx(min(expected, 0.05))
    assert p_falling(located, [limit]) > 0
    assert p_falling(Located(located.values, "mean"), [limit]) == 0
