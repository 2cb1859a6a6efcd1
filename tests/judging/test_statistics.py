"""Closed forms, properties, and error rates by simulation with fixed seeds."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.errors import InvariantBroken
from harness.judging.crossing import first_within, last_within
from harness.judging.statistics import (
    Estimate,
    bounds,
    differences,
    equivalence,
    estimate,
    magnitude,
    no_more,
    outlier,
    replicates_needed,
)


def flat(*values):
    """One value an initialisation."""
    return {seed: [value] for seed, value in enumerate(values)}


def axis(*points):
    return [flat(*point) for point in points]


class TestEstimate:
    def test_agrees_with_scipy(self):
        values = [1.25, 2.5, 0.75, 3.125]
        found = estimate(flat(*values))
        interval = scipy_stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (found.value, found.n, found.kind) == (np.mean(values), 4, "mean")
        assert found.sd == pytest.approx(np.std(values, ddof=1), rel=1e-12)
        assert (found.low, found.high) == pytest.approx(tuple(interval), rel=1e-12)

    def test_ninety_percent_bounds_are_the_two_one_sided_tests(self):
        values = [1.25, 2.5, 0.75, 3.125]
        low, high = bounds(estimate(flat(*values)), 0.90)
        assert scipy_stats.ttest_1samp(values, high, alternative="less").pvalue == pytest.approx(0.05)
        assert scipy_stats.ttest_1samp(values, low, alternative="greater").pvalue == pytest.approx(0.05)

    def test_initialisations_weigh_the_same_whatever_they_hold(self):
        found = estimate({0: [1.0, 1.0, 1.0, 1.0], 1: [3.0], 2: [4.0, 6.0]})
        assert found == estimate(flat(1.0, 3.0, 5.0))
        assert found.value == 3

    @given(st.lists(st.floats(1, 2), min_size=2, max_size=6), st.integers(-300, 0))
    def test_the_size_of_numbers_changes_nothing(self, values, exponent):
        """Powers of two, so that no digit is lost."""
        size = 2.0**exponent
        here, there = estimate(flat(*values)), estimate(flat(*(size * value for value in values)))
        assert (there.value, there.sd) == (size * here.value, size * here.sd)
        assert (there.low, there.high) == (size * here.low, size * here.high)

    def test_one_initialisation_has_no_interval_however_many_pairs(self):
        found = estimate({7: [1.0, 2.0, 3.0]})
        assert found == Estimate(2.0, 1, None, None, None)
        assert bounds(found, 0.90) == (-math.inf, math.inf)

    @pytest.mark.parametrize("value", [0.0, 0.1, 100 * 7 / 397])
    def test_agreement_has_exactly_no_spread(self, value):
        found = estimate(flat(value, value, value))
        assert found == Estimate(value, 3, 0.0, value, value)
        assert bounds(found, 0.90) == (value, value)

    def test_agreement_but_for_rounding_has_no_spread(self):
        assert 0.1 + 0.2 != 0.3
        assert estimate(flat(0.1 + 0.2, 0.3)).sd == 0
        assert estimate(flat(0.3001, 0.3)).sd > 0

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_what_is_not_finite_is_an_error_that_names_the_place(self, value):
        with pytest.raises(InvariantBroken, match=f"initialisation 1 has the value {value}"):
            estimate({0: [1.0], 1: [1.0, value]})

    def test_nothing_to_estimate_is_an_error(self):
        with pytest.raises(ValueError, match="at least one initialisation"):
            estimate({})
        with pytest.raises(ValueError, match="initialisation 3 has no values"):
            estimate({3: []})

    def test_a_crossing_has_no_t_interval(self):
        with pytest.raises(ValueError, match="'crossing'"):
            bounds(Estimate(500, 3, None, 0, 500, kind="crossing"), 0.90)

    @given(
        st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8),
        st.floats(-1e3, 1e3),
        st.floats(0.1, 10),
    )
    def test_shift_and_scale(self, values, shift, scale):
        found = estimate(flat(*values))
        moved = estimate(flat(*(shift + scale * value for value in values)))
        for one in ("value", "low", "high"):
            expected = shift + scale * getattr(found, one)
            assert getattr(moved, one) == pytest.approx(expected, rel=1e-6, abs=1e-6)
        assert moved.sd == pytest.approx(scale * found.sd, rel=1e-6, abs=1e-6)


def test_differences_are_paired_by_initialisation():
    at, than = {0: [1.0, 3.0], 1: [5.0], 2: [9.0]}, {1: [1.0], 0: [0.5], 4: [7.0]}
    assert differences(at, than) == {0: [1.5], 1: [4.0]}


def test_pairing_removes_what_initialisations_share():
    shared = [10.0, 20.0, 30.0, 40.0]
    found = estimate(differences(flat(*shared), flat(*(one + 1 for one in shared))))
    assert (found.value, found.sd) == (-1, 0)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (1, 2, True),
        (2, 2, True),
        (0.1 + 0.2, 0.3, True),
        (2.0001, 2, False),
        (1e-14, 0, False),
        (5.13e-13, 5e-13, False),
        (1e-300, 0, False),
        (math.inf, 1, False),
        (1, math.inf, True),
    ],
)
def test_no_more(a, b, expected):
    assert no_more(a, b) is expected


@pytest.mark.parametrize(("scale", "expected"), [(0, False), (1e-14, False), (1, True), (100, True)])
def test_rounding_is_that_of_the_numbers_behind_the_compared_ones(scale, expected):
    residue = (0.1 + 0.2) - 0.3
    assert residue > 0
    assert no_more(residue, 0, scale) is expected
    assert (estimate(flat(residue, -residue / 3), scale).sd == 0) is expected
    assert (estimate(flat(residue), scale).value == 0) is expected


def test_magnitude_is_the_largest_number_of_all_samples():
    assert magnitude({0: [1.0, -7.0], 1: [2.0]}, {}, {5: [6.0]}) == 7
    assert magnitude({}) == 0


class TestFirstWithin:
    def test_hand_made(self):
        # Means 9, 3, 2, 1, 0; the bounds of the second and third straddle 2.
        found = first_within(axis((9, 9.1, 8.9), (1, 3, 5), (1, 2, 3), (1, 1.1, 0.9), (0, 0, 0)), 2)
        assert (found.value, found.low, found.high, found.n) == (2, 1, 3, 3)
        assert found.each == {0: 1, 1: 2, 2: 3}

    def test_a_later_rise_counts(self):
        points = axis((1, 1.1), (1, 1.1), (5, 5.1), (1, 1.1))
        found = first_within(points, 2)
        assert (found.value, found.low, found.high) == (3, 3, 3)

    def test_no_bound_lies_beyond_what_the_quantity_can_be(self) -> None:
        points = axis((90, 99, 100), (1, 2, 1))
        assert first_within(points, 100).high == 1
        found = first_within(points, 100, limits=(0.0, 100.0))
        assert (found.low, found.high) == (0, 0)

    def test_everywhere_and_nowhere(self):
        low, high = (0, 0.1, 0.2), (9, 9.1, 9.2)
        everywhere, nowhere = first_within(axis(low, low), 2), first_within(axis(high, high), 2)
        assert (everywhere.value, everywhere.low, everywhere.high) == (0, 0, 0)
        assert (nowhere.value, nowhere.low, nowhere.high) == (None, None, None)

    def test_exactly_at_the_threshold_is_within(self):
        found = first_within(axis((5, 5, 5), (0.3, 0.1 + 0.2, 0.3)), 0.3)
        assert (found.value, found.low, found.high) == (1, 1, 1)

    def test_one_initialisation_gives_a_point_and_no_set(self):
        found = first_within(axis((5,), (1,), (1,)), 2)
        assert (found.value, found.low, found.high, found.n) == (1, None, None, 1)
        assert found.each == {0: 1}

    def test_a_point_not_observed_neither_refutes_nor_assures(self):
        high, low = (9, 9.1, 9.2), (0, 0.1, 0.2)
        found = first_within([flat(*high), {}, flat(*low), {}, flat(*low)], 2)
        assert (found.value, found.low, found.high) == (2, 1, 4)
        with pytest.raises(ValueError, match="observed point"):
            first_within([{}, {}], 2)

    def test_n_is_the_least_and_each_needs_all_points(self):
        found = first_within([flat(9, 9.1, 9.2), {1: [0.0], 2: [0.1]}], 2)
        assert (found.n, dict(found.each)) == (2, {1: 1, 2: 1})


class TestLastWithin:
    def test_hand_made(self):
        # Not contiguous: above at position 1, surely within at 2, perhaps at 3.
        found = last_within(axis((0, 0.1, 0.2), (9, 9.1, 9.2), (0, 0.1, 0.2), (1, 2.5, 4), (9, 9.1, 9.2)), 2)
        assert (found.value, found.low, found.high, found.n) == (2, 2, 3, 3)
        assert found.each == {0: 3, 1: 2, 2: 2}

    def test_everywhere_and_nowhere(self):
        low, high = (0, 0.1, 0.2), (9, 9.1, 9.2)
        everywhere, nowhere = last_within(axis(low, low), 2), last_within(axis(high, high), 2)
        assert (everywhere.value, everywhere.low, everywhere.high) == (1, 1, 1)
        assert (nowhere.value, nowhere.low, nowhere.high) == (None, None, None)

    def test_surely_nowhere_below_but_perhaps(self):
        found = last_within(axis((1, 2, 5), (9, 9.1, 9.2)), 2)
        assert (found.value, found.low, found.high) == (None, None, 0)

    def test_a_point_not_observed_neither_refutes_nor_assures(self):
        found = last_within([flat(0, 0.1, 0.2), {}, flat(9, 9.1, 9.2)], 2)
        assert (found.value, found.low, found.high) == (0, 0, 1)

    def test_one_initialisation_gives_a_point_and_no_set(self):
        found = last_within(axis((1,), (5,)), 2)
        assert (found.value, found.low, found.high, found.n) == (0, None, None, 1)


@given(
    st.lists(st.lists(st.floats(0, 4), min_size=3, max_size=3), min_size=1, max_size=5),
    st.sampled_from([1.0, 2.0]),
)
def test_sets_hold_their_estimate(rows, threshold):
    points = axis(*rows)
    for found, nowhere in (
        (first_within(points, threshold), len(points)),
        (last_within(points, threshold), -1),
    ):
        low, value, high = (nowhere if one is None else one for one in (found.low, found.value, found.high))
        assert low <= value <= high


class TestOutlier:
    @pytest.mark.parametrize("n", [3, 5, 10, 20])
    def test_it_is_the_deleted_t_test_with_its_share_of_the_error(self, n):
        """Just above the critical value of the others' t, and just below."""
        others = [(-1.0) ** seed * (1 + seed) for seed in range(n - 1)]
        apart = float(np.std(others, ddof=1)) * math.sqrt(1 + 1 / (n - 1)) * scipy_stats.t.ppf(1 - 0.005 / n, n - 2)
        place = float(np.mean(others))
        assert outlier(flat(*others, place + 1.001 * apart)) == n - 1
        assert outlier(flat(*others, place + 0.999 * apart)) is None

    @pytest.mark.parametrize("n", [3, 5, 20])
    def test_it_errs_once_in_a_hundred_samples_of_normal_numbers(self, n):
        draws = np.random.default_rng(n).normal(50, 1, size=(4000, n))
        assert 0.005 <= sum(outlier(flat(*row)) is not None for row in draws) / 4000 <= 0.015

    def test_it_is_named_by_its_seed_after_averaging_within(self):
        sample = {3: [1.0, 1.2], 4: [1.0], 8: [40.0, 50.0], 9: [1.2], 11: [0.9], 12: [1.1]}
        assert outlier(sample) == 8

    def test_others_that_agree_give_no_spread_to_go_by_but_what_counts_at_least(self):
        assert outlier(flat(0, 0, 0, 0, 1e-9)) is None
        assert outlier(flat(0, 0, 0, 0, 0.25), least=0.1) is None
        assert outlier(flat(0, 0, 0, 0, 90), least=0.1) == 4
        assert outlier(flat(1, 1e9)) is None


