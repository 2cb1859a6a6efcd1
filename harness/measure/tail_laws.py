"""Which law the tail of a sample follows: a power law against others, by the ratio of their likelihoods.

Clauset, Shalizi and Newman (SIAM Review 51, 2009), section 5: each law is fitted to what lies above a least value by
maximum likelihood, and the log of the ratio of likelihoods is divided by its standard deviation, which is normal where
both laws are equally far from the truth (Vuong, Econometrica 57, 1989). A straight line in log-log has an R² near 1 for
other laws too.

That holds for independent draws. Eigenvalues of a matrix repel each other, so that of them the number is a description.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FLATTEST = 30.0
"""Standard deviations by which the mode of a log-normal law may lie outside; beyond, it is the power law."""


def over_exponential(largest: Sequence[float]) -> float:
    """Vuong's deviate of a power law against an exponential law: above 1.64 the power law is nearer, at 5 %.

    Args:
        largest: four or more, positive, in descending order; the last is the least value above which laws are fitted.

    Examples:
        >>> from harness.measure.tail_laws import over_exponential
        >>> over_exponential([100 / rank for rank in range(1, 101)]) > 1.64
        True
        >>> over_exponential([101.0 - rank for rank in range(1, 101)]) < -1.64
        True
    """
    import numpy as np

    x = np.asarray(largest[:-1]) / largest[-1]
    y = np.log(x)
    rate = 1 / (x - 1).mean()
    # As densities of y = log x, which differ from those of x by the same factor.
    return _deviate(_power(y) - (np.log(rate) - rate * (x - 1) + y))


def over_lognormal(largest: Sequence[float]) -> float:
    """Vuong's deviate of a power law against a log-normal law: below -1.64 the log-normal is nearer, at 5 %.

    It is never above 0, as log-normal laws reach the power law in a limit; 0 where that limit fits best.

    Args:
        largest: four or more, positive, in descending order; the last is the least value above which laws are fitted.

    Examples:
        >>> from harness.measure.tail_laws import over_lognormal
        >>> over_lognormal([100 / rank**2 for rank in range(1, 101)]) > -1.64
        True
        >>> from statistics import NormalDist
        >>> import math
        >>> bulk = [math.exp(NormalDist().inv_cdf(1 - rank / 101)) for rank in range(1, 101)]
        >>> over_lognormal(bulk) < -1.64
        True
    """
    import numpy as np

    y = np.log(np.asarray(largest[:-1]) / largest[-1])
    return _deviate(_power(y) - _truncated_normal(y))


def _power(y: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Log density of y = log(x / least) at its best exponent: an exponential law."""
    import numpy as np

    return np.asarray(-np.log(y.mean()) - y / y.mean())


def _truncated_normal(y: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Log density of the best normal law of y that is cut off at 0.

    With y / σ of mean a before the cut, the likelihood is greatest at 1 / σ = (aM₁ + √(a²M₁² + 4M₂)) / 2M₂, M the
    moments of y: what is left is a search over a.
    """
    import numpy as np
    from scipy.optimize import minimize_scalar
    from scipy.special import log_ndtr

    first, second = float(y.mean()), float(np.square(y).mean())

    def log_density(a: float) -> "NDArray[np.float64]":
        inverse = (a * first + np.sqrt((a * first) ** 2 + 4 * second)) / (2 * second)
        constant = np.log(inverse) - np.log(2 * np.pi) / 2 - log_ndtr(a)
        return np.asarray(constant - np.square(inverse * y - a) / 2)

    best = minimize_scalar(lambda a: -log_density(a).mean(), bounds=(-_FLATTEST, _FLATTEST), method="bounded")
    fitted, limit = log_density(float(best.x)), _power(y)
    return fitted if fitted.mean() > limit.mean() else limit


def _deviate(differences: "NDArray[np.float64]") -> float:
    """Their sum over its standard deviation; 0 where both laws are one."""
    import numpy as np

    sd = float(differences.std())
    return float(differences.mean() / sd * np.sqrt(len(differences))) if sd > 1e-12 else 0.0
