"""Group-sequential looks: all together they are wrong as often as a single test may be."""

import importlib
import itertools
import math

import numpy as np
import pytest
from scipy.special import ndtri, stdtr, stdtrit
from scipy.stats import multivariate_normal

from harness.judging.boundaries import sign_levels, spent, student_levels
from harness.judging.decision import decide
from harness.judging.estimands import order_statistic
from harness.judging.sequential import Look, levels, sizes_of_looks
from harness.observation import Quantity
from harness.schema.claims import AtLeast, AtMost, Equals, FirstWithin, LessThan
from tests.support import ROOT

FIVE, THREE = (5, 8, 10, 15, 20), (3, 5, 6, 9, 12)
POINTS = Quantity("points", ("arm",), "a rise")


def at_most(bound=2.0, estimand="median"):
    return AtMost(kind="at_most", estimand=estimand, bound=bound)


class TestStudent:
    @pytest.mark.parametrize("sizes", [FIVE, THREE, (2, 3, 4, 6, 8), (4, 40)])
    @pytest.mark.parametrize("error", [0.05, 0.025])
    def test_normal_means_are_wrongly_decided_as_often_as_planned(self, sizes, error):
        """Simulated; the levels of a normal statistic err in 5.4, 5.6 and 6 % of the first three."""
        draws = 100_000
        values = np.random.default_rng(sizes[0]).standard_normal((draws, sizes[-1]))
        wrong, naive = np.zeros(draws, bool), np.zeros(draws, bool)
        for n, level in zip(sizes, student_levels(sizes, error), strict=True):
            seen = values[:, :n]
            t = seen.mean(axis=1) / seen.std(axis=1, ddof=1) * math.sqrt(n)
            wrong |= t > stdtrit(n - 1, 1 - level)
            naive |= t > stdtrit(n - 1, 1 - error)
        noise = math.sqrt(error * (1 - error) / draws)
        assert wrong.mean() == pytest.approx(error, abs=3.5 * noise)
        assert naive.mean() > 1.5 * error

    def test_of_many_values_is_that_of_normal_statistics(self):
        sizes, error = (1000, 1500, 3000, 4000), 0.05
        limits = -ndtri(student_levels(sizes, error))
        for looks in range(1, 5):
            shares = np.array(sizes[:looks]) / sizes[-1]
            correlation = np.sqrt(np.minimum.outer(shares, shares) / np.maximum.outer(shares, shares))
            random = np.random.default_rng(0)
            undecided = multivariate_normal(cov=correlation).cdf(limits[:looks], rng=random)
            assert 1 - undecided == pytest.approx(spent(shares[-1], error), abs=3e-4)

    def test_one_initialisation_spends_nothing(self):
        assert student_levels((1, 2, 3), 0.05) == (0.0, *student_levels((2, 3), 0.05))
        assert student_levels((1,), 0.05) == (0.0,)

    def test_a_single_look_has_it_all(self):
        assert student_levels((7,), 0.05) == pytest.approx((0.05,))


class TestSigns:
    @pytest.mark.parametrize("sizes", [(5, 8, 10), (3, 5, 6, 9, 12), (6, 7, 8, 13), (5,), (2, 4)])
    @pytest.mark.parametrize("error", [0.05, 0.025])
    def test_every_sequence_counted(self, sizes, error):
        """A look decides where fewer than its limit are beyond; of all sequences no more are wrong than may be."""
        signs = np.array(list(itertools.product((0, 1), repeat=sizes[-1])))
        beyond = [signs[:, :n].sum(axis=1) for n in sizes]
        limits = [self._limit(n, level) for n, level in zip(sizes, sign_levels(sizes, error), strict=True)]
        decided = np.zeros(len(signs), bool)
        for number, (n, counts, limit) in enumerate(zip(sizes, beyond, limits, strict=True)):
            allowed = spent(n / sizes[-1], error) + 1e-12
            more = decided | (counts <= limit)
            decided |= counts < limit
            assert decided.mean() <= allowed
            assert more.mean() > allowed, f"look {number + 1} could decide more"
        assert decided.mean() <= error

    def _limit(self, n, level):
        return order_statistic(n, 1 - 2 * level)[0]

    def test_few_initialisations_decide_nothing(self):
        assert self._limit(4, sign_levels((4, 20), 0.05)[0]) == 0


