"""How the large eigenvalues fall with their rank, and what the negative ones amount to."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import BrokenError


@dataclass(frozen=True)
class PowerLaw:
    """λ ∝ rank^-exponent, a straight line in log λ on log rank by least squares.

    Attributes:
        exponent: minus the slope.
        r2: share of the variance of log λ that the line explains; 1 where all eigenvalues are equal.
    """

    exponent: float
    r2: float


def power_law(largest: Sequence[float]) -> PowerLaw:
    """The line through the largest eigenvalues, ranks 1, 2, ...

    Args:
        largest: three or more, in descending order.

    Raises:
        BrokenError: not all are positive, so they have no logarithm.

    Examples:
        >>> from harness.measure.power_law import power_law
        >>> law = power_law([12 / rank**2 for rank in range(1, 6)])
        >>> round(law.exponent, 6), round(law.r2, 6)
        (2.0, 1.0)
    """
    import numpy as np
    from scipy import stats

    fit = stats.linregress(np.log(np.arange(1, len(largest) + 1)), np.log(_positive(largest)))
    return PowerLaw(-float(fit.slope), float(fit.rvalue) ** 2 if np.ptp(largest) else 1.0)


def geometric_mean(largest: Sequence[float]) -> float:
    """Of the largest eigenvalues.

    Raises:
        BrokenError: not all are positive.

    Examples:
        >>> from harness.measure.power_law import geometric_mean
        >>> round(geometric_mean([8.0, 2.0]), 6)
        4.0
    """
    from scipy import stats

    return float(stats.gmean(_positive(largest)))


def orders_of_magnitude(largest: Sequence[float]) -> float:
    """log10 of the last of the largest eigenvalues over the first.

    Raises:
        BrokenError: not all are positive.

    Examples:
        >>> from harness.measure.power_law import orders_of_magnitude
        >>> round(orders_of_magnitude([100.0, 10.0, 1.0]), 6)
        -2.0
    """
    positive = _positive(largest)
    return math.log10(positive[-1] / positive[0])


def negative_mass(values: Sequence[float], error: float = 0.0) -> float:
    """Sum of the magnitudes of the eigenvalues that are negative by more than their numerical error.

    Examples:
        >>> from harness.measure.power_law import negative_mass
        >>> negative_mass([3.0, -0.5, -1.0])
        1.5
        >>> negative_mass([3.0, -1e-9, -1.0], error=1e-6)
        1.0
    """
    return 0.0 - math.fsum(value for value in values if value < -error)


def negative_share(values: Sequence[float], error: float) -> float:
    """Share of the eigenvalues, in %, that are negative by more than their numerical error.

    Examples:
        >>> from harness.measure.power_law import negative_share
        >>> negative_share([3.0, 1.0, -1e-9, -0.5], error=1e-6)
        25.0
    """
    return 100 * sum(value < -error for value in values) / len(values)


def grid(count: int, points: int) -> list[int]:
    """Ranks from 1 to ``count``, evenly spaced in their logarithm, each once; ``points`` of them or fewer.

    Examples:
        >>> from harness.measure.power_law import grid
        >>> grid(100, points=3)
        [1, 10, 100]
    """
    import numpy as np

    return sorted({round(rank) for rank in np.geomspace(1, count, points)})


def _positive(largest: Sequence[float]) -> Sequence[float]:
    if largest[-1] <= 0:
        count = sum(value > 0 for value in largest)
        raise BrokenError(
            f"only {count} of the {len(largest)} largest eigenvalues are positive, so there is no power law through "
            f"them: choose settings.ranks of at most {count}, or leave out this checkpoint"
        )
    return largest
