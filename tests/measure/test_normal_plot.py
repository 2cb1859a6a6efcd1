"""The straightness of a normal quantile plot, and parabolas beyond lines, against planted values and SciPy."""

import numpy as np
import pytest
from scipy import stats

from harness import seeds
from harness.measure.beyond_line import beyond_line
from harness.measure.normal_plot import straightness


def test_it_is_scipys_probability_plot_but_for_the_places() -> None:
    values = seeds.normal(seeds.stream("test", "plot"), 64).double().numpy() ** 3
    _, (_, _, r) = stats.probplot(values)
    assert straightness(values.tolist()) == pytest.approx(r**2, abs=0.01)


@pytest.mark.parametrize(("scale", "shift"), [(1e-9, 0.0), (1.0, 0.0), (1e6, 1e6), (-1.0, 3.0)])
def test_neither_scale_nor_sign_nor_place_matters(scale: float, shift: float) -> None:
    values = seeds.normal(seeds.stream("test", "plot"), 64).double()
    assert straightness((scale * values + shift).tolist()) == pytest.approx(straightness(values.tolist()), abs=1e-6)


def test_laws_are_told_apart_as_the_docstring_says() -> None:
    normal = seeds.normal(seeds.stream("test", "laws"), 400 * 64).double().numpy().reshape(400, 64)
    gamma = stats.gamma(4).ppf(stats.norm.cdf(normal))
    student = stats.t(5).ppf(stats.norm.cdf(normal))
    medians = [np.median([straightness(row.tolist()) for row in rows]) for rows in (normal, gamma, student)]
    assert medians == pytest.approx([0.984, 0.942, 0.963], abs=0.004)


@pytest.mark.parametrize("points", [4, 5, 9])
def test_a_parabola_leaves_nothing_and_a_line_has_nothing_to_explain(points: int) -> None:
    t = np.linspace(-1, 1, points)
    made = beyond_line(np.stack([2 + 3 * t - 4 * t**2, 2 + 3 * t, 5 * t**3]))
    assert made.explained[0] == pytest.approx(1.0)
    assert made.explained[2] == pytest.approx(0.0, abs=1e-12)
    assert made.left[1] == pytest.approx(0.0, abs=1e-12)


def test_it_is_the_fall_of_the_residuals_of_least_squares() -> None:
    values = seeds.normal(seeds.stream("test", "losses"), 7 * 5).double().numpy().reshape(7, 5)
    t = np.linspace(-1, 1, 5)
    left = [[np.polyfit(t, row, degree, full=True)[1][0] for degree in (1, 2)] for row in values]
    assert beyond_line(values).explained == pytest.approx([1 - after / before for before, after in left])