def test_sizes_of_looks():
    assert sizes_of_looks(5, 20) == FIVE
    assert sizes_of_looks(3, 12) == THREE
    assert sizes_of_looks(1, 4) == (1, 2, 3, 4)
    assert sizes_of_looks(5, 100) == (5, 8, 10, 15, 20, 30, 40, 60, 80, 100)
    assert sizes_of_looks(5, 9) == (5, 8, 9)
    assert sizes_of_looks(5, 5) == (5,)


class TestLook:
    def test_judges_at_its_own_level(self):
        first, last = Look(1, FIVE), Look(5, FIVE)
        assert (first.n, last.n, first.title) == (5, 20, "look 1 of 5")
        assert first.words(at_most()) == "Look 1 of 5, at 1.8 % one-sided."
        assert last.words(at_most()) == "Look 5 of 5, at 2.1 % one-sided."
        assert levels(at_most(estimand="mean"), last).stands == 1 - 2 * student_levels(FIVE, 0.05)[4]

    def test_equality_is_refuted_at_half_the_error(self):
        equal = Equals(kind="equals", estimand="median", value=1.0, margin=0.5)
        at = levels(equal, Look(2, FIVE))
        assert at.stands == 1 - 2 * sign_levels(FIVE, 0.05)[1]
        assert at.falls == at.shown == 1 - 2 * sign_levels(FIVE, 0.025)[1]
        fixed = levels(equal)
        assert (fixed.stands, fixed.falls, fixed.shown) == (0.90, 0.95, 0.95)
        assert levels(at_most()).falls == 0.90

    @pytest.mark.parametrize(("number", "n", "beyond", "stands"), [
        (1, 5, 0, None), (2, 8, 0, True), (2, 8, 1, None), (3, 10, 1, True), (3, 10, 2, None), (5, 20, 5, True),
        (5, 20, 6, None), (5, 20, 15, False), (5, 20, 14, None),
    ])  # fmt: skip
    def test_of_a_median_decides_by_its_counts(self, number, n, beyond, stands):
        sample = {seed: [9.0 if seed < beyond else 0.0] for seed in range(n)}
        decision = decide(at_most(), [{}], [sample], POINTS, None, Look(number, FIVE))
        assert decision.stands is stands

    def test_is_stricter_than_a_fixed_number(self):
        sample = {seed: [value] for seed, value in enumerate((1.0, 1.5, 1.7, 1.8, 2.0))}
        for expect in (
            at_most(2.0, "mean"),
            AtLeast(kind="at_least", estimand="geometric_mean", bound=1.2),
            Equals(kind="equals", estimand="mean", value=1.6, margin=0.42),
        ):
            assert decide(expect, [{}], [sample], POINTS).stands is True
            decision = decide(expect, [{}], [sample], POINTS, None, Look(2, (3, 5, 6)))
            assert decision.stands is None
            low, high = decision.estimate.low, decision.estimate.high
            assert (low, high) != (None, None)
            assert decision.estimate.level > 0.95

    def test_holds_for_differences_and_crossings(self):
        sides = {0: [1.0], 1: [2.0], 2: [3.0]}, {0: [1.5], 1: [2.7], 2: [3.2]}
        less = LessThan(kind="less_than", estimand="mean", than={"arm": "b"})
        assert decide(less, [{}, {}], sides, POINTS).stands is True
        assert decide(less, [{}, {}], sides, POINTS, None, Look(1, THREE)).stands is None
        points = [{0: [5.0], 1: [6.0], 2: [5.5]}, {0: [1.0], 1: [1.6], 2: [1.2]}]
        first = FirstWithin(kind="first_within", axis="arm", threshold=1.9, earliest=2, latest=2)
        asked = [{"arm": 1}, {"arm": 2}]
        assert decide(first, asked, points, POINTS).stands is True
        assert decide(first, asked, points, POINTS, None, Look(1, THREE)).stands is None


