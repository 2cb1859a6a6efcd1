"""How likely a test decides: the power of the sign test and of Student's, one-sided, for normal values.

Of a median ``power`` is that of the sign test: a value lies on the right side of the limit with probability
Φ(effect / sd), and the test decides when so many of n do that under "half lie there" the chance of as many is at most
the level. Of a mean, and of the logarithms of a geometric mean, it is that of the one-sided t test: a noncentral t with
n - 1 degrees of freedom and noncentrality √n effect / sd. ``equals`` refutes at 2.5 % on a side, so that a power at 5 %
is no less than its own.
"""

import math

from harness.schema.claims import Estimand

LEVEL = 0.05
"""Of each one-sided test."""

_ROUNDING = 1e-12
_FAR = 30.0
"""Standard errors from the limit beyond which nothing changes."""


def power(estimand: Estimand, effect: float, sd: float, n: int, level: float = LEVEL) -> float:
    """The probability that n initialisations show an estimand to lie on its side of a limit.

    Args:
        estimand: whose test it is.
        effect: how far on this side it lies, in the unit of the values, natural logarithms for a geometric mean;
            negative: on the other side, so that the test errs.
        sd: standard deviation between initialisations, in the same unit.
        n: initialisations.
        level: of the one-sided test.

    Returns:
        From 0 to 1; 0 where so few never decide. Without spread the test decides wherever there is an effect.

    Examples:
        >>> from harness.schema.power import power
        >>> round(power("mean", effect=1.0, sd=1.0, n=5), 3)
        0.58
        >>> round(power("median", effect=1.0, sd=1.0, n=5), 3)
        0.422
        >>> power("median", effect=1.0, sd=1.0, n=4)
        0.0
    """
    needed = deciding(n, level) if estimand == "median" else None
    if n < 2 or (estimand == "median" and needed is None):
        return 0.0
    if sd == 0:
        return 1.0 if effect > 0 else 0.0
    from scipy.special import bdtrc, nctdtr, ndtr, stdtrit

    if needed is not None:
        return float(bdtrc(needed - 1, n, ndtr(effect / sd)))
    return float(1 - nctdtr(n - 1, min(max(effect / sd * n**0.5, -_FAR), _FAR), stdtrit(n - 1, 1 - level)))


def deciding(n: int, level: float = LEVEL) -> int | None:
    """How many of n values on one side decide a median by the sign test; None where all of them would not do.

    Examples:
        >>> from harness.schema.power import deciding
        >>> [deciding(n) for n in (4, 5, 7, 8, 10)]
        [None, 5, 7, 7, 9]
    """
    tail = 0.0
    for count in range(n, n // 2, -1):
        tail += math.comb(n, count) * 0.5**n
        if tail > level + _ROUNDING:
            return count + 1 if count < n else None
    return None
