"""What is said of sorted eigenvalues, against planted ones and loops over single numbers."""

import math

import pytest

from harness import seeds
from harness.errors import BrokenError
from harness.measure.power_law import (
    geometric_mean,
    grid,
    negative_mass,
    negative_share,
    orders_of_magnitude,
    power_law,
)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 2.3])
def test_a_planted_power_law_is_found_again(exponent: float) -> None:
    values = [7.0 * rank**-exponent for rank in range(1, 101)]
    found = power_law(values)
    assert found.exponent == pytest.approx(exponent, abs=1e-12)
    assert found.r2 == pytest.approx(1.0, abs=1e-12)
    assert orders_of_magnitude(values) == pytest.approx(-2 * exponent, abs=1e-12)


def test_scatter_about_the_line_lowers_r2_as_the_residuals_say() -> None:
    noise = seeds.normal(seeds.stream("test", 0), 100).tolist()
    values = sorted((math.exp(0.4 * z) / rank for rank, z in enumerate(noise, start=1)), reverse=True)
    found = power_law(values)
    x = [math.log(rank) for rank in range(1, 101)]
    y = [math.log(value) for value in values]
    mean = sum(y) / 100
    offset = mean + found.exponent * sum(x) / 100
    left = sum((b - (offset - found.exponent * a)) ** 2 for a, b in zip(x, y, strict=True))
    assert found.r2 == pytest.approx(1 - left / sum((b - mean) ** 2 for b in y), rel=1e-9)
    assert found.r2 < 0.99


def test_an_exponential_spectrum_is_no_power_law() -> None:
    assert power_law([math.exp(-rank / 10) for rank in range(100)]).r2 < 0.9


def test_no_law_goes_through_eigenvalues_that_are_not_positive() -> None:
    for measure in (power_law, geometric_mean, orders_of_magnitude):
        with pytest.raises(BrokenError, match=r"only 2 of the 4 largest.*choose settings.ranks of at most 2"):
            measure([3.0, 1.0, 0.0, -1.0])


def test_geometric_mean() -> None:
    assert geometric_mean([8.0, 4.0, 2.0]) == pytest.approx(4.0, rel=1e-12)


def test_the_negative_part() -> None:
    values = [5.0, 1e-3, 1e-9, -1e-9, -1e-3, -2.0]
    assert negative_mass(values) == pytest.approx(2.001 + 1e-9, rel=1e-12)
    assert negative_mass([2.0, 1.0]) == 0.0
    assert negative_share(values, 1e-6) == pytest.approx(100 * 2 / 6)
    assert negative_share(values, 0.0) == pytest.approx(100 * 3 / 6)


def test_ranks_of_a_grid_run_from_the_first_to_the_last() -> None:
    ranks = grid(1382, 80)
    assert (ranks[0], ranks[-1]) == (1, 1382)
    assert ranks == sorted(set(ranks))
    assert 50 < len(ranks) <= 80
    assert grid(3, 80) == [1, 2, 3]
