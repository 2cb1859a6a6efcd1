"""A claim judged with two choices: same conclusion, flips or undecided, and the paired differences."""

import pytest

from harness.judging.sensitivity import Comparison, compare, side
from harness.judging.verdict import Verdict, judge
from harness.observation import Observation, Quantity
from harness.schema.claims import AtLeast, AtMost, Check, Claim, Expectation, FirstWithin, LessThan, Source

POINTS = Quantity("points", ("fork",), "rise of the error on the line", least=0.0)
LENGTH = Quantity("", ("fork",), "a distance", least=0.0)
FORKS = (0, 10, 20)


def sided(expect: Expectation, by_fork: dict[int, list[float]], quantity: Quantity, examples: int | None):
    check = Check(at={} if isinstance(expect, FirstWithin) else {"fork": 0}, expect=expect)
    source = Source(paper="lmc", place="Table 1")
    claim = Claim(id="a", sentence="A.", source=source, quantity="rise", checks={"toy": check})
    observations = [
        Observation("rise", {"fork": fork}, seed, 0, value)
        for fork, values in by_fork.items()
        for seed, value in enumerate(values)
    ]
    axes = {"fork": FORKS}
    judgement = judge(
        claim,
        "toy",
        observations,
        quantity,
        {},
        axes,
        check=check,
        may_reproduce=False,
        planned_initialisations=2,
        examples=lambda at: examples,
    )
    return side(judgement, observations, quantity, {}, axes)


def flip(
    expect: Expectation,
    own: list[float] | dict[int, list[float]],
    flipped: list[float] | dict[int, list[float]],
    margin: float = 1.0,
    quantity: Quantity = POINTS,
    examples: int | None = None,
) -> Comparison:
    one, other = (
        sided(expect, values if isinstance(values, dict) else {0: values}, quantity, examples)
        for values in (own, flipped)
    )
    return compare(one, other, margin, quantity, examples)


def at_most(bound: float = 2.0, estimand: str = "mean") -> AtMost:
    return AtMost(kind="at_most", estimand=estimand, bound=bound)


FIRST = FirstWithin(kind="first_within", axis="fork", threshold=2.0, earliest=0, latest=10)


def test_opposite_verdicts_flip() -> None:
    told = flip(at_most(), [1.0, 1.1, 0.9, 1.0, 1.0], [9.0, 9.1, 8.9, 9.0, 9.0])
    assert told.outcome == "flips"
    assert told.difference is not None
    assert (told.difference.value, told.difference.n) == (pytest.approx(8.0), 5)
    assert told.needed is None
    assert "HOLDS as the spec has it, FAILS flipped" in told.why
    assert "not inside the margin ±1." in told.why


def test_opposite_verdicts_flip_however_near_they_are() -> None:
    told = flip(at_most(), [1.99] * 3, [2.01] * 3)
    assert told.outcome == "flips"
    assert "is inside the margin" in told.why


def test_equal_verdicts_are_the_same_conclusion_however_large_the_difference() -> None:
    told = flip(at_most(), [9.0, 9.1, 8.9], [30.0, 31.0, 29.0])
    assert told.outcome == "same conclusion"
    assert "not inside the margin" in told.why


def test_open_verdicts_agree_on_nothing_but_an_interval_inside_the_margin_does() -> None:
    wide = [0.0, 2.0, 4.0, 1.0, 3.0]
    same = flip(at_most(), wide, [value + step for value, step in zip(wide, [0.1, -0.1, 0.0, 0.1, -0.1], strict=True)])
    assert same.outcome == "same conclusion"
    assert "INCONCLUSIVE as the spec has it, INCONCLUSIVE flipped" in same.why
    other = flip(at_most(), wide, [value + step for value, step in zip(wide, [3.0, -3.0, 0.0, 1.0, -1.0], strict=True)])
    assert other.outcome == "undecided"


def test_pairs_not_spreads_decide() -> None:
    """The same values in another order have the same mean and spread, and differ initialisation by initialisation."""
    wide = [0.0, 2.0, 4.0, 1.0, 3.0]
    assert flip(at_most(), wide, wide).outcome == "same conclusion"
    assert flip(at_most(), wide, wide[::-1]).outcome == "undecided"


def test_what_is_undecided_tells_how_many_would_settle_it() -> None:
    differences = [0.9, -0.9, 0.5, -0.5, 0.1]
    wide = [0.0, 2.0, 4.0, 1.0, 3.0]
    few = flip(at_most(), wide, [value + step for value, step in zip(wide, differences, strict=True)], margin=0.6)
    assert few.outcome == "undecided"
    assert few.needed is not None
    assert few.needed > 5
    assert f"about {few.needed} initialisations would settle it" in few.why
    repeated = few.needed // 5 * 2 + 2
    many = flip(
        at_most(), wide * repeated, [v + d for v, d in zip(wide * repeated, differences * repeated, strict=True)], 0.6
    )
    assert many.outcome == "same conclusion"


def test_a_median_needs_five_pairs_and_is_between_order_statistics() -> None:
    median = at_most(estimand="median")
    four = flip(median, [0.0, 4.0, 0.0, 4.0], [0.1, 4.1, 0.0, 4.0])
    assert four.outcome == "undecided"
    assert four.difference is not None
    assert (four.difference.low, four.difference.high) == (None, None)
    assert "an interval needs 5" in four.why
    five = flip(median, [0.0, 4.0, 0.0, 4.0, 4.0], [0.1, 4.1, 0.0, 4.0, 3.7])
    assert five.outcome == "same conclusion"
    assert five.difference is not None
    assert five.difference.level == 0.9375
    assert (five.difference.low, five.difference.high) == (pytest.approx(-0.3), pytest.approx(0.1))


