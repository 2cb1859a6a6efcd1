"""What an expectation makes of its samples: whether it stands, and why. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.digits import no_more, plain
from harness.judging import crossing, statistics
from harness.judging.cautions import ONE, cautions, doubts_of_spread, test_set_words
from harness.judging.conditions import ranks
from harness.judging.estimands import NAMES, Located, least_initialisations, ratios
from harness.judging.evidence import Fresh, Limit, Outlook, outlook, p_falling, p_standing
from harness.judging.sequential import Levels, Look, levels
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
        estimate: of the estimand, of the differences or ratios, or of the crossing.
        stands: True or False; None where the samples leave it open.
        why: what was compared with what.
        needed: about how many initialisations would settle it, where it is open and that can be said.
        warnings: what weakens it.
        p: the p-value of what was decided; None where it is open, and of a crossing, which has none.
        outlook: what as many fresh initialisations, their number fixed, are taken to be; None of a crossing, and of one
            initialisation.
    """

    estimate: Estimate
    stands: bool | None
    why: str
    needed: int | None = None
    warnings: tuple[str, ...] = ()
    p: float | None = None
    outlook: Outlook | None = None

    @property
    def fresh(self) -> Fresh | None:
        """What they would say."""
        return None if self.outlook is None else self.outlook.fresh()


def decide(
    expect: Expectation,
    asked: Sequence[Mapping[str, Condition]],
    samples: Sequence[statistics.Sample],
    quantity: Quantity,
    examples: int | None = None,
    look: Look | None = None,
) -> Decision:
    """Judges samples by an expectation, see ``harness.judging.verdict.judge``.

    Args:
        expect: what is expected.
        asked: the conditions of each sample.
        samples: one, two to compare, or one a point of an axis, none without values unless it is such a point.
        quantity: what was sampled.
        examples: over how many the quantity is a rate or a count; None where it is none.
        look: at whose levels it is judged; None of a fixed number of initialisations.

    Returns:
        The decision; no interval in it goes beyond what the quantity can be, though the verdict is by the whole one.
    """
    at = levels(expect, look)
    if isinstance(expect, FirstWithin | LastWithin):
        return _crosses(expect, [point[expect.axis] for point in asked], samples, quantity, at)
    scale = max(quantity.scale, statistics.magnitude(*samples))
    limits, step = (quantity.low, quantity.high), quantity.resolution(examples)
    first = Located(samples[0], expect.estimand, scale, step)
    match expect:
        case Equals(value=value, margin=margin):
            words = f"within {_short(value)} ± {_short(margin)}"
            region = _Region(words, scale, limits, value - margin, value + margin)
            decision = _lies(first, region, quantity, at)
        case AtMost(bound=bound):
            decision = _lies(first, _Region(f"≤ {_short(bound)}", scale, limits, high=bound), quantity, at)
        case AtLeast(bound=bound):
            decision = _lies(first, _Region(f"≥ {_short(bound)}", scale, limits, low=bound), quantity, at)
        case LessThan():
            decision = _compares(expect, first, Located(samples[1], expect.estimand, scale, step), quantity, at)
    of_set = test_set_words(first.value, quantity, examples) if asked[0].get("split") == "test" else ""
    return replace(decision, why=f"{decision.why}{of_set}")


def _compares(expect: LessThan, left: Located, right: Located, quantity: Quantity, at: Levels) -> Decision:
    """By pairs: the differences, or the ratios where the estimand is the geometric mean."""
    sides = f"{_short(left.value)} against {_short(right.value)}{_unit(quantity)}"
    if expect.estimand == "geometric_mean":
        least = min(left.sorted[0], right.sorted[0])
        scale = max(1.0, quantity.scale / least)
        pairs = Located(ratios(left.values, right.values), expect.estimand, scale, left.resolution / least)
        decision = _lies(pairs, _Region("< 1", scale, (0.0, math.inf), high=1.0, strict=True), RATIO, at)
        return replace(decision, why=f"{sides}. Ratios by initialisation: {decision.why}")
    by, width = expect.by, quantity.high - quantity.low
    words = f"≤ {_short(0.0 - by)}" if by else "< 0"
    region = _Region(words, left.scale, (-width, width), high=-by, strict=by == 0)
    between = statistics.differences(left.values, right.values)
    decision = _lies(Located(between, expect.estimand, left.scale, left.resolution), region, quantity, at)
    return replace(decision, why=f"{sides}. Differences by initialisation: {decision.why}")


RATIO = Quantity("times", (), "one side over the other")
"""What a comparison by the geometric mean is about."""


def _short(value: float) -> str:
    return plain(value, 5)


def _unit(quantity: Quantity) -> str:
    return f" {quantity.unit}" if quantity.unit else ""


