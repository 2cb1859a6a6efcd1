"""Claims about a median, a geometric mean, and rates on a test set: verdicts, reasons and warnings."""

import math

import pytest

from harness.judging.verdict import Verdict, judge
from harness.observation import Observation, Quantity
from harness.schema.claims import AtLeast, AtMost, Check, Claim, Equals, LessThan, Source

POINTS = Quantity("points", ("arm",), "rise of the error on the line", least=0.0)
LENGTH = Quantity("", ("arm",), "a distance", least=0.0)
HOLDS, FAILS, OPEN = Verdict.HOLDS, Verdict.FAILS, Verdict.INCONCLUSIVE


def rule(expect, values, than=(), *, quantity=POINTS, examples=None):
    """Judges values of one arm, by initialisation, perhaps against another's."""
    check = Check(expect=expect)
    source = Source(paper="lmc", place="Table 1")
    claim = Claim(id="a", sentence="A.", source=source, quantity="rise", checks={"toy": check})
    return judge(
        claim,
        "toy",
        [
            Observation("rise", {"arm": arm}, seed, 0, float(value))
            for arm, sample in (("imp", values), ("random", than))
            for seed, value in enumerate(sample)
        ],
        quantity,
        {"arm": "imp"},
        {},
        check=check,
        may_reproduce=False,
        planned_initialisations=len(values),
        examples=lambda at: examples,
    )


def at_most(bound=2.0, estimand="median"):
    return AtMost(kind="at_most", estimand=estimand, bound=bound)


def at_least(bound=2.0, estimand="median"):
    return AtLeast(kind="at_least", estimand=estimand, bound=bound)


def equals(value=2.0, margin=0.5, estimand="median"):
    return Equals(kind="equals", estimand=estimand, value=value, margin=margin)


def less(by=0.0, estimand="median"):
    return LessThan(kind="less_than", estimand=estimand, than={"arm": "random"}, by=by)


class TestMedian:
    @pytest.mark.parametrize(
        ("values", "below", "above"),
        [
            ((0, 0, 0, 0, 0), HOLDS, FAILS),
            ((9, 9, 9, 9, 9), FAILS, HOLDS),
            ((0, 0, 0, 0, 9), OPEN, OPEN),
            ((0, 0, 0, 0, 0, 0, 0, 99), HOLDS, FAILS),
            ((0, 0, 0, 0, 0, 0, 9, 9), OPEN, OPEN),
            ((2, 2, 2, 2, 2), HOLDS, HOLDS),
            ((2, 2, 2, 2, 3), OPEN, HOLDS),
            ((0, 0, 0, 0), OPEN, OPEN),
            ((9,), OPEN, OPEN),
        ],
    )
    def test_bounds(self, values, below, above):
        assert (rule(at_most(), values).verdict, rule(at_least(), values).verdict) == (below, above)

    @pytest.mark.parametrize(
        ("values", "verdict"),
        [
            ((1.6, 1.8, 2, 2.2, 2.5), HOLDS),
            ((1.6, 1.8, 2, 2.2, 2.6), OPEN),
            ((3, 3, 3, 3, 3), OPEN),
            ((3, 3, 3, 3, 3, 3), FAILS),
            ((1, 1, 1, 3, 3, 3), OPEN),
        ],
    )
    def test_equality_is_two_sign_tests_and_its_refutation_one_at_half_the_level(self, values, verdict):
        assert rule(equals(), values).verdict is verdict

    @pytest.mark.parametrize(
        ("by", "differences", "verdict"),
        [
            (0, (-1, -1, -1, -1, -1), HOLDS),
            (0, (-1, -1, -1, -1, 0), OPEN),
            (0, (0, 0, 0, 0, 0), FAILS),
            (0, (1, 1, 1, 1, 1), FAILS),
            (1, (-1, -1, -1, -1, -1), HOLDS),
            (1, (-1, -1, -1, -1, -0.5), OPEN),
            (-1, (1, 1, 1, 1, 1), HOLDS),
            (0, (-1, -1, -1), OPEN),
        ],
    )
    def test_of_differences_a_tie_counts_against_less(self, by, differences, verdict):
        other = (5, 6, 7, 8, 9)[: len(differences)]
        values = [value + difference for value, difference in zip(other, differences, strict=True)]
        assert rule(less(by), values, other).verdict is verdict

    def test_a_tie_is_one_to_rounding(self):
        sides = ((0.1 + 0.2, 0.3) * 3, (0.3, 0.1 + 0.2) * 3)
        assert rule(less(), *sides, quantity=LENGTH).verdict is FAILS

    def test_why(self):
        assert rule(at_most(), (0.25, 0.5, 0.5, 0.75, 1.5)).why == (
            "median 0.5 points (mean 0.7, sd 0.481) over 5 initialisations, 5 of them ≤ 2; its 93.8 % interval "
            "[0.25, 1.5] is ≤ 2 throughout."
        )

    def test_few_initialisations_say_how_many_are_needed(self):
        found = rule(at_most(), (0.25, 0.5, 0.75))
        assert found.why == (
            "median 0.5 points (mean 0.5, sd 0.25) over 3 initialisations, 3 of them ≤ 2; an interval needs 5; about 5 "
            "initialisations would settle it."
        )
        assert (found.replicates_needed, found.estimate.low, found.estimate.high) == (5, None, None)
        assert "an interval needs 6" in rule(equals(), (9, 9, 9, 9, 9)).why
        assert rule(at_most(), (0, 1, 9, 9)).replicates_needed is None

    def test_one_far_away_settles_nothing_for_the_mean_and_is_one_of_eight_for_the_median(self):
        values = (0.25, 0.5, 0.5, 0.75, 0.5, 0.25, 0.5, 9)
        median, mean = rule(at_most(), values), rule(at_most(estimand="mean"), values)
        assert (median.verdict, mean.verdict) == (HOLDS, OPEN)
        assert (median.estimate.value, median.estimate.mean) == (0.5, mean.estimate.value)
        assert any("a law with a long tail" in warning for warning in mean.warnings)
        assert not any("long tail" in warning for warning in median.warnings)