class TestReplicatesNeeded:
    def test_by_hand(self):
        # The room is one sd: sqrt(n) - t(.95, n-1) first exceeds t(.8, n-1) at n = 8.
        found = estimate(flat(-1, 0, 1))
        assert replicates_needed(found, below=math.inf, above=1, confidence=0.95) == 8
        for n, enough in ((7, False), (8, True)):
            t = scipy_stats.t(n - 1)
            assert bool(math.sqrt(n) >= t.ppf(0.95) + t.ppf(0.8)) is enough

    def test_settles_four_times_in_five(self):
        generator = np.random.default_rng(5)
        for room in (0.7, 1.0, 1.5):
            n = replicates_needed(estimate(flat(-1, 0, 1)), below=room, above=room, confidence=0.95)
            draws = generator.normal(size=(4000, n))
            half = scipy_stats.t.ppf(0.95, n - 1) * draws.std(axis=1, ddof=1) / math.sqrt(n)
            settled = np.mean(np.abs(draws.mean(axis=1)) + half <= room)
            assert 0.75 < settled < 0.92

    def test_less_room_or_two_sides_need_more(self):
        found = estimate(flat(-1, 0, 1))

        def one(room, below=math.inf):
            return replicates_needed(found, below=below, above=room, confidence=0.95)

        assert one(2) < one(1) < one(0.5) < one(0.5, below=0.5)

    def test_cannot_be_said(self):
        spread = estimate(flat(-1, 0, 1))
        assert replicates_needed(spread, below=math.inf, above=0.01, confidence=0.95) is None
        assert replicates_needed(spread, below=math.inf, above=0, confidence=0.95) is None
        assert replicates_needed(estimate(flat(1)), below=math.inf, above=1, confidence=0.95) is None
        assert replicates_needed(estimate(flat(1, 1)), below=math.inf, above=1, confidence=0.95) is None


