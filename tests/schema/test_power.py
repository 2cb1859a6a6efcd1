"""Power against SciPy's noncentral t, the order statistics of the judging, and simulation."""

import numpy as np
import pytest
from scipy import stats

from harness.judging.estimands import order_statistic
from harness.schema.power import deciding, power


@pytest.mark.parametrize("level", [0.05, 0.025])
def test_the_sign_test_is_the_one_of_the_judging(level: float) -> None:
    for n in range(1, 61):
        rank, _ = order_statistic(n, 1 - 2 * level)
        assert deciding(n, level) == (n - rank + 1 if rank else None)


@pytest.mark.parametrize(("effect", "sd", "n"), [(0.0, 1.0, 3), (1.0, 1.0, 5), (-0.4, 2.0, 7), (0.3, 0.2, 4)])
@pytest.mark.parametrize("estimand", ["mean", "geometric_mean"])
def test_the_t_test_is_the_noncentral_t(estimand: str, effect: float, sd: float, n: int) -> None:
    expected = stats.nct.sf(stats.t.ppf(0.95, n - 1), n - 1, effect / sd * n**0.5)
    assert power(estimand, effect, sd, n) == pytest.approx(expected, abs=1e-6)


def test_the_sign_test_decides_so_often() -> None:
    draws = np.random.default_rng(0).normal(0.8, 1.0, (20_000, 8))
    found = np.mean((draws > 0).sum(axis=1) >= 7)
    assert power("median", 0.8, 1.0, 8) == pytest.approx(found, abs=0.01)


@pytest.mark.parametrize("estimand", ["mean", "median", "geometric_mean"])
def test_it_grows_from_the_level_to_one(estimand: str) -> None:
    powers = [power(estimand, effect, 1.0, 6) for effect in (-1e9, -1.0, 0.0, 0.5, 1.0, 3.0, 1e9)]
    assert powers == sorted(powers)
    assert powers[0] == pytest.approx(0.0, abs=1e-9)
    assert powers[2] <= 0.05 + 1e-9
    assert powers[-1] == pytest.approx(1.0)


def test_too_few_decide_nothing_and_no_spread_decides_all() -> None:
    assert power("median", 100.0, 1.0, 4) == power("mean", 100.0, 1.0, 1) == 0.0
    assert power("median", 1.0, 0.0, 5) == power("mean", 1.0, 0.0, 2) == 1.0
    assert power("mean", 0.0, 0.0, 5) == 0.0
