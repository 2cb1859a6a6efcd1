"""Power laws against other laws: planted tails, and the likelihoods by other code."""

import math

import numpy as np
import pytest
from scipy import stats

from harness import seeds
from harness.measure.tail_laws import _truncated_normal, over_exponential, over_lognormal


def uniform(name: str, count: int) -> np.ndarray:
    return np.asarray(stats.norm.cdf(seeds.normal(seeds.stream("test", name), count).double().numpy()))


def tail(values: np.ndarray, count: int = 100) -> list[float]:
    return sorted(map(float, values), reverse=True)[:count]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_planted_power_law_beats_an_exponential_and_is_not_beaten(scale: float) -> None:
    planted = [tail(scale / uniform(f"pareto {number}", 1000) ** 0.5) for number in range(20)]
    assert np.median([over_exponential(values) for values in planted]) > 1.64
    assert np.mean([over_lognormal(values) < -1.64 for values in planted]) <= 0.1


def test_a_planted_exponential_tail_is_no_power_law() -> None:
    planted = [tail(-np.log(uniform(f"exponential {number}", 1000))) for number in range(20)]
    assert np.median([over_exponential(values) for values in planted]) < 0
    assert max(over_exponential(values) for values in planted) < 1.64


def test_a_log_normal_law_that_is_seen_whole_is_told() -> None:
    for number in range(5):
        normal = seeds.normal(seeds.stream("test", f"log-normal {number}"), 100).double().numpy()
        assert over_lognormal(tail(np.exp(normal))) < -1.64


def test_the_truncated_normal_law_is_the_most_likely_one() -> None:
    """No other pair of parameters, by SciPy's own density, does better."""
    y = np.abs(seeds.normal(seeds.stream("test", "y"), 60).double().numpy() + 1)
    best = float(_truncated_normal(y).sum())
    others = [
        float(stats.truncnorm.logpdf(y, -mean / sd, np.inf, mean, sd).sum())
        for mean in np.linspace(-2, 3, 51)
        for sd in np.linspace(0.3, 3, 28)
    ]
    assert best >= max(others) - 1e-9
    assert best == pytest.approx(max(others), abs=0.05)


def test_the_deviate_is_vuongs_by_a_loop() -> None:
    values = [8.0, 5.0, 3.0, 2.0, 1.5, 1.0]
    ys = [math.log(value) for value in values[:-1]]
    exponent, rate = len(ys) / sum(ys), len(ys) / sum(value - 1 for value in values[:-1])
    ratios = [
        math.log(exponent) - (exponent + 1) * y - math.log(rate) + rate * (math.exp(y) - 1) for y in ys
    ]  # densities of x, whose least value is 1
    mean = sum(ratios) / len(ratios)
    sd = math.sqrt(sum((ratio - mean) ** 2 for ratio in ratios) / len(ratios))
    assert over_exponential(values) == pytest.approx(mean / sd * math.sqrt(len(ratios)))


def test_where_the_limit_fits_best_both_laws_are_one() -> None:
    """A log-normal law cannot have a tail that is heavier than every power law's."""
    assert over_lognormal([math.exp(y) for y in (9.0, 0.3, 0.2, 0.1, 0.1, 0.0)]) == 0.0
