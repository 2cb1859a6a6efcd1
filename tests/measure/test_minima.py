"""Tests of normality with Holm's correction, and slopes of power laws, on planted samples."""

import pytest

from harness import seeds
from harness.measure.minima import holm, log_slope, normality


def test_normal_samples_pass_and_others_fail() -> None:
    normal = seeds.normal(seeds.stream("test", 1), 64)
    assert normality((3 + 1e-9 * normal).tolist()) > 0.05
    assert normality(normal.exp().tolist()) < 1e-4
    assert normality(seeds.uniform(seeds.stream("test", 2), 1000).tolist()) < 1e-4
    assert normality([2.0, 2.0, 2.0]) == 1.0


def test_the_test_keeps_its_size() -> None:
    samples = seeds.normal(seeds.stream("test", 3), 64 * 400).reshape(400, 64).tolist()
    rejected = sum(normality(sample) < 0.05 for sample in samples)
    assert 8 <= rejected <= 34  # binomial, 400 of 5 %: 20 ± 3.2 σ
    assert sum(holm([normality(sample) for sample in samples], 0.05)) == 0


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [
        ([0.01, 0.02, 0.5], [True, True, False]),  # Bonferroni rejects the first alone
        ([0.5, 0.02, 0.01], [False, True, True]),
        ([0.02, 0.021, 0.022], [False, False, False]),  # the first is above 0.05 / 3: no further look
        ([0.04], [True]),
        ([], []),
    ],
)
def test_holm_by_hand(p_values: list[float], rejected: list[bool]) -> None:
    assert holm(p_values, 0.05) == rejected


def test_slopes_of_power_laws() -> None:
    x = [0.5, 1.0, 3.0, 10.0]
    assert log_slope(x, [2 * one**-0.25 for one in x]) == pytest.approx(-0.25)
    assert log_slope(x[:2], x[:2]) is None
    assert log_slope([1.0, 1.0, 1.0], [1.0, 2.0, 3.0]) is None
