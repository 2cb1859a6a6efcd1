"""What an expectation makes of its samples: whether it stands, and why. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.digits import no_more, plain
from harness.judging import crossing, statistics
from harness.judging.conditions import ranks
from harness.judging.statistics import Estimate
from harness.observation import Condition, Quantity
from harness.schema.claims import AtLeast, AtMost, Equals, Expectation, FirstWithin, LastWithin, LessThan


@dataclass(frozen=True)
class _Region:
    """The values with which a claim is true: low to high, inclusive; ``strict`` leaves high out.

    ``scale`` is the size of the numbers that were compared, whose rounding an end of the region allows; ``limits``
    is the least and the most that a value can be. No interval is shown beyond them, and where an end of the region is
    not within them no value can be on its other side.
    """

    words: str
    scale: float
    limits: tuple[float, float]
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False

    def not_above(self, value: float) -> bool:
        if self.strict:
            return not no_more(self.high, value, self.scale)
        return self.high >= self.limits[1] or no_more(value, self.high, self.scale)

    def not_below(self, value: float) -> bool:
        return self.low <= self.limits[0] or no_more(self.low, value, self.scale)

    def has(self, value: float) -> bool:
        return self.not_above(value) and self.not_below(value)

    def clipped(self, value: float) -> float:
        return min(max(value, self.limits[0]), self.limits[1])

    def shown(self, estimate: Estimate) -> Estimate:
        if estimate.low is None or estimate.high is None:
            return estimate
        return replace(estimate, low=self.clipped(estimate.low), high=self.clipped(estimate.high))

    def misses(self, low: float, high: float) -> bool:
        return not self.not_above(low) or not self.not_below(high)


@dataclass(frozen=True)
class Decision:
    """What an expectation makes of its samples.

    Attributes:
        estimate: of the mean, the mean difference, or the crossing.
        stands: True or False; None where the samples leave it open.
        why: what was compared with what.
        needed: about how many initialisations would settle it, where it is open and that can be said.
        warnings: what weakens it.
    """

    estimate: Estimate
    stands: bool | None
    why: str
    needed: int | None = None
    warnings: tuple[str, ...] = ()


def decide(
    expect: Expectation,
    asked: Sequence[Mapping[str, Condition]],
    samples: Sequence[statistics.Sample],
    quantity: Quantity,
) -> Decision:
    """Judges samples by an expectation, see ``harness.judging.verdict.judge``.

    Args:
        expect: what is expected.
        asked: the conditions of each sample.
        samples: one, two to compare, or one a point of an axis, none without values unless it is such a point.
        quantity: what was sampled.

    Returns:
        The decision; no interval in it goes beyond what the quantity can be, though the verdict is by Student's.
    """
    scale, unit = max(quantity.scale, statistics.magnitude(*samples)), _unit(quantity)
    limits, width = (quantity.low, quantity.high), quantity.high - quantity.low
    match expect:
        case Equals(value=value, margin=margin):
            words = f"within {_short(value)} ± {_short(margin)}"
            region = _Region(words, scale, limits, value - margin, value + margin)
            return _lies(samples[0], region, quantity, refuting=0.95)
        case AtMost(bound=bound):
            return _lies(samples[0], _Region(f"≤ {_short(bound)}", scale, limits, high=bound), quantity)
        case AtLeast(bound=bound):
            return _lies(samples[0], _Region(f"≥ {_short(bound)}", scale, limits, low=bound), quantity)
        case LessThan(by=by):
            region = _Region(f"≤ {_short(0.0 - by)}" if by else "< 0", scale, (-width, width), high=-by, strict=by == 0)
            decision = _lies(statistics.differences(*samples), region, quantity)
            sides = " against ".join(_short(_mean(statistics.estimate(sample, quantity.scale))) for sample in samples)
            return replace(decision, why=f"{sides}{unit}. Differences by initialisation: {decision.why}")
        case FirstWithin() | LastWithin():
            return _crosses(expect, [at[expect.axis] for at in asked], samples, quantity)


def _mean(estimate: Estimate) -> float:
    assert estimate.value is not None, "an estimate of a mean has a value"
    return estimate.value


def _short(value: float) -> str:
    return plain(value, 5)


def _unit(quantity: Quantity) -> str:
    return f" {quantity.unit}" if quantity.unit else ""


def _lies(sample: statistics.Sample, region: _Region, quantity: Quantity, refuting: float = 0.90) -> Decision:
    """Whether a mean lies in a region; ``refuting``: level of the interval that must miss it to say no."""
    estimate = region.shown(statistics.estimate(sample, region.scale))
    mean, warnings, unit = _mean(estimate), _cautions(estimate), _unit(quantity)
    inside = region.has(mean)
    if estimate.sd is None:
        why = f"mean {_short(mean)}{unit} is {'inside' if inside else 'outside'} ({region.words})"
        return Decision(estimate, None, f"{why}; no interval (one initialisation).", None, warnings)
    warnings += _spread(estimate, sample, region, quantity)
    level = 0.90 if inside else refuting
    low, high = statistics.bounds(estimate, level)
    interval = f"[{_short(region.clipped(low))}, {_short(region.clipped(high))}]"
    text = (
        f"mean {_short(mean)}{unit} (sd {plain(estimate.sd, 3)}) over {estimate.n} initialisations; "
        f"its {100 * level:.0f} % interval {interval} is {region.words}"
    )
    if region.has(low) and region.has(high):
        return Decision(estimate, True, f"{text} throughout.", None, warnings)
    if region.misses(low, high):
        return Decision(estimate, False, f"{text} nowhere.", None, warnings)
    below = math.inf if region.not_below(-math.inf) else mean - region.low
    above = math.inf if region.not_above(math.inf) else region.high - mean
    if not inside:  # the nearest limit is the one to get away from
        below, above = math.inf, max(-below, -above)
    needed = statistics.replicates_needed(estimate, below=below, above=above, confidence=(1 + level) / 2)
    about = "more than 1000" if needed is None else f"about {needed}"
    why = f"{text} only in part; {about} initialisations would settle it."
    return Decision(estimate, None, why, needed, warnings)


def _spread(estimate: Estimate, sample: statistics.Sample, region: _Region, quantity: Quantity) -> tuple[str, ...]:
    """What the spread between initialisations makes doubtful."""
    warnings = []
    margin, sd = (region.high - region.low) / 2, estimate.sd or 0.0
    if margin < 2 * sd:
        warnings.append(f"The margin {_short(margin)} is under 2 sd ({plain(2 * sd, 3)}): hard to show.")
    seed = statistics.outlier(sample, region.scale, quantity.scale / 1000)
    if seed is not None:
        apart = {other: repeats for other, repeats in sample.items() if other != seed}
        others, own = (
            statistics.estimate(apart, quantity.scale),
            statistics.estimate({seed: sample[seed]}, quantity.scale),
        )
        warnings.append(
            f"Initialisation {seed} stands apart: {_short(_mean(own))} where the others have {_short(_mean(others))}"
            f"{_unit(quantity)} (sd {plain(others.sd or 0.0, 3)}). Among normal numbers that happens in "
            f"{100 * statistics.OUTLIER_RATE:g} % of samples: see whether it is sound."
        )
    return tuple(warnings)


def _cautions(estimate: Estimate) -> tuple[str, ...]:
    if estimate.n == 1:
        return ("One initialisation gives no interval.",)
    if estimate.sd == 0:
        return (
            f"All {estimate.n} initialisations agree exactly: the interval has no width, which can be the "
            "resolution of the measurement rather than certainty.",
        )
    return ()


def _crosses(
    expect: FirstWithin | LastWithin,
    points: Sequence[Condition],
    samples: Sequence[statistics.Sample],
    quantity: Quantity,
) -> Decision:
    first = isinstance(expect, FirstWithin)
    search = crossing.first_within if first else crossing.last_within
    result = search(samples, expect.threshold, quantity.scale, (quantity.low, quantity.high))
    *places, earliest, latest = ranks(points, (*points, expect.earliest, expect.latest), "")
    nowhere = math.inf if first else -math.inf

    def rank(position: int | None) -> float:
        return nowhere if position is None else places[position]

    def name(position: int | None) -> str:
        return "no point" if position is None else str(points[position])

    value, low, high = (
        None if position is None else places[position] for position in (result.value, result.low, result.high)
    )
    estimate = Estimate(value, result.n, None, low, high, kind="crossing")
    region = _Region(f"from {expect.earliest} to {expect.latest}", 0.0, (-math.inf, math.inf), earliest, latest)
    text = f"{'first' if first else 'last'} {expect.axis} within {_short(expect.threshold)}: {name(result.value)}"
    if result.n == 1:
        side = "inside" if region.has(rank(result.value)) else "outside"
        why = f"{text}, {side} ({region.words}); no interval (one initialisation)."
        return Decision(estimate, None, why, None, _cautions(estimate))
    each = ", ".join(map(name, result.each.values()))
    text += (
        f" by the means, by initialisation {each or 'unknown'}; "
        f"the data allow {name(result.low)} to {name(result.high)}, which is {region.words}"
    )
    if region.has(rank(result.low)) and region.has(rank(result.high)):
        return Decision(estimate, True, f"{text} throughout.")
    if region.misses(rank(result.low), rank(result.high)):
        return Decision(estimate, False, f"{text} nowhere.")
    return Decision(estimate, None, f"{text} only in part.")
