"""Where the estimand of a claim lies: the median, the mean or the geometric mean over initialisations, with intervals.

``median``: between order statistics, whose coverage is exact for every law of independent values (the sign test). Half
of a law lies below its median, so the k-th least of n values is above it with probability P(Bin(n, 1/2) < k). A side
has a bound at 5 % from n = 5 on, at 2.5 % from n = 6 on.

``mean``: Student's interval, exact for normal values. Of a law with a long tail no interval from few values holds the
mean: its rare large values are missing from most samples.

``geometric_mean``: Student's interval of the logarithms; the median of a lognormal law.

No interval is narrower than the resolution of what is measured: a rate on m examples moves in steps of 1/m, and that
initialisations agree on it says nothing of what lies between two steps.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from harness.digits import ROUNDING, no_more
from harness.judging.statistics import (
    SETTLING_POWER,
    Estimate,
    Sample,
    bounds,
    estimate,
    means_of,
    replicates_needed,
)
from harness.schema.claims import Estimand

NAMES: Mapping[str, str] = {"median": "median", "mean": "mean", "geometric_mean": "geometric mean"}
"""Estimand -> its name in a sentence."""

_MOST = 1000
"""Initialisations: beyond this many, an estimand practically sits on the limit."""


@dataclass(frozen=True)
class Interval:
    """An interval for an estimand.

    Attributes:
        low: lower end; minus infinity where the sample bounds nothing.
        high: upper end.
        level: its coverage; of a median's the exact one, which is seldom what was asked for.
    """

    low: float
    high: float
    level: float

    @property
    def bounded(self) -> bool:
        """Whether it excludes anything."""
        return math.isfinite(self.low) or math.isfinite(self.high)


@dataclass(frozen=True)
class Located:
    """The estimand of a sample.

    Attributes:
        values: seed of the initialisation -> the values within it, which are averaged first. Positive for a
            geometric mean.
        estimand: what is asked for.
        scale: size of the numbers that the values were computed from, see ``harness.digits.no_more``.
        resolution: no interval has a smaller half-width; 0 where no step is known.
    """

    values: Sample
    estimand: Estimand
    scale: float = 0.0
    resolution: float = 0.0

    @cached_property
    def means(self) -> dict[int, float]:
        """Initialisation -> mean of its values."""
        return means_of(self.values)

    @cached_property
    def sorted(self) -> list[float]:
        """The initialisations' values in order."""
        return sorted(self.means.values())

    @property
    def n(self) -> int:
        """Number of initialisations."""
        return len(self.sorted)

    @cached_property
    def value(self) -> float:
        """The estimand of the sample itself; 0 where it is only rounding."""
        if self.estimand == "geometric_mean":
            return math.exp(_value(self._logarithms))
        if self.estimand == "mean":
            return _value(self._student)
        median = statistics.median(self.sorted)
        return 0.0 if abs(median) <= ROUNDING * self.scale else median

    @cached_property
    def sd(self) -> float | None:
        """Standard deviation between initialisations; of their logarithms for a geometric mean; None for one."""
        return self._logarithms.sd if self.estimand == "geometric_mean" else self._student.sd

    @cached_property
    def mean(self) -> float:
        """The arithmetic mean, to be shown beside another estimand."""
        return _value(self._student)

    @cached_property
    def _student(self) -> Estimate:
        return estimate(self.values, self.scale)

    @cached_property
    def _logarithms(self) -> Estimate:
        return estimate(logarithms(self.values), _scale_of_logarithms(self.sorted[0], self.scale))

    def interval(self, level: float) -> Interval:
        """The two-sided interval; the ends of that of level 0.90 are one-sided 95 % bounds.

        Args:
            level: nominal coverage. Of a median's interval it is the least, and there is none for too small n.
        """
        if self.estimand == "median":
            return self._between_order_statistics(level)
        if self.estimand == "mean":
            low, high = bounds(self._student, level)
            return Interval(min(low, self.value - self.resolution), max(high, self.value + self.resolution), level)
        low, high = bounds(self._logarithms, level)
        half = max((high - low) / 2, self.least_half_width)
        return Interval(self.value * math.exp(-half), self.value * math.exp(half) if half < 700 else math.inf, level)

    def _between_order_statistics(self, level: float) -> Interval:
        rank, coverage = order_statistic(self.n, level)
        if rank == 0:
            return Interval(-math.inf, math.inf, 1.0)
        low, high = self.sorted[rank - 1], self.sorted[-rank]
        return Interval(min(low, self.value - self.resolution), max(high, self.value + self.resolution), coverage)

    @property
    def estimate(self) -> Estimate:
        """With the 95 % interval; a median's from n = 6 on, and at n = 5 from least to greatest, which is 93.75 %."""
        return self.within(0.95, 0.90)

    def within(self, level: float, least: float) -> Estimate:
        """With the interval of a level, or of the ``least`` level where that of a median bounds nothing."""
        interval = self.interval(level)
        if not interval.bounded:
            interval = self.interval(least)
        low, high = (interval.low, interval.high) if interval.bounded and self.n > 1 else (None, None)
        level = interval.level if low is not None else 0.95
        made = Estimate(self.value, self.n, self.sd, low, high, kind=self.estimand, level=level)
        return made if self.estimand == "mean" else replace(made, mean=self.mean)

    def needed(self, low: float, high: float, level: float) -> int | None:
        """About how many initialisations like these would show that the estimand lies between two limits.

        The least number with which, in four experiments of five, an interval of this level lies between them.

        Args:
            low: limit below the estimand; minus infinity where there is none.
            high: limit above.
            level: of the two-sided interval.

        Returns:
            The number; None where it exceeds a thousand, cannot be told, or the resolution does not allow it.
        """
        if min(self.value - low, high - self.value) < self.resolution:
            return None
        if self.estimand == "median":
            return self._needed_by_signs(low, high, level)
        made, below, above = self._student, self.value - low, high - self.value
        if self.estimand == "geometric_mean":
            made = self._logarithms
            below = math.log(self.value / low) if low > 0 else math.inf
            above = math.log(high / self.value)
        return replicates_needed(made, below=below, above=above, confidence=(1 + level) / 2, most=_MOST)

    def _needed_by_signs(self, low: float, high: float, level: float) -> int | None:
        import numpy as np
        from scipy.special import bdtr

        counts = np.arange(self.n + 1, _MOST + 1)
        ranks = np.array([order_statistic(int(n), level)[0] for n in counts])
        missed = np.zeros(len(counts))
        for limit, is_beyond in ((low, self._is_below), (high, self._is_above)):
            if math.isfinite(limit):
                share = sum(is_beyond(value, limit) for value in self.sorted) / self.n
                missed += 1 - bdtr(ranks - 1.0, counts, share)
        enough = np.flatnonzero((ranks > 0) & (missed <= 1 - SETTLING_POWER))
        return int(counts[enough[0]]) if len(enough) else None

    def _is_below(self, value: float, limit: float) -> bool:
        return not no_more(limit, value, self.scale)

    def _is_above(self, value: float, limit: float) -> bool:
        return not no_more(value, limit, self.scale)

    @property
    def least_half_width(self) -> float:
        """Of any interval, in the unit of the sd: the resolution, on the scale of logarithms for a geometric mean."""
        return math.log1p(self.resolution / self.value) if self.estimand == "geometric_mean" else self.resolution


