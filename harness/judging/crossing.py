"""Where a quantity crosses a threshold along an axis, with the set of points that the data allow."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.digits import no_more
from harness.judging.statistics import Sample, bounds, estimate, magnitude, means_of

Limits = tuple[float, float]
EVERYTHING: Limits = (-math.inf, math.inf)


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


def first_within(
    points: Sequence[Sample],
    threshold: float,
    scale: float = 0.0,
    limits: Limits = EVERYTHING,
    level: float = 0.90,
) -> Crossing:
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
        scale: size of the numbers that the values were computed from, see ``no_more``.
        limits: the least and the most that the quantity can be: no bound lies beyond them.
        level: of the two-sided intervals whose ends are the bounds, which are of 95 % by default.

    Raises:
        ValueError: no point was observed.
        InvariantBroken: a value is not finite.
    """
    return _crossing(points, threshold, scale, limits, level, _start_of_last_run, low_if_unrefuted=True)


def last_within(
    points: Sequence[Sample],
    threshold: float,
    scale: float = 0.0,
    limits: Limits = EVERYTHING,
    level: float = 0.90,
) -> Crossing:
    """The last point of an axis at which the quantity is at or below a threshold; earlier ones may be above.

    ``low``: the last point with its one-sided 95 % upper bound <= threshold; ``high``: the last with its
    lower bound <= threshold. Arguments and errors are those of ``first_within``, and so is the caveat: the
    true point is below ``high`` in 95 % of experiments, and ``low`` errs once more for each later point that
    is truly barely above the threshold.
    """
    return _crossing(points, threshold, scale, limits, level, _last, low_if_unrefuted=False)


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
    scale: float,
    limits: Limits,
    level: float,
    rule: Callable[[Sequence[bool]], int | None],
    *,
    low_if_unrefuted: bool,
) -> Crossing:
    observed = [position for position, sample in enumerate(points) if sample]
    if not observed:
        raise ValueError("a crossing needs at least one observed point, found none")
    by_point = [means_of(points[position]) for position in observed]

    def cross(of_observed: Sequence[float]) -> int | None:
        index = rule([no_more(value, threshold, scale) for value in of_observed])
        return None if index is None else observed[index]

    everywhere = [seed for seed in by_point[0] if all(seed in means for means in by_point)]
    each = {seed: cross([means[seed] for means in by_point]) for seed in everywhere}
    value = cross([statistics.mean(means.values()) for means in by_point])
    n = min(map(len, by_point))
    if n == 1:
        return Crossing(value, None, None, 1, each)
    ends = [bounds(estimate(sample, scale), level) if sample else (-math.inf, math.inf) for sample in points]
    ends = [(max(lower, limits[0]), min(upper, limits[1])) for lower, upper in ends]
    scales = [max(scale, magnitude(sample)) for sample in points]
    unrefuted = rule([no_more(lower, threshold, size) for (lower, _), size in zip(ends, scales, strict=True)])
    assured = rule([no_more(upper, threshold, size) for (_, upper), size in zip(ends, scales, strict=True)])
    low, high = (unrefuted, assured) if low_if_unrefuted else (assured, unrefuted)
    return Crossing(value, low, high, n, each)