class TestLongTail:
    @pytest.mark.parametrize(
        ("values", "quantity", "warned"),
        [
            ((0.1, 0.2, 0.1, 3.0), POINTS, True),
            ((2.1, 2.2, 2.1, 3.0), POINTS, False),
            ((99.9, 99.8, 99.9, 97.0), Quantity("%", ("arm",), "accuracy"), True),
            ((-3.0, 3.0, 1.0, -1.5), Quantity("points", ("arm",), "a difference"), False),
        ],
    )
    def test_is_told_of_a_mean_by_the_sd_and_the_end_of_the_range(self, values, quantity, warned):
        found = rule(at_least(50.0, "mean"), values, quantity=quantity)
        assert any("long tail" in warning for warning in found.warnings) is warned


class TestGeometricMean:
    def test_a_factor_is_as_far_up_as_down(self):
        half, twice = (0.9, 1.0, 1.1), (3.6, 4.0, 4.4)
        for values, verdict in ((half, FAILS), (twice, HOLDS)):
            assert rule(at_least(2.0, "geometric_mean"), values, quantity=LENGTH).verdict is verdict
        found = rule(at_most(2.0, "geometric_mean"), half, quantity=LENGTH)
        assert "geometric mean 0.99666 (geometric sd 1.11, mean 1) over 3 initialisations; its 90 %" in found.why
        assert rule(equals(1.0, 0.5, "geometric_mean"), half, quantity=LENGTH).verdict is HOLDS

    def test_sides_are_compared_by_their_ratio(self):
        found = rule(less(estimand="geometric_mean"), (1, 10, 100), (2.0, 21, 190), quantity=LENGTH)
        assert (found.verdict, found.unit) == (HOLDS, "times")
        assert found.estimate.value == pytest.approx((1 / 2 * 10 / 21 * 100 / 190) ** (1 / 3))
        assert "Ratios by initialisation: geometric mean 0.5" in found.why
        assert rule(less(estimand="mean"), (1, 10, 100), (2.0, 21, 190), quantity=LENGTH).verdict is OPEN
        assert rule(less(estimand="geometric_mean"), (3, 7, 9), (3, 7, 9), quantity=LENGTH).verdict is FAILS

    @pytest.mark.parametrize("value", [0.0, -1.0])
    def test_what_has_no_logarithm_is_not_run(self, value):
        length = Quantity("", ("arm",), "a ratio")
        for found in (
            rule(at_most(2.0, "geometric_mean"), (1, value, 1), quantity=length),
            rule(less(estimand="geometric_mean"), (1, 2, 1), (3, value, 3), quantity=length),
        ):
            assert (found.verdict, found.estimate) == (Verdict.NOT_RUN, None)
            assert "in initialisation 1, and a geometric mean is of positive values only" in found.why


class TestTestSet:
    """397 examples: a step of .25 points."""

    ERROR = Quantity("%", ("arm", "split"), "error at the end of training")
    STEP = 100 / 397

    @pytest.mark.parametrize("estimand", ["mean", "median"])
    def test_agreement_is_no_certainty(self, estimand):
        same = (8 * self.STEP,) * 5
        for bound, verdict in ((7.5 * self.STEP, OPEN), (8.5 * self.STEP, OPEN), (9.1 * self.STEP, HOLDS)):
            found = rule(at_most(bound, estimand), same, examples=397)
            assert found.verdict is verdict
            assert not any("agree exactly" in warning for warning in found.warnings)
        assert rule(at_most(8.5 * self.STEP, estimand), same).verdict is HOLDS  # of what has no resolution
        found = rule(at_most(8.5 * self.STEP, estimand), same, examples=397)
        assert "the limit is nearer than the resolution of 0.25189" in found.why
        assert found.replicates_needed is None

    def test_the_spread_of_the_test_set_is_told_beside_that_of_trainings(self):
        found = self._judged(5.0)
        error = 100 * math.sqrt(0.05 * 0.95 / 397)
        assert f"A single rate of 5 % on 397 test examples has a binomial standard error of {error:.1f} points" in found
        assert "A single rate of 0.252 %" in self._judged(0.0)

    def _judged(self, value):
        expect = at_most(50.0, "mean")
        check = Check(expect=expect)
        source = Source(paper="lmc", place="Table 1")
        claim = Claim(id="a", sentence="A.", source=source, quantity="error", checks={"toy": check})
        return judge(
            claim,
            "toy",
            [Observation("error", {"arm": "imp", "split": "test"}, seed, 0, value) for seed in range(3)],
            self.ERROR,
            {"arm": "imp", "split": "test"},
            {},
            check=check,
            may_reproduce=False,
            planned_initialisations=3,
            examples=lambda at: 397,
        ).why
