"""Estimates with their intervals, bounds for equivalence tests, and crossings of a threshold.

Student intervals (``scipy.stats``) over initialisations; no bootstrap: at three replicates a nominal 95 %
bootstrap interval covers about 75 %. Orders and pairs of orders nest within an initialisation and share its
fate, so they are averaged first and never counted as independent.

Zero spread. Where all initialisations agree (to rounding), sd is 0 and every interval is the point itself.
That is exact for counts and right for a bound far away. For a rate on a small test set it hides the
resolution of the set (one image in 397 is a quarter of a point), and no spread can be learnt from values that
show none: ``sd == 0`` is there for a judge to warn of.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import stats

from harness.errors import InvariantBroken

Sample = Mapping[int, Sequence[float]]
"""Seed of the initialisation -> the values within it."""

Sameness = Literal["equivalent", "not shown", "different"]
"""What a test of equivalence can say, see ``equivalence``."""

RELATIVE_ROUNDING = 1e-9
ABSOLUTE_ROUNDING = 1e-12
"""Numbers closer than this are equal: sums and differences of rates carry rounding of about 1e-15."""

SETTLING_POWER = 0.8
"""How surely the number of ``replicates_needed`` would settle a claim; the custom of power calculations."""


@dataclass(frozen=True)
class Estimate:
    """A measured number.

    Attributes:
        value: the mean over initialisations of the means within each; for a crossing, the point itself.
        n: number of initialisations.
        sd: standard deviation between initialisations; None when n is 1 or for a crossing.
        low: lower end of the 95 % interval; None when there is none (n is 1).
        high: upper end.
        kind: ``mean`` or ``crossing`` (then value, low and high are points of an axis, and None means "at no
            point"; an axis of names has positions from 0; low and high come from one-sided 95 % bounds).
    """

    value: float | None
    n: int
    sd: float | None
    low: float | None
    high: float | None
    kind: str = "mean"


@dataclass(frozen=True)
class Crossing:
    """Where a quantity crosses a threshold along an axis, as positions on the axis; None: at no point of it.

    Attributes:
        value: by the means.
        low: least position that the data allow; None too when n is 1, which allows no set.
        high: greatest position that the data allow; likewise.
        n: least number of initialisations at any observed point.
        each: seed -> the crossing of that initialisation alone, for those present at every observed point.
    """

    value: int | None
    low: int | None
    high: int | None
    n: int
    each: Mapping[int, int | None]


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


def no_more(a: float, b: float) -> bool:
    """Whether a <= b, where numbers equal to rounding count as equal."""
    return a <= b or math.isclose(a, b, rel_tol=RELATIVE_ROUNDING, abs_tol=ABSOLUTE_ROUNDING)


def estimate(values: Sample) -> Estimate:
    """Mean over initialisations, with the spread between them and the 95 % t interval.

    Args:
        values: seed of the initialisation -> the values within it; each initialisation weighs the same.

    Raises:
        ValueError: there is no initialisation, or one without values.
        InvariantBroken: a value is not finite, so no mean exists.
    """
    means = list(_means(values).values())
    mean, n = statistics.mean(means), len(means)
    if n == 1:
        return Estimate(mean, 1, None, None, None)
    sd = statistics.stdev(means)
    if max(means) - min(means) <= ABSOLUTE_ROUNDING + RELATIVE_ROUNDING * max(map(abs, means)):
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
    left, right = _means(at), _means(than)
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
    difference = estimate(differences(at, than))
    low, high = bounds(difference, 0.90)
    verdict: Sameness = "not shown"
    if no_more(-margin, low) and no_more(high, margin):
        verdict = "equivalent"
    elif difference.low is not None and difference.high is not None:
        beyond = not no_more(difference.low, margin) or not no_more(-margin, difference.high)
        verdict = "different" if beyond else "not shown"
    return Equivalence(verdict, difference, low, high, margin)


def first_within(points: Sequence[Sample], threshold: float) -> Crossing:
    """The first point of an axis from which the quantity stays at or below a threshold.

    ``value``: the first point from which the mean is <= threshold there and at all later points. ``low``: the
    first from which no point has its one-sided 95 % lower bound above the threshold (it is not refuted that
    the quantity stays below). ``high``: the first from which every upper bound is <= threshold (it surely
    does).

    The true point is above ``high`` in at most 5 % of experiments. It is below ``low`` in 5 % for each later
    point whose true mean sits right at the threshold, and practically never where they are well below: there
    is no correction for many such points.

    Args:
        points: the samples along the axis, in order; an empty one is a point not observed, which refutes
            nothing and assures nothing.
        threshold: in the quantity's unit.

    Raises:
        ValueError: no point was observed.
        InvariantBroken: a value is not finite.
    """
    return _crossing(points, threshold, _start_of_last_run, low_if_unrefuted=True)


def last_within(points: Sequence[Sample], threshold: float) -> Crossing:
    """The last point of an axis at which the quantity is at or below a threshold; earlier ones may be above.

    ``low``: the last point with its one-sided 95 % upper bound <= threshold; ``high``: the last with its
    lower bound <= threshold. Arguments and errors are those of ``first_within``, and so is the caveat: the
    true point is below ``high`` in 95 % of experiments, and ``low`` errs once more for each later point that
    is truly barely above the threshold.
    """
    return _crossing(points, threshold, _last, low_if_unrefuted=False)


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
    n = np.arange(estimate.n + 1, most + 1)
    error = estimate.sd / np.sqrt(n)
    critical = stats.t.ppf(confidence, n - 1)
    missed = sum(stats.t.sf(room / error - critical, n - 1) for room in (below, above) if math.isfinite(room))
    enough = np.flatnonzero(missed <= 1 - SETTLING_POWER)
    return int(n[enough[0]]) if len(enough) else None


def _means(values: Sample) -> dict[int, float]:
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
    return {seed: statistics.mean(map(float, within)) for seed, within in values.items()}


@lru_cache(maxsize=1024)
def _quantile(probability: float, freedom: int) -> float:
    return float(stats.t.ppf(probability, freedom))


def _start_of_last_run(within: Sequence[bool]) -> int | None:
    start = len(within)
    while start and within[start - 1]:
        start -= 1
    return start if start < len(within) else None


def _last(within: Sequence[bool]) -> int | None:
    return max((position for position, is_within in enumerate(within) if is_within), default=None)


def _crossing(
    points: Sequence[Sample],
    threshold: float,
    rule: Callable[[Sequence[bool]], int | None],
    *,
    low_if_unrefuted: bool,
) -> Crossing:
    observed = [position for position, sample in enumerate(points) if sample]
    if not observed:
        raise ValueError("a crossing needs at least one observed point, found none")
    means = [_means(points[position]) for position in observed]

    def cross(of_observed: Sequence[float]) -> int | None:
        found = rule([no_more(value, threshold) for value in of_observed])
        return None if found is None else observed[found]

    everywhere = [seed for seed in means[0] if all(seed in one for one in means)]
    each = {seed: cross([one[seed] for one in means]) for seed in everywhere}
    value = cross([statistics.mean(one.values()) for one in means])
    n = min(map(len, means))
    if n == 1:
        return Crossing(value, None, None, 1, each)
    ends = [bounds(estimate(sample), 0.90) if sample else (-math.inf, math.inf) for sample in points]
    unrefuted = rule([no_more(lower, threshold) for lower, _ in ends])
    assured = rule([no_more(upper, threshold) for _, upper in ends])
    low, high = (unrefuted, assured) if low_if_unrefuted else (assured, unrefuted)
    return Crossing(value, low, high, n, each)