@lru_cache(maxsize=4096)
def order_statistic(n: int, level: float) -> tuple[int, float]:
    """The narrowest interval between order statistics that covers a median at a level.

    Args:
        n: number of values, independent and of one law.
        level: nominal coverage of the two-sided interval; each side errs in at most half of the rest.

    Returns:
        k and the exact coverage: from the k-th least to the k-th greatest value; (0, 1.0) where n is too small. With
        values that can be equal it is at least that.

    Examples:
        >>> from harness.judging.estimands import order_statistic
        >>> order_statistic(5, 0.90)
        (1, 0.9375)
        >>> order_statistic(4, 0.90)
        (0, 1.0)
        >>> order_statistic(8, 0.90)
        (2, 0.9296875)
    """
    allowed = (1 - level) / 2 + ROUNDING
    rank, tail, term = 0, 0.0, 0.5**n
    while tail + term <= allowed:
        tail += term
        rank += 1
        term *= (n - rank + 1) / rank
    return (rank, 1 - 2 * tail) if rank else (0, 1.0)


def least_initialisations(level: float) -> int:
    """With how many values an interval for the median of this level exists: 5 for 0.90, 6 for 0.95."""
    return next(n for n in range(1, _MOST) if order_statistic(n, level)[0])


def logarithms(values: Sample) -> dict[int, list[float]]:
    """Initialisation -> [natural logarithm of the mean of its values]; ValueError where one is not positive."""
    return {seed: [math.log(mean)] for seed, mean in means_of(values).items()}


def ratios(at: Sample, than: Sample) -> dict[int, list[float]]:
    """Per initialisation that both have: [mean in ``at`` over mean in ``than``]."""
    above, below = means_of(at), means_of(than)
    return {seed: [above[seed] / below[seed]] for seed in above if seed in below}


def _scale_of_logarithms(least: float, scale: float) -> float:
    """What rounds like the logarithm of a number that was computed from numbers of a size."""
    return max(1.0, abs(math.log(least)), scale / least)


def _value(made: Estimate) -> float:
    assert made.value is not None, "an estimate of a mean has a value"
    return made.value
