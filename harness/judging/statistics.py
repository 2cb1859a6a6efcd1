"""Estimates with their intervals, tests of equivalence, outliers.

Student intervals (``scipy``) over initialisations; no bootstrap: at three replicates a nominal 95 %
bootstrap interval covers about 75 %. Orders and pairs of orders nest within an initialisation and share its
fate, so they are averaged first and never counted as independent.

Rounding. Two numbers are equal when they differ by no more than the rounding of the numbers that they were computed
from: ``ROUNDING`` times the largest of these. No tolerance is absolute, since a loss of 1e-14 is a number like any
other. A difference of 0.3 between two rates of 90 % carries the rounding of numbers of 90; what it came from cannot be
seen in it, hence the arguments ``scale``: the size of those numbers, 0 where they are the compared numbers themselves.

Zero spread. Where all initialisations agree (to rounding), sd is 0 and every interval is the point itself.
That is exact for counts and right for a bound far away. For a rate on a small test set it hides the
resolution of the set (one image in 397 is a quarter of a point), which ``harness.judging.estimands`` knows; where no
resolution is known, ``sd == 0`` is there for a judge to warn of.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from harness.digits import ROUNDING, no_more
from harness.errors import InvariantBroken

Sample = Mapping[int, Sequence[float]]
"""Seed of the initialisation -> the values within it."""

Sameness = Literal["equivalent", "not shown", "different"]
"""What a test of equivalence can say, see ``equivalence``."""

OUTLIER_RATE = 0.01
"""How often ``outlier`` errs: the share of samples of normal numbers in which it names one."""

SETTLING_POWER = 0.8
"""How surely the number of ``replicates_needed`` would settle a claim; the custom of power calculations."""

_OFTEN_ENOUGH = 50
"""Initialisations more than there are, which ``replicates_needed`` tries before all."""


@dataclass(frozen=True)
class Estimate:
    """A measured number.

    Attributes:
        value: the estimand over initialisations of the means within each; for a crossing, the point itself.
        n: number of initialisations.
        sd: standard deviation between initialisations, of the natural logarithms for a geometric mean; None when n is 1
            or for a crossing.
        low: lower end of the interval; None when there is none (n is 1, or too small for a median).
        high: upper end.
        kind: ``mean``, ``median``, ``geometric_mean`` or ``crossing`` (then value, low and high are points of an axis,
            and None means "at no point"; an axis of names has positions from 0; low and high come from one-sided
            95 % bounds).
        level: coverage of the interval; of a median's the exact one.
        mean: the arithmetic mean, beside another estimand.
    """

    value: float | None
    n: int
    sd: float | None
    low: float | None
    high: float | None
    kind: str = "mean"
    level: float = 0.95
    mean: float | None = None


@dataclass(frozen=True)
class Equivalence:
    """What two one-sided tests say of paired differences.

    Attributes:
        verdict: see ``equivalence``.
        difference: mean difference with its 95 % interval.
        low: lower end of the 90 % interval, which is the one-sided 95 % bound; minus infinity with one pair.
        high: upper end.
        margin: what was tested against.
    """

    verdict: Sameness
    difference: Estimate
    low: float
    high: float
    margin: float


def magnitude(*samples: Sample) -> float:
    """The largest absolute value in samples: the scale of what is computed from them."""
    return max((abs(value) for sample in samples for within in sample.values() for value in within), default=0.0)


def estimate(values: Sample, scale: float = 0.0) -> Estimate:
    """Mean over initialisations, with the spread between them and the 95 % t interval.

    Args:
        values: seed of the initialisation -> the values within it; each initialisation weighs the same.
        scale: size of the numbers that the values were computed from, see ``no_more``. A mean or a spread that is
            only their rounding is 0.

    Raises:
        ValueError: there is no initialisation, or one without values.
        InvariantBroken: a value is not finite, so no mean exists.
    """
    means = list(means_of(values).values())
    mean, n = statistics.mean(means), len(means)
    if abs(mean) <= ROUNDING * scale:
        mean = 0.0
    if n == 1:
        return Estimate(mean, 1, None, None, None)
    sd = statistics.stdev(means)
    if no_more(max(means), min(means), scale):
        sd = 0.0
    half = _quantile(0.975, n - 1) * sd / math.sqrt(n)
    return Estimate(mean, n, sd, mean - half, mean + half)


def bounds(estimate: Estimate, level: float) -> tuple[float, float]:
    """Ends of the two-sided t interval; those of level 0.90 are the one-sided 95 % bounds.

    With one initialisation nothing is excluded: minus and plus infinity.

    Raises:
        ValueError: the estimate is no mean.
    """
    if estimate.kind != "mean" or estimate.value is None:
        raise ValueError(f"an interval needs an estimate of a mean, found one of kind {estimate.kind!r}")
    if estimate.sd is None:
        return -math.inf, math.inf
    half = _quantile((1 + level) / 2, estimate.n - 1) * estimate.sd / math.sqrt(estimate.n)
    return estimate.value - half, estimate.value + half


def differences(at: Sample, than: Sample) -> dict[int, list[float]]:
    """Per initialisation that both have: [mean in ``at`` minus mean in ``than``]."""
    left, right = means_of(at), means_of(than)
    return {seed: [left[seed] - right[seed]] for seed in left if seed in right}


def equivalence(at: Sample, than: Sample, margin: float) -> Equivalence:
    """Whether a mean is the same on two sides but for a margin, by pairs: two one-sided tests (Schuirmann 1987).

    Args:
        at: seed of the initialisation -> the values within it.
        than: the same of the other side; initialisations that only one side has are left out.
        margin: how far apart the means may be and count as the same, in the quantity's unit.

    Returns:
        The verdict is ``equivalent`` when the 90 % interval of the differences lies inside the margin (both one-sided
        tests reject at 5 %), ``different`` when their 95 % interval lies wholly outside, else ``not shown``. One pair
        shows nothing.

    Raises:
        ValueError: the margin is not positive, or no initialisation is on both sides.
        InvariantBroken: a value is not finite.
    """
    if not (margin > 0 and math.isfinite(margin)):
        raise ValueError(f"a margin of equivalence is positive and finite, found {margin}")
    scale = magnitude(at, than)
    difference = estimate(differences(at, than), scale)
    low, high = bounds(difference, 0.90)
    verdict: Sameness = "not shown"
    if no_more(-margin, low, scale) and no_more(high, margin, scale):
        verdict = "equivalent"
    elif difference.low is not None and difference.high is not None:
        beyond = not no_more(difference.low, margin, scale) or not no_more(-margin, difference.high, scale)
        verdict = "different" if beyond else "not shown"
    return Equivalence(verdict, difference, low, high, margin)


def replicates_needed(
    estimate: Estimate, *, below: float, above: float, confidence: float, most: int = 1000
) -> int | None:
    """About how many initialisations would settle a claim about a mean, at the observed mean and sd.

    The least n above the present one with which, in four experiments of five, the bounds at ``confidence``
    stay within the room around the mean (a shifted t; within some .05 of the exact power).

    Args:
        estimate: of a mean.
        below: distance from the mean down to the nearest limit; infinite when there is none.
        above: distance up to the nearest limit.
        confidence: of each one-sided bound.
        most: beyond this the mean practically sits on the limit: None.

    Returns:
        The number, or None where there is no spread to go by, or it exceeds ``most``.
    """
    if not estimate.sd or estimate.n >= most:
        return None
    import numpy as np
    from scipy.special import stdtr, stdtrit

    for n in np.split(np.arange(estimate.n + 1, most + 1), [_OFTEN_ENOUGH]):
        error = estimate.sd / np.sqrt(n)
        critical = stdtrit(n - 1, confidence)
        missed = sum(stdtr(n - 1, critical - room / error) for room in (below, above) if math.isfinite(room))
        enough = np.flatnonzero(missed <= 1 - SETTLING_POWER)
        if len(enough):
            return int(n[enough[0]])
    return None


def outlier(values: Sample, scale: float = 0.0, least: float = 0.0) -> int | None:
    """The seed of an initialisation that stands apart from all others, by Grubbs' two-sided test.

    Each mean is measured against mean and standard deviation of the others, by Student's t of n - 2 degrees of
    freedom at ``OUTLIER_RATE`` / n: in samples of normal numbers that names one in at most ``OUTLIER_RATE`` of them.
    With few initialisations only what is far away can be told: 11 standard deviations of the others at n = 5, 5.6 at
    n = 10, 4.4 at n = 20, and some 230 at n = 3.

    Args:
        values: seed of the initialisation -> the values within it.
        scale: size of the numbers that the values were computed from, see ``no_more``.
        least: a smaller spread of the others is taken as this: a single image is no outlier among initialisations
            that agree on all of them.

    Returns:
        The seed, or None: no one stands apart, there are fewer than three, or the others show no spread to go by.
    """
    means = means_of(values)
    n = len(means)
    if n < 3:
        return None
    centre = statistics.mean(means.values())
    seed = max(means, key=lambda seed: abs(means[seed] - centre))
    others = [value for other, value in means.items() if other != seed]
    spread = 0.0 if no_more(max(others), min(others), scale) else statistics.stdev(others)
    spread = max(spread, least)
    if spread == 0:
        return None
    t = abs(means[seed] - statistics.mean(others)) / (spread * math.sqrt(1 + 1 / (n - 1)))
    return seed if t > _quantile(1 - OUTLIER_RATE / (2 * n), n - 2) else None


def means_of(values: Sample) -> dict[int, float]:
    """Initialisation -> mean of its values, as nested replicates are averaged first.

    Args:
        values: seed of the initialisation -> the values within it.

    Raises:
        ValueError: there is no initialisation, or one without values.
        InvariantBroken: a value is not finite.
    """
    if not values:
        raise ValueError("an estimate needs at least one initialisation, found none")
    for seed, within in values.items():
        if not within:
            raise ValueError(f"initialisation {seed} has no values: leave it out or measure it")
        for value in within:
            if not math.isfinite(value):
                raise InvariantBroken(
                    f"initialisation {seed} has the value {value}: no mean exists; find what diverged"
                )
    return {
        seed: float(within[0]) if len(within) == 1 else statistics.mean(map(float, within))
        for seed, within in values.items()
    }


@lru_cache(maxsize=1024)
def _quantile(probability: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))
