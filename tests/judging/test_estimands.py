"""Median, mean and geometric mean: exact levels, error rates on the laws that instability and ratios follow."""

import importlib.util
import math
import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from harness.judging.estimands import Located, least_initialisations, order_statistic, ratios
from tests.support import ROOT


def located(values, estimand="median", **more):
    return Located({seed: [value] for seed, value in enumerate(values)}, estimand, **more)


class TestOrderStatistics:
    @pytest.mark.parametrize("level", [0.90, 0.95])
    @pytest.mark.parametrize("n", range(1, 41))
    def test_rank_and_level_are_the_binomial_test_s(self, n, level):
        rank, coverage = order_statistic(n, level)
        allowed = (1 - level) / 2
        assert scipy_stats.binom.cdf(rank, n, 0.5) > allowed  # the next rank would err too often
        if rank:
            assert scipy_stats.binom.cdf(rank - 1, n, 0.5) <= allowed
            assert coverage == pytest.approx(1 - 2 * scipy_stats.binom.cdf(rank - 1, n, 0.5))
        else:
            assert coverage == 1

    def test_five_can_decide_and_six_can_refute_an_equality(self):
        assert (least_initialisations(0.90), least_initialisations(0.95)) == (5, 6)

    def test_eight_allow_one_on_the_wrong_side(self):
        assert [order_statistic(n, 0.90)[0] for n in (4, 5, 7, 8, 10, 11)] == [0, 1, 1, 2, 2, 3]

    @given(st.lists(st.integers(0, 6).map(float), min_size=1, max_size=12), st.integers(0, 6).map(float))
    def test_the_interval_lies_on_a_side_exactly_when_the_sign_test_says_so(self, values, bound):
        interval = located(values).interval(0.90)
        within = sum(value <= bound for value in values)
        n = len(values)
        assert (interval.high <= bound) == (scipy_stats.binom.sf(within - 1, n, 0.5) <= 0.05)
        assert (interval.low > bound) == (scipy_stats.binom.sf(n - within - 1, n, 0.5) <= 0.05)


class TestEstimate:
    def test_a_median_shows_the_mean_beside_it(self):
        found = located([0.1, 0.2, 0.3, 0.4, 9.0]).estimate
        assert (found.kind, found.value, found.low, found.high, found.level) == ("median", 0.3, 0.1, 9.0, 0.9375)
        assert (found.mean, found.n) == (pytest.approx(2.0), 5)

    def test_of_six_its_interval_has_its_exact_level(self):
        assert located([1, 2, 3, 4, 5, 6]).estimate.level == 1 - 2 / 64

    @pytest.mark.parametrize("n", [1, 2, 3, 4])
    def test_of_fewer_than_five_there_is_none(self, n):
        found = located(range(1, n + 1)).estimate
        assert (found.low, found.high) == (None, None)

    def test_a_geometric_mean_is_student_s_of_the_logarithms(self):
        values = [1.5, 4.0, 2.5, 9.0]
        found = located(values, "geometric_mean").estimate
        interval = scipy_stats.ttest_1samp(np.log(values), 0).confidence_interval(0.95)
        assert found.value == pytest.approx(scipy_stats.gmean(values))
        assert (found.low, found.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
        assert found.sd == pytest.approx(np.log(values).std(ddof=1))
        assert found.mean == np.mean(values)

    def test_values_of_an_initialisation_are_averaged_first(self):
        found = Located({0: [1.0, 3.0], 1: [5.0], 2: [2.0, 2.0]}, "median")
        assert (found.n, found.value) == (3, 2.0)

    def test_ratios_are_by_initialisation(self):
        assert ratios({0: [1.0, 3.0], 1: [5.0], 7: [1.0]}, {1: [2.5], 0: [4.0]}) == {0: [0.5], 1: [2.0]}


class TestResolution:
    @pytest.mark.parametrize("estimand", ["median", "mean"])
    def test_no_interval_is_narrower(self, estimand):
        found = located([3.0] * 8, estimand, resolution=0.25).interval(0.90)
        assert (found.low, found.high) == (2.75, 3.25)
        wide = located([3.0, 9.0, 1.0, 4.0, 5.0], estimand, resolution=0.25).interval(0.90)
        assert wide == located([3.0, 9.0, 1.0, 4.0, 5.0], estimand).interval(0.90)

    def test_of_a_geometric_mean_it_is_a_factor(self):
        found = located([2.0] * 4, "geometric_mean", resolution=0.5).interval(0.90)
        assert (found.low, found.high) == (pytest.approx(2 / 1.25), pytest.approx(2.5))


class TestNeeded:
    def test_of_a_median_it_is_by_the_share_on_the_good_side(self):
        assert located([0, 0, 0]).needed(-math.inf, 1, 0.90) == 5
        assert located([0, 0, 0]).needed(-math.inf, 1, 0.95) == 6
        assert located([0, 0, 9, 9]).needed(-math.inf, 1, 0.90) is None
        n = located([0, 0, 0, 0, 9]).needed(-math.inf, 1, 0.90)
        rank, _ = order_statistic(n, 0.90)
        assert scipy_stats.binom.cdf(rank - 1, n, 0.2) >= 0.8

    def test_nothing_is_enough_within_the_resolution(self):
        for estimand in ("median", "mean", "geometric_mean"):
            assert located([0.9, 0.91, 0.92], estimand, resolution=0.2).needed(-math.inf, 1, 0.90) is None

    def test_of_a_geometric_mean_it_is_that_of_its_logarithms(self):
        logarithms = located([-1.0, 0.0, 1.0], "mean").needed(-math.inf, 1, 0.90)
        factors = located(map(math.exp, (-1.0, 0.0, 1.0)), "geometric_mean").needed(0, math.e, 0.90)
        assert logarithms == factors == 8


@pytest.fixture(scope="module")
def simulation() -> ModuleType:
    """``benchmarks/verdicts.py``, whose larger tables are in docs/verdicts.md."""
    found = importlib.util.spec_from_file_location("simulated_verdicts", ROOT / "benchmarks/verdicts.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    try:
        found.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[found.name]


class TestErrorRates:
    """Seeded, 1,000 samples a law: a rate of 5 % within .02."""

    DRAWS = 1000

    @pytest.mark.parametrize("n", [3, 5, 8])
    def test_a_median_errs_in_five_percent_at_most_whatever_the_law(self, simulation, n):
        for law in simulation.LAWS:
            found = simulation.rates(law, "median", n, self.DRAWS, 1)
            assert max(found.at_most, found.at_least) <= 0.05, law.name
            assert (found.found_at_most > 0) == (n >= 5)

    @pytest.mark.parametrize("n", [3, 5, 10])
    def test_a_geometric_mean_of_a_lognormal_law_errs_in_five_percent(self, simulation, n):
        for law in simulation.LAWS:
            if law.name.startswith("lognormal"):
                found = simulation.rates(law, "geometric_mean", n, self.DRAWS, 2)
                assert found.at_most == pytest.approx(0.05, abs=0.02), law.name
                assert found.at_least == pytest.approx(0.05, abs=0.02), law.name

    def test_a_mean_of_a_law_with_a_long_tail_does_not(self, simulation):
        """Why the estimand is to be named: what is judged as a mean is "at most" far too easily."""
        found = {law.name: simulation.rates(law, "mean", 5, self.DRAWS, 3) for law in simulation.LAWS}
        assert found["normal, CV .25"].at_most == pytest.approx(0.05, abs=0.02)
        assert found["lognormal, CV 1.3"].at_most > 0.15
        assert found["lognormal, CV 1.3"].at_least < 0.02
