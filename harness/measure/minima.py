"""How the minima of batches' losses along a direction scatter: their law, and their width against the curvature."""

import math
from collections.abc import Sequence

import numpy as np


def normality(values: Sequence[float]) -> float:
    """The p-value of Shapiro and Wilk's test that values are drawn from one normal law (Biometrika 52, 1965).

    Args:
        values: three or more, 5,000 at most. Where all are equal the p-value is 1.

    Examples:
        Quantiles of the normal law look normal; one value far from nine equal ones does not.

        >>> from harness.measure.minima import normality
        >>> normality([-1.28, -0.52, 0.0, 0.52, 1.28]) > 0.9
        True
        >>> normality([0.0] * 9 + [1.0]) < 0.001
        True
    """
    if np.ptp(values) == 0:
        return 1.0
    from scipy import stats  # not above: it takes its time, and a plan is made without

    scaled = (np.asarray(values) - np.mean(values)) / np.std(
        values
    )  # the test does not see it, but its arithmetic does
    return float(stats.shapiro(scaled).pvalue)


def holm(p_values: Sequence[float], significance: float) -> list[bool]:
    """Which of several hypotheses are rejected, with the chance of any wrong rejection at most ``significance``.

    Holm's step-down procedure (Scand. J. Statist. 6, 1979): the smallest p-value is compared with significance / m,
    the next with significance / (m - 1), and so on until one is not below.

    Args:
        p_values: m of them.
        significance: for the whole family.

    Returns:
        In the order of the p-values.

    Examples:
        The smallest is below 0.05 / 3; the next, 0.03, is above 0.05 / 2, which ends it.

        >>> from harness.measure.minima import holm
        >>> holm([0.01, 0.04, 0.03], significance=0.05)
        [True, False, False]
    """
    rejected = [False] * len(p_values)
    for done, place in enumerate(sorted(range(len(p_values)), key=lambda number: p_values[number])):
        if p_values[place] > significance / (len(p_values) - done):
            break
        rejected[place] = True
    return rejected


def log_slope(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Slope of log y on log x by least squares; None for fewer than three points or equal x: there is no line then.

    Args:
        x: positive.
        y: positive.

    Examples:
        The slope of y = 3 x².

        >>> from harness.measure.minima import log_slope
        >>> round(log_slope([1.0, 2.0, 4.0], [3.0, 12.0, 48.0]), 6)
        2.0
    """
    if len(x) < 3 or len(set(x)) < 2:
        return None
    from scipy import stats

    return float(stats.linregress([math.log(value) for value in x], [math.log(value) for value in y]).slope)