@pytest.fixture
def simulation(monkeypatch):
    """``benchmarks/sequential.py``, whose tables are in docs/verdicts.md."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("sequential")


class TestErrorRates:
    """Seeded, 800 samples a law: a rate of 5 % within .02."""

    def _judged(self, simulation, law, estimand):
        return simulation.ends(law, estimand, FIVE, 800, 1), law.true[estimand]

    def test_of_a_median_they_stay_whatever_the_law(self, simulation):
        for law in simulation.LAWS:
            judged, true = self._judged(simulation, law, "median")
            for side, hair in ((simulation.at_most, 1 - 1e-9), (simulation.at_least, 1 + 1e-9)):
                assert side(judged, FIVE, true * hair).looks <= 0.065, law.name

    @pytest.mark.parametrize(
        ("estimand", "name"), [("mean", "normal, CV .25"), ("geometric_mean", "lognormal, CV 1.3")]
    )
    def test_of_means_they_stay_for_their_law(self, simulation, estimand, name):
        (law,) = (law for law in simulation.LAWS if law.name == name)
        judged, true = self._judged(simulation, law, estimand)
        for side, hair in ((simulation.at_most, 1 - 1e-9), (simulation.at_least, 1 + 1e-9)):
            assert side(judged, FIVE, true * hair).looks == pytest.approx(0.05, abs=0.02)

    @pytest.mark.parametrize("estimand", ["median", "mean", "geometric_mean"])
    def test_what_is_plain_takes_fewer_initialisations_and_is_found_as_by_all(self, simulation, estimand):
        law = simulation.LAWS[0]
        judged, true = self._judged(simulation, law, estimand)
        found = simulation.at_most(judged, FIVE, true * simulation.SHIFT)
        assert found.first < found.looks
        assert found.looks >= found.last - 0.02
        assert found.taken < 10


class TestPValues:
    def test_of_all_looks_are_valid_at_every_level(self):
        """Of normal values whose mean is on the bound, as many have a p-value over all looks below a level at most."""
        draws = 20_000
        values = np.random.default_rng(3).standard_normal((draws, 20))
        least = np.ones(draws)
        for number, n in enumerate(FIVE, start=1):
            look = Look(number, FIVE)
            at = levels(at_most(estimand="mean"), look)
            seen = values[:, :n]
            p = stdtr(n - 1, seen.mean(axis=1) / seen.std(axis=1, ddof=1) * math.sqrt(n))
            decided = p <= (1 - at.stands) / 2
            least[decided] = np.minimum(least[decided], [at.overall(value) for value in p[decided]])
        for level in (0.05, 0.02, 0.01, 0.002):
            noise = math.sqrt(level / draws)
            assert (least <= level).mean() <= level + 3 * noise
        assert (least <= 0.05).mean() > 0.04

    def test_of_a_decision_are_told_as_over_all_looks(self):
        look, sample = Look(3, FIVE), {seed: [0.0] for seed in range(10)}
        nine = sample | {9: [9.0]}
        assert decide(at_most(), [{}], [nine], POINTS).p == pytest.approx(11 / 2**10)
        assert decide(at_most(), [{}], [nine], POINTS, None, look).p == 0.05
        weight = spent(0.5, 1.0) - spent(0.4, 1.0)
        assert decide(at_most(), [{}], [sample], POINTS, None, look).p == pytest.approx(1 / 2**10 / weight)
        for expect in (at_most(), Equals(kind="equals", estimand="median", value=0.0, margin=1.0)):
            refuted = decide(expect, [{}], [{seed: [9.0] for seed in range(20)}], POINTS, None, Look(5, FIVE))
            assert refuted.stands is False
            assert refuted.p < 1e-4
