"""Phases of a course: the best of all cuts, planted ones found again, and told from a smooth course."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from harness.measure.piecewise import freedom, phases, smooth_residual


def noise(count: int, seed: int, sd: float = 1.0) -> list[float]:
    return list(np.random.default_rng(seed).normal(0, sd, count))


def by_trying_all(values: Sequence[float], count: int, least: int) -> tuple[float, tuple[int, ...]]:
    size, found = len(values), []
    for cuts in itertools.combinations(range(1, size), count - 1):
        edges = [0, *cuts, size]
        parts = [values[start:stop] for start, stop in itertools.pairwise(edges)]
        if min(map(len, parts)) >= least:
            found.append((sum(np.var(part) * len(part) for part in parts), (0, *cuts)))
    return min(found)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("count", "least"), [(1, 2), (2, 1), (3, 2), (4, 3)])
def test_they_are_the_best_of_all_cuts(count: int, least: int, seed: int) -> None:
    values = noise(14, seed)
    residual, starts = by_trying_all(values, count, least)
    found = phases(values, count, least)
    assert found.starts == starts
    assert found.residual == pytest.approx(residual, rel=1e-9)
    edges = [*found.starts, len(values)]
    assert found.levels == pytest.approx([np.mean(values[a:b]) for a, b in itertools.pairwise(edges)])


@pytest.mark.parametrize("lengths", [(10, 30, 40), (5, 60, 15), (40, 2, 38)])
@pytest.mark.parametrize("levels", [(3.0, 1.0, -1.0), (-1.0, 3.0, 0.0)], ids=["falling", "rising first"])
def test_planted_phases_are_found_again(lengths: Sequence[int], levels: Sequence[float]) -> None:
    """Under noise of a tenth of a step between them, in whatever order they lie."""
    planted = [level for level, length in zip(levels, lengths, strict=True) for _ in range(length)]
    found = phases([value + shift for value, shift in zip(planted, noise(80, 1, 0.1), strict=True)], 3)
    assert found.starts == (0, lengths[0], lengths[0] + lengths[1])
    assert found.levels == pytest.approx(levels, abs=0.15)


def test_too_few_points_are_refused() -> None:
    with pytest.raises(ValueError, match="5 points are no 3 phases of 2 points or more"):
        phases([1.0] * 5, 3)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_smooth_curve_is_the_polynomial_of_least_squares(count: int) -> None:
    x = [math.log1p(step) for step in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89)]
    values = noise(len(x), 2)
    left = np.array(values) - np.polyval(np.polyfit(x, values, count - 1), x)
    assert smooth_residual(x, values, count) == pytest.approx(float(left @ left), rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", ["steps", "power law"])
def test_steps_are_told_from_a_smooth_course(shape: str, seed: int) -> None:
    """By what three phases leave over what a polynomial that is as free leaves."""
    x = [4.0 * place / 79 for place in range(80)]
    course = [-(float(place >= 1.3) + float(place >= 2.9)) if shape == "steps" else -place / 2 for place in x]
    values = [value + shift for value, shift in zip(course, noise(80, seed, 0.1), strict=True)]
    ratio = phases(values, 3).residual / smooth_residual(x, values, freedom(3))
    assert (ratio < 0.7) if shape == "steps" else (ratio > 1.4)


@pytest.mark.parametrize("size", [64, 115])
def test_a_course_without_phases_has_none(size: int) -> None:
    """Cuts that are sought find something in any noise; as many coefficients as numbers would be told apart from it."""
    x = [4.0 * place / (size - 1) for place in range(size)]
    courses = [noise(size, seed, 1.0) for seed in range(100)]
    found = [phases(values, 3).residual for values in courses]

    def ratio(coefficients: int) -> float:
        smooth = (smooth_residual(x, values, coefficients) for values in courses)
        return math.exp(sum(math.log(a / b) for a, b in zip(found, smooth, strict=True)) / len(courses))

    assert 0.97 < ratio(freedom(3)) < 1.06
    assert ratio(2 * 3 - 1) < 0.95