class TestCoverage:
    """How often intervals and sets hold the truth; 2000 experiments, so within about .01."""

    EXPERIMENTS = 2000

    @pytest.mark.parametrize("n", [3, 5])
    def test_nested_interval_covers_and_pooling_would_not(self, n):
        """Pairs of orders share an initialisation: between sd 1, within sd 0.3."""
        generator = np.random.default_rng(n)
        nested = pooled = 0
        for _ in range(self.EXPERIMENTS):
            values = generator.normal(size=(n, 1)) + 0.3 * generator.normal(size=(n, 3))
            right = estimate({seed: list(row) for seed, row in enumerate(values)})
            wrong = estimate(flat(*values.ravel()))
            nested += right.low <= 0 <= right.high
            pooled += wrong.low <= 0 <= wrong.high
        assert 0.935 <= nested / self.EXPERIMENTS <= 0.965
        assert pooled / self.EXPERIMENTS < 0.85

    @pytest.mark.parametrize("crossing", [first_within, last_within])
    def test_crossing_set(self, crossing):
        """One point barely on the wrong side, one barely on the right: each errs in at most 5 %."""
        means = np.array([8.0, 2.1, 1.9, 0.2])
        if crossing is last_within:
            means = means[::-1]
        truth = 2 if crossing is first_within else 1
        generator = np.random.default_rng(8)
        below = above = 0
        for _ in range(self.EXPERIMENTS):
            # The spread that initialisations share along the axis correlates the points.
            values = means[:, None] + 0.5 * generator.normal(size=4) + 0.5 * generator.normal(size=(4, 4))
            found = crossing(axis(*values), 2.0)
            low, high = (
                (4 if one is None else one) if crossing is first_within else (-1 if one is None else one)
                for one in (found.low, found.high)
            )
            below += truth < low
            above += truth > high
        assert below / self.EXPERIMENTS <= 0.06
        assert above / self.EXPERIMENTS <= 0.06
        assert (below + above) / self.EXPERIMENTS > 0.02  # the case is a hard one, so the set is not vacuous