def test_no_interval_of_a_rate_is_narrower_than_an_example() -> None:
    wide = [0.0, 4.0, 0.0, 4.0, 4.0]
    assert flip(at_most(), wide, wide, margin=0.2).outcome == "same conclusion"
    rate = flip(at_most(), wide, wide, margin=0.2, examples=400)
    assert rate.outcome == "undecided"
    assert rate.difference is not None
    assert (rate.difference.low, rate.difference.high) == (-0.25, 0.25)
    assert flip(at_most(), wide, wide, margin=0.25, examples=400).outcome == "same conclusion"


def test_an_interval_that_reaches_the_margin_is_inside() -> None:
    open_ones = [1.0, 3.0, 1.0, 3.0]
    assert flip(at_most(), open_ones, [value + 1.0 for value in open_ones], margin=1.0).outcome == "same conclusion"
    assert flip(at_most(), open_ones, [value + 1.0 for value in open_ones], margin=0.99).outcome == "undecided"


def test_less_than_compares_differences_of_differences() -> None:
    expect = LessThan(kind="less_than", estimand="mean", than={"fork": 10})
    own = {0: [1.0, 2.0, 3.0], 10: [2.0, 3.0, 4.0]}
    told = flip(expect, own, {0: [5.0, 6.0, 7.0], 10: [6.5, 7.5, 8.5]})
    assert told.outcome == "same conclusion"
    assert told.difference is not None
    assert told.difference.value == pytest.approx(-0.5)
    assert flip(expect, own, {0: own[10], 10: own[0]}).outcome == "flips"


def test_of_a_geometric_mean_ratios_are_compared() -> None:
    expect = LessThan(kind="less_than", estimand="geometric_mean", than={"fork": 10})
    told = flip(expect, {0: [1.0, 2.0], 10: [2.0, 4.0]}, {0: [3.0, 6.0], 10: [4.0, 8.0]}, margin=0.5, quantity=LENGTH)
    assert told.difference is not None
    assert told.difference.value == pytest.approx(0.25)
    assert "0.25 times over 2" in told.why


def test_a_search_is_the_same_where_every_point_is() -> None:
    own = {0: [1.0, 3.0, 2.0], 10: [1.0, 1.1, 0.9], 20: [0.5, 0.6, 0.4]}
    near = {fork: [value + 0.1 for value in values] for fork, values in own.items()}
    assert flip(FIRST, own, near).outcome == "same conclusion"
    late = {0: own[0], 10: [9.0, 9.1, 8.9], 20: own[20]}
    told = flip(FIRST, own, late)
    assert told.outcome == "flips"
    assert told.at == "fork=10"
    assert told.difference is not None
    assert told.difference.value == pytest.approx(8.0)


def test_a_point_that_only_one_side_has_shows_no_sameness() -> None:
    own = {0: [0.0, 4.0], 10: [0.0, 4.0], 20: [0.0, 4.0]}
    whole = flip(FIRST, own, own)
    assert (whole.outcome, whole.initialisations) == ("same conclusion", 2)
    lacking = flip(FIRST, own, {fork: own[fork] for fork in (10, 20)})
    assert (lacking.outcome, lacking.initialisations) == ("undecided", 0)


def test_an_initialisation_counts_that_has_a_difference_at_every_point() -> None:
    own = {0: [0.0, 4.0, 1.0], 10: [0.0, 4.0, 1.0], 20: [0.0, 4.0, 1.0]}
    assert flip(FIRST, own, own).initialisations == 3
    assert flip(FIRST, own, {**own, 10: [0.0, 4.0]}).initialisations == 2


def test_initialisations_are_paired_by_seed() -> None:
    own = sided(at_most(), {0: [0.0, 4.0, 1.0]}, POINTS, None)
    told = compare(own, sided(at_most(), {0: [0.0, 4.0]}, POINTS, None), 1.0, POINTS)
    assert dict(told.by_initialisation) == {0: 0.0, 1: 0.0}
    assert told.initialisations == 2


def test_what_was_not_judged_is_undecided_with_the_reason() -> None:
    told = flip(at_most(), [1.0, 1.0], [float("nan"), 1.0])
    assert told.outcome == "undecided"
    assert told.difference is None
    assert f"{Verdict.NOT_RUN} flipped: rise at fork=0 is not a number in initialisation 0" in told.why


def test_no_common_initialisation_is_no_pair() -> None:
    own = sided(at_most(), {0: [0.0, 4.0]}, POINTS, None)
    other = sided(at_most(), {0: [0.0, 4.0]}, POINTS, None)
    apart = type(other)(other.judgement, other.asked, [{seed + 10: v for seed, v in other.samples[0].items()}])
    told = compare(own, apart, 1.0, POINTS)
    assert (told.outcome, told.difference) == ("undecided", None)
    assert "No initialisation has a value both ways" in told.why


def test_the_margin_is_never_met_by_a_true_difference_beyond_it() -> None:
    """At a true difference on the margin, sameness is told in about 5 % of samples (two one-sided tests)."""
    import numpy as np

    draws = np.random.default_rng(1)
    open_claim = AtLeast(kind="at_least", estimand="mean", bound=0.0)
    told = []
    for _ in range(600):
        own = draws.normal(0.0, 50.0, 5)
        told.append(
            flip(open_claim, list(own), list(own + draws.normal(1.0, 0.3, 5)), quantity=Quantity("", ("fork",), ""))
        )
    same = sum(one.outcome == "same conclusion" and "INCONCLUSIVE as" in one.why for one in told)
    open_ones = sum("INCONCLUSIVE as" in one.why for one in told)
    assert open_ones > 400
    assert same / open_ones < 0.08