def _lies(located: Located, region: _Region, quantity: Quantity, at: Levels) -> Decision:
    """Whether an estimand lies in a region."""
    estimate, value, unit = region.shown(located.within(at.shown, at.stands)), located.value, _unit(quantity)
    name, warnings, inside = NAMES[located.estimand], cautions(located), region.has(located.value)
    if located.n == 1:
        why = f"{name} {_short(value)}{unit} is {'inside' if inside else 'outside'} ({region.words})"
        return Decision(estimate, None, f"{why}; no interval (one initialisation).", None, warnings)
    warnings += doubts_of_spread(located, region.limits, region.high - region.low, quantity)
    level = at.stands if inside else at.falls
    interval = located.interval(level)
    text = f"{name} {_short(value)}{unit} ({_beside(located)}) over {located.n} initialisations"
    if located.estimand == "median":
        text += f", {sum(map(region.has, located.sorted))} of them {region.words}"
    if interval.bounded:
        ends = f"[{_short(region.clipped(interval.low))}, {_short(region.clipped(interval.high))}]"
        text += f"; its {plain(100 * interval.level, 3)} % interval {ends} is {region.words}"
    limits = _ends(region, located)
    if region.has(interval.low) and region.has(interval.high):
        p, again = at.overall(p_standing(located, limits)), outlook(located, limits, True, at.refuting)
        return Decision(estimate, True, f"{text} throughout.", None, warnings, p, again)
    if region.misses(interval.low, interval.high):
        p, again = at.overall(p_falling(located, limits, at.refuting)), outlook(located, limits, False, at.refuting)
        return Decision(estimate, False, f"{text} nowhere.", None, warnings, p, again)
    again = outlook(located, limits, None, at.refuting)
    needed = located.needed(*_limits(region, value, inside=inside), level)
    text += " only in part" if interval.bounded else f"; an interval needs {least_initialisations(level)}"
    return Decision(estimate, None, f"{text}; {_settled(located, region, needed)}.", needed, warnings, outlook=again)


def _ends(region: _Region, located: Located) -> list[Limit]:
    """The ends of a region beyond which a value can be."""
    limits = []
    if not region.not_above(math.inf):
        limits.append(Limit(region.high, upper=True, inside=sum(map(region.not_above, located.sorted))))
    if not region.not_below(-math.inf):
        limits.append(Limit(region.low, upper=False, inside=sum(map(region.not_below, located.sorted))))
    return limits


def _limits(region: _Region, value: float, *, inside: bool) -> tuple[float, float]:
    """Between which limits the interval has to come: those of the region, or beyond the one that is crossed."""
    low = -math.inf if region.not_below(-math.inf) else region.low
    high = math.inf if region.not_above(math.inf) else region.high
    if inside:
        return low, high
    return (high, math.inf) if not region.not_above(value) else (-math.inf, low)


def _settled(located: Located, region: _Region, needed: int | None) -> str:
    if needed is not None:
        return f"about {needed} initialisations would settle it"
    nearest = min(abs(end - located.value) for end in (region.low, region.high))
    if nearest < located.resolution:
        step = _short(located.resolution)
        return f"the limit is nearer than the resolution of {step}, so that no number of them settles it"
    return "more than 1000 initialisations would settle it"


def _beside(located: Located) -> str:
    """What is shown beside an estimand: the mean, and the spread."""
    sd = located.sd or 0.0
    if located.estimand == "geometric_mean":
        return f"geometric sd {plain(math.exp(min(sd, 700.0)), 3)}, mean {_short(located.mean)}"
    return f"mean {_short(located.mean)}, sd {plain(sd, 3)}" if located.estimand == "median" else f"sd {plain(sd, 3)}"


def _crosses(
    expect: FirstWithin | LastWithin,
    points: Sequence[Condition],
    samples: Sequence[statistics.Sample],
    quantity: Quantity,
    at: Levels,
) -> Decision:
    first = isinstance(expect, FirstWithin)
    search = crossing.first_within if first else crossing.last_within
    result = search(samples, expect.threshold, quantity.scale, (quantity.low, quantity.high), at.stands)
    *places, earliest, latest = ranks(points, (*points, expect.earliest, expect.latest), "")
    nowhere = math.inf if first else -math.inf

    def rank(position: int | None) -> float:
        return nowhere if position is None else places[position]

    def name(position: int | None) -> str:
        if position is None:
            return "no point"
        censored = not first and position == len(points) - 1
        return f"{points[position]}{' or more, being the last searched' if censored else ''}"

    value, low, high = (
        None if position is None else places[position] for position in (result.value, result.low, result.high)
    )
    estimate = Estimate(value, result.n, None, low, high, kind="crossing")
    region = _Region(f"from {expect.earliest} to {expect.latest}", 0.0, (-math.inf, math.inf), earliest, latest)
    text = f"{'first' if first else 'last'} {expect.axis} within {_short(expect.threshold)}: {name(result.value)}"
    if result.n == 1:
        side = "inside" if region.has(rank(result.value)) else "outside"
        why = f"{text}, {side} ({region.words}); no interval (one initialisation)."
        return Decision(estimate, None, why, None, ONE)
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
