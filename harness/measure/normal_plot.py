"""How straight a normal quantile plot is: an effect size where a test of normality has little power."""

from collections.abc import Sequence

import numpy as np


def straightness(values: Sequence[float]) -> float:
    """R² of the sorted values on normal quantiles (Shapiro and Francia's W', JASA 67, 1972), with Blom's places.

    Of 64 values its median is .984 for a normal law, .974 for a gamma law of skewness .5, .942 for skewness 1, .963 for
    Student's law with 5 degrees of freedom.

    Args:
        values: three or more, not all equal.

    Examples:
        >>> from harness.measure.normal_plot import straightness
        >>> straightness([-1.28, -0.52, 0.0, 0.52, 1.28]) > 0.99
        True
        >>> straightness([0.0] * 9 + [1.0]) < 0.5
        True
    """
    from scipy.special import ndtri

    x = np.sort(np.asarray(values, dtype=np.float64))
    quantiles = ndtri((np.arange(1, len(x) + 1) - 3 / 8) / (len(x) + 1 / 4))
    return float(np.corrcoef(x, quantiles)[0, 1] ** 2)
