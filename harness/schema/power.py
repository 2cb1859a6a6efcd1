"""How likely a test decides: the power of the sign test and of Student's, one-sided, for normal values.

Of a median ``power`` is that of the sign test: a value lies on the right side of the limit with probability
Φ(effect / sd), and the test decides when so many of n do that under "half lie there" the chance of as many is at most
the level. Of a mean, and of the logarithms of a geometric mean, it is that of the one-sided t test: a noncentral t with
n - 1 degrees of freedom and noncentrality √n effect / sd. No interval is narrower than the resolution, so that the
estimate has to lie beyond the limit by as much; of a median more than half of the values. ``equals`` refutes at 2.5 %
on a side, so that a power at 5 % is no less than its own.
"""

import math
from functools import lru_cache

from harness.schema.claims import Estimand

LEVEL = 0.05
"""Of each one-sided test."""

_ROUNDING = 1e-12
_FAR = 30.0
"""Standard errors from the limit beyond which nothing changes."""
_STEPS, _TAIL, _HALVINGS = 100, 7.0, 40
"""Of the integral over the standard deviation of a sample, how many of its own deviations it reaches, of a search. The
power is right to .001: of two initialisations to that, of more far better."""


def power(estimand: Estimand, effect: float, sd: float, n: int, level: float = LEVEL, resolution: float = 0.0) -> float:
    """The probability that n initialisations show an estimand to lie on its side of a limit.

    Args:
        estimand: whose test it is.
        effect: how far on this side it lies, in the unit of the values, natural logarithms for a geometric mean;
            negative: on the other side, so that the test errs.
        sd: standard deviation between initialisations, in the same unit.
        n: initialisations.
        level: of the one-sided test.
        resolution: the least half-width of an interval: the test decides nothing that is nearer to the limit.

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
        return 1.0 if effect > 0 and effect >= resolution else 0.0
    if needed is not None:
        return _by_signs(_above(-effect / sd), _above((resolution - effect) / sd), n, needed)
    least = resolution / sd * n**0.5
    noncentrality = min(max(effect / sd * n**0.5, -_FAR), least + _FAR)
    return _beyond(_quantile(n - 1, level), n - 1, noncentrality, least)


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


def _by_signs(beyond: float, far: float, n: int, needed: int) -> float:
    """The probability that enough of n values lie beyond a limit, and more than half of them far enough.

    Args:
        beyond: the probability that a value lies beyond.
        far: that it lies beyond by the resolution, no more than ``beyond``.
        n: values.
        needed: how many have to lie beyond.
    """
    if beyond == 0:
        return 0.0
    return sum(
        _binomial(n, count, beyond) * _at_least(n // 2 + 1, count, far / beyond) for count in range(needed, n + 1)
    )


def _binomial(n: int, count: int, share: float) -> float:
    return math.comb(n, count) * share**count * (1 - share) ** (n - count)


def _at_least(least: int, n: int, share: float) -> float:
    """The probability of at least so many of n."""
    return sum(_binomial(n, count, share) for count in range(least, n + 1))


def _above(limit: float) -> float:
    """The probability that a standard normal value is above a limit."""
    return math.erfc(limit / math.sqrt(2)) / 2


def _beyond(limit: float, freedom: int, noncentrality: float, least: float = 0.0) -> float:
    """The probability that a noncentral t is above a limit, and its numerator above ``least``.

    Simpson's rule over the standard deviation of the sample. By hand, since a spec is read without SciPy, whose import
    takes longer than all else.
    """
    step, points = _deviations(freedom)
    total = sum(weight * _above(max(limit * sd, least) - noncentrality) for sd, weight in points)
    return min(total * step / 3, 1.0)


@lru_cache(maxsize=256)
def _deviations(freedom: int) -> tuple[float, list[tuple[float, float]]]:
    """The step of Simpson's rule over the standard deviation of a sample, and its points with their weights."""
    half = freedom / 2
    constant = math.log(2) + half * math.log(half) - math.lgamma(half)
    spread = _TAIL / math.sqrt(2 * freedom)
    low, step = max(1 - spread, 0.0), (1 + spread - max(1 - spread, 0.0)) / _STEPS
    points = []
    for number in range(_STEPS + 1):
        sd = low + number * step
        if sd == 0:
            density = math.exp(constant) if freedom == 1 else 0.0
        else:
            density = math.exp(constant + (freedom - 1) * math.log(sd) - half * sd * sd)
        points.append((sd, (1 if number in (0, _STEPS) else 4 if number % 2 else 2) * density))
    return step, points


@lru_cache(maxsize=256)
def _quantile(freedom: int, level: float) -> float:
    """What a central t exceeds with a probability of ``level``, below a half."""
    low, high = 0.0, 1.0
    while _beyond(high, freedom, 0.0) > level:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _beyond(middle, freedom, 0.0) > level else (low, middle)
    return high
