"""How strong a decision is: its p-value, and how likely fresh initialisations give the same one. Pure.

The p-value of a decision is the least level at which its tests would still give it: of "stands" the greater one of the
tests against the limits of the region, of "falls" that of the one test that shows the estimand beyond a limit, doubled
for ``equals``, which refutes at 2.5 % on a side. So a claim falls with p at most .05. A median's is exact: the chance
of as many initialisations on that side under "half lie there". The rest is Student's.

A fresh set is taken as as many normal values with the estimand and the standard deviation of this one ("plug-in"),
whose intervals are no narrower than the resolution either. A spread that the resolution hides is taken as that of
rounding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.judging.estimands import Located
from harness.schema.claims import Estimand
from harness.schema.power import LEVEL, power

_SDS_OF_ROUNDING = math.sqrt(12)
"""As many standard deviations has a step to which values are rounded: the rounding is uniform."""


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
class Outlook:
    """An estimate taken for the truth, held against the limits of a claim.

    Attributes:
        estimand: of the claim.
        sd: standard deviation between initialisations; of logarithms for a geometric mean, as what follows.
        n: initialisations.
        inside: how far inside of each limit the estimand lies, negative beyond it.
        resolution: the least half-width of an interval.
        refuting: level of the one-sided test that refutes.
        stands: what was said of the claim, which is said again where there is no spread.
    """

    estimand: Estimand
    sd: float
    n: int
    inside: tuple[float, ...]
    resolution: float
    refuting: float
    stands: bool | None

    def fresh(self, share: float = 1.0) -> Fresh:
        """What fresh initialisations would say.

        Args:
            share: of the refuting level, which is left to a claim among others (Holm).
        """
        if self.sd == 0:
            return Fresh(float(self.stands is True), float(self.stands is False))
        standing = 1 - sum(1 - self._power(distance, LEVEL) for distance in self.inside)
        falling = sum(self._power(-distance, share * self.refuting) for distance in self.inside)
        return Fresh(min(max(standing, 0.0), 1.0), min(falling, 1.0))

    def _power(self, distance: float, level: float) -> float:
        return power(self.estimand, distance, self.sd, self.n, level, self.resolution)


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
    least = min(_p(located, limit, located.n - limit.inside, above=limit.upper, at_most=level) for limit in limits)
    return min(1.0, least * LEVEL / level)


def outlook(located: Located, limits: Sequence[Limit], stands: bool | None, level: float = LEVEL) -> Outlook:
    """What fresh initialisations are taken to be: like these.

    Args:
        located: an estimand of at least two initialisations.
        limits: as before.
        stands: what these say.
        level: of the one-sided test that refutes.
    """
    sd = _spread(located)
    inside = tuple(_distance(located, limit) for limit in limits)
    return Outlook(located.estimand, sd, located.n, inside, located.least_half_width, level, stands)


def _spread(located: Located) -> float:
    """The standard deviation, or that of rounding where the resolution hides it."""
    return max(located.sd or 0.0, located.least_half_width / _SDS_OF_ROUNDING)


def _p(located: Located, limit: Limit, count: int, *, above: bool, at_most: float = LEVEL) -> float:
    """Of the one-sided test, which decided so, that the estimand is above a limit or below, as ``count`` values are.

    Where the resolution hides the spread its width decided, so that p is no more than the level, ``at_most``.
    """
    from scipy.special import bdtrc, stdtr

    n = located.n
    if located.estimand == "median":
        return float(bdtrc(count - 1, n, 0.5)) if count else 1.0
    distance = _distance(located, limit) if above != limit.upper else -_distance(located, limit)
    sd = _spread(located)
    if not sd:
        return 0.0
    p = float(stdtr(n - 1, -distance / (sd / math.sqrt(n))))
    return p if sd == located.sd else min(p, at_most)


def _distance(located: Located, limit: Limit) -> float:
    """How far inside of a limit the estimand lies, in the unit of its sd: negative beyond it."""
    value, end = located.value, limit.value
    if located.estimand == "geometric_mean":
        value, end = math.log(value), math.log(end)
    return end - value if limit.upper else value - end