class TestEquivalence:
    AT, THAN = [1.25, 2.5, 0.75, 3.125], [1.0, 2.75, 0.625, 3.0]

    @pytest.mark.parametrize("margin", [0.1, 0.2, 0.3, 0.4, 1.0])
    def test_is_two_one_sided_tests_of_the_pairs(self, margin):
        apart = np.subtract(self.AT, self.THAN)
        larger = max(
            scipy_stats.ttest_1samp(apart, margin, alternative="less").pvalue,
            scipy_stats.ttest_1samp(apart, -margin, alternative="greater").pvalue,
        )
        found = equivalence(flat(*self.AT), flat(*self.THAN), margin)
        assert (found.verdict == "equivalent") == (larger <= 0.05)
        assert found.difference.value == pytest.approx(np.mean(apart))

    def test_pairs_by_initialisation_after_averaging_within(self):
        found = equivalence({0: [1.0, 3.0], 1: [5.0], 9: [70.0]}, {1: [4.0], 0: [1.0], 8: [-70.0]}, 0.5)
        assert (found.verdict, found.difference) == ("different", Estimate(1.0, 2, 0.0, 1.0, 1.0))

    def test_the_margin_itself_is_inside(self):
        assert equivalence(flat(1.3, 2.3), flat(1.0, 2.0), 0.3).verdict == "equivalent"
        assert equivalence(flat(1.0, 2.0), flat(1.3, 2.3), 0.3).verdict == "equivalent"

    def test_sides_may_be_swapped(self):
        a, b = flat(*self.AT), flat(*self.THAN)
        there, back = equivalence(a, b, 0.2), equivalence(b, a, 0.2)
        assert (there.verdict, there.low, there.high) == (back.verdict, -back.high, -back.low)

    def test_a_difference_that_is_sure_but_small_is_equivalent(self):
        found = equivalence(flat(1.1, 1.11, 1.09), flat(1.0, 1.0, 1.0), 0.2)
        assert found.difference.low > 0
        assert found.verdict == "equivalent"

    def test_one_pair_shows_nothing(self):
        found = equivalence(flat(1.0), flat(99.0), 0.1)
        assert (found.verdict, found.low, found.high) == ("not shown", -math.inf, math.inf)

    @pytest.mark.parametrize("margin", [0.0, -1.0, math.nan, math.inf])
    def test_a_margin_is_positive(self, margin):
        with pytest.raises(ValueError, match="positive and finite"):
            equivalence(flat(1.0, 2.0), flat(1.0, 2.0), margin)

    def test_no_pair_is_an_error(self):
        with pytest.raises(ValueError, match="at least one initialisation"):
            equivalence({0: [1.0]}, {1: [1.0]}, 0.1)

    def test_errs_in_at_most_five_percent_at_the_margin_and_settles_within_it(self):
        random = np.random.default_rng(0)
        counts = {"at": [], "within": [], "beyond": []}
        for place, shift in (("at", 0.2), ("within", 0.0), ("beyond", 0.5)):
            for _ in range(1000):
                base = random.normal(90, 1, 20)
                other = base + shift + random.normal(0, 0.2, 20)
                counts[place].append(equivalence(flat(*other), flat(*base), 0.2).verdict)
        assert 0.03 <= counts["at"].count("equivalent") / 1000 <= 0.07
        assert counts["at"].count("different") / 1000 <= 0.04
        assert counts["within"].count("equivalent") / 1000 > 0.95
        assert counts["beyond"].count("different") / 1000 > 0.95
