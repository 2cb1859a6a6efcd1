"""Parabolas through losses: planted ones are recovered, others agree with numpy's polynomials."""

import numpy as np
import pytest

from harness import seeds
from harness.measure.parabola import fit


def planted(level: float, slope: float, curvature: float, reach: float, points: int) -> list[float]:
    places = np.linspace(-reach, reach, points)
    return list(level + slope * places + curvature * places**2 / 2)


def test_planted_parabolas_are_recovered() -> None:
    losses = [[planted(2.0, -0.3, 4.0, 0.1, 5), planted(2.1, 0.2, -1.0, 0.1, 5)], [planted(0.0, 5.0, 50.0, 2.0, 5)] * 2]
    found = fit(np.array([[0.1], [2.0]]), np.array(losses))
    assert found.level.tolist() == [pytest.approx([2.0, 2.1]), pytest.approx([0.0, 0.0], abs=1e-12)]
    assert found.slope.tolist() == [pytest.approx([-0.3, 0.2]), pytest.approx([5.0, 5.0])]
    assert found.curvature.tolist() == [pytest.approx([4.0, -1.0]), pytest.approx([50.0, 50.0])]
    assert found.r2.flatten().tolist() == pytest.approx([1, 1, 1, 1], abs=1e-12)
    assert found.minimum[0, 0] == pytest.approx(0.075)
    assert np.isnan(found.minimum[0, 1]), "a maximum is no minimum"


def test_what_is_no_parabola_is_fitted_as_numpy_does() -> None:
    places = np.linspace(-1.5, 1.5, 7)
    losses = np.stack([np.exp(places), np.cos(3 * places), places**3])
    found = fit(np.full(3, 1.5), losses)
    for row, values in enumerate(losses):
        square, slope, level = np.polyfit(places, values, 2)
        left = values - np.polyval([square, slope, level], places)
        assert found.curvature[row] == pytest.approx(2 * square, abs=1e-12)
        assert found.slope[row] == pytest.approx(slope, abs=1e-12)
        assert found.level[row] == pytest.approx(level, abs=1e-12)
        assert found.r2[row] == pytest.approx(1 - left @ left / ((values - values.mean()) ** 2).sum())
    assert found.r2[1] < 0.7


def test_noise_lowers_the_share_that_is_explained() -> None:
    """By its part of the variance, less what the three coefficients take up."""
    noise = seeds.normal(seeds.stream("test", 3), 4000 * 9).reshape(4000, 9).numpy()
    clean = np.array(planted(0.0, 0.0, 6.0, 1.0, 9))
    found = fit(np.ones(4000), clean + 0.1 * noise)
    assert 1 - found.r2.mean() == pytest.approx(6 / 9 * 0.01 / (clean.var() + 0.01), rel=0.05)
    assert found.curvature.mean() == pytest.approx(6.0, rel=0.01)


def test_equal_losses_are_explained_and_have_no_minimum() -> None:
    found = fit(np.ones(1), np.full((1, 5), 0.7))
    assert found.r2.tolist() == [1.0]
    assert np.isnan(found.minimum[0])
