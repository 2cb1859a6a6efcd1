"""How strong a decision is: its p-value, and how likely fresh initialisations give the same one. Pure.

The p-value of a decision is the least level at which its tests would still give it: of "stands" the greater one of the
tests against the limits of the region, of "falls" that of the one test that shows the estimand beyond a limit, doubled
for ``equals``, which refutes at 2.5 % on a side. So a claim falls with p at most .05. A median's is exact: the chance
of as many initialisations on that side under "half lie there". The rest is Student's.

A fresh set is taken as as many normal values with the estimand and the standard deviation of this one ("plug-in").
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.judging.estimands import Located
from harness.schema.power import LEVEL, power


@dataclass(frozen=True)
class Fresh:
    """What a fresh set of as many initialisations would say of a claim if this one's estimate were the truth.

    Attributes:
        stands: probability that the claim stands.
        falls: probability that it falls.
    """

    stands: float
    falls: float


@dataclass(frozen=True)
class Limit:
    """An end of the region in which a claim is true.

    Attributes:
        value: of the end; of ratios and geometric means greater than 0.
        upper: whether the region lies below it.
        inside: how many initialisations are on the region's side of it.
    """

    value: float
    upper: bool
    inside: int


def p_standing(located: Located, limits: Sequence[Limit]) -> float:
    """The p-value of "lies in the region": the greatest of its sides; 0 where there is no limit.

    Args:
        located: an estimand of at least two initialisations.
        limits: the region's ends that a value can be beyond.
    """
    return max((_p(located, limit, limit.inside, above=not limit.upper) for limit in limits), default=0.0)


def p_falling(located: Located, limits: Sequence[Limit], level: float = LEVEL) -> float:
    """The p-value of "lies beyond a limit of the region".

    Args:
        located: an estimand of at least two initialisations.
        limits: as before, at least one.
        level: of the one-sided test that refutes, .05 or .025.
    """
    least = min(_p(located, limit, located.n - limit.inside, above=limit.upper) for limit in limits)
    return min(1.0, least * LEVEL / level)


def fresh(located: Located, limits: Sequence[Limit], stands: bool | None, level: float = LEVEL) -> Fresh:
    """What fresh initialisations would say; the same where there is no spread.

    Args:
        located: an estimand of at least two initialisations.
        limits: as before.
        stands: what these say.
        level: of the one-sided test that refutes.
    """
    estimand, sd, n = located.estimand, located.sd or 0.0, located.n
    if sd == 0:
        return Fresh(float(stands is True), float(stands is False))
    inside = [_distance(located, limit) for limit in limits]
    standing = 1 - sum(1 - power(estimand, distance, sd, n) for distance in inside)
    falling = sum(power(estimand, -distance, sd, n, level) for distance in inside)
    return Fresh(min(max(standing, 0.0), 1.0), min(falling, 1.0))


def _p(located: Located, limit: Limit, count: int, *, above: bool) -> float:
    """Of the one-sided test, which decided so, that the estimand is above a limit or below, as ``count`` values are."""
    from scipy.special import bdtrc, stdtr

    n = located.n
    if located.estimand == "median":
        return float(bdtrc(count - 1, n, 0.5)) if count else 1.0
    distance = _distance(located, limit) if above != limit.upper else -_distance(located, limit)
    if not located.sd:
        return 0.0
    return float(stdtr(n - 1, -distance / (located.sd / math.sqrt(n))))


def _distance(located: Located, limit: Limit) -> float:
    """How far inside of a limit the estimand lies, in the unit of its sd: negative beyond it."""
    value, end = located.value, limit.value
    if located.estimand == "geometric_mean":
        value, end = math.log(value), math.log(end)
    return end - value if limit.upper else value - end
