"""Estimate against expectation: a verdict and its reason. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from harness import stats
from harness.conditions import (
    at_words,
    conditions,
    missing_replicates,
    ranks,
    select,
    values,
    why_incomplete,
    why_not_run,
)
from harness.observation import Condition, Gap, Observation, Quantity
from harness.spec.claims import (
    AtLeast,
    AtMost,
    Check,
    Claim,
    Equals,
    Expectation,
    FirstWithin,
    LastWithin,
    LessThan,
)
from harness.stats import Estimate


class Verdict(StrEnum):
    """What became of a claim at a scale.

    At the paper's own setting, with the planned replicates, a claim is REPRODUCED or CONTRADICTED; elsewhere
    it HOLDS or FAILS. INCONCLUSIVE: the interval covers both sides. NOT_RUN: not judged, the reason says why.
    """

    REPRODUCED = "REPRODUCED"
    HOLDS = "HOLDS"
    FAILS = "FAILS"
    CONTRADICTED = "CONTRADICTED"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT RUN"

    @property
    def good(self) -> bool:
        """Whether the claim stands."""
        return self in (Verdict.REPRODUCED, Verdict.HOLDS)


@dataclass(frozen=True)
class Judgement:
    """A judged claim.

    Attributes:
        claim: what was claimed.
        check: at this scale, or None where the claim has no check here.
        verdict: the outcome.
        estimate: the measured value with its interval, or None (not run).
        unit: of the estimate.
        expected: the expectation in words, with its conditions.
        why: one or two sentences: what was compared with what.
        replicates_needed: about how many initialisations would settle an inconclusive claim, where that can
            be said.
        warnings: what weakens the judgement (margin under 2 sd, one replicate only, ...).
    """

    claim: Claim
    check: Check | None
    verdict: Verdict
    estimate: Estimate | None
    unit: str
    expected: str
    why: str
    replicates_needed: int | None = None
    warnings: tuple[str, ...] = ()

    @property
    def in_order(self) -> bool:
        """Whether the verdict is one to expect: the claim stands, or what is known of it allows the verdict."""
        known = self.check.known if self.check else None
        if known is None:
            return self.check is None or self.verdict.good
        if known.verdict == "fails":
            return self.verdict in (Verdict.FAILS, Verdict.CONTRADICTED)
        return self.verdict.good or self.verdict in (Verdict.INCONCLUSIVE, Verdict.FAILS)


@dataclass(frozen=True)
class _Region:
    """The values with which a claim is true: low to high, inclusive; ``strict`` leaves high out."""

    words: str
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False

    def not_above(self, value: float) -> bool:
        return not stats.no_more(self.high, value) if self.strict else stats.no_more(value, self.high)

    def not_below(self, value: float) -> bool:
        return stats.no_more(self.low, value)

    def has(self, value: float) -> bool:
        return self.not_above(value) and self.not_below(value)

    def misses(self, low: float, high: float) -> bool:
        return not self.not_above(low) or not self.not_below(high)


@dataclass(frozen=True)
class _Finding:
    """What an expectation makes of its samples: it stands, falls, or (None) is undecided."""

    estimate: Estimate
    stands: bool | None
    why: str
    needed: int | None = None
    warnings: tuple[str, ...] = ()


def judge(
    claim: Claim,
    scale: str,
    observations: Sequence[Observation],
    quantity: Quantity,
    defaults: Mapping[str, Condition],
    axis_values: Mapping[str, Sequence[Condition]],
    *,
    check: Check | None,
    may_reproduce: bool,
    planned_initialisations: int,
    gaps: Sequence[Gap] = (),
    measured: Callable[[Mapping[str, Condition]], bool] = lambda at: True,
) -> Judgement:
    """Judges a claim at a scale.

    ====================  =====================================  ==================================
    expectation           stands                                 falls
    ====================  =====================================  ==================================
    equals                90 % interval inside value ± margin    95 % interval wholly outside
    at_most, at_least     one-sided 95 % bound on the good side  one-sided 95 % bound beyond
    less_than             the same, of paired differences        the same; no difference is not less
    first_, last_within   confidence set inside the window       set and window are disjoint
    ====================  =====================================  ==================================

    Else INCONCLUSIVE, as always with one initialisation. A limit belongs to the good side. The ends of a 90 %
    interval are the one-sided 95 % bounds. NOT_RUN: no check here, no observations, one that is not finite, or one
    that is needed and missing because a job broke (a mean over the others would leave out exactly the runs that
    diverged).

    Args:
        claim: what was claimed.
        scale: its name, for the reason why there is no check.
        observations: any; those of the claim's quantity at the check's conditions are used.
        quantity: of the claim.
        defaults: axis -> condition, for axes that the check leaves out.
        axis_values: axis -> its points in order, for the axis that a crossing searches.
        check: the claim's check at this scale with times in iterations; None where there is none.
        may_reproduce: whether this is the paper's own setting.
        planned_initialisations: with fewer of them, or with replicates missing inside one, nothing is
            REPRODUCED or CONTRADICTED.
        gaps: the observations that broken jobs took.
        measured: whether this setting measures the quantity under some conditions; a search may leave out points.

    Raises:
        RequestError: the check does not fit the quantity's axes (see ``harness.conditions``).
        InvariantBroken: two observations of one replicate under the same conditions.
    """
    if check is None:
        why = f"The spec has no check at the scale {scale!r}."
        return Judgement(claim, None, Verdict.NOT_RUN, None, quantity.unit, "no check at this scale", why)
    asked = conditions(claim, check, quantity, defaults, axis_values)
    expected = _in_words(claim.quantity, check.expect, quantity, asked)
    unit = check.expect.axis if isinstance(check.expect, FirstWithin | LastWithin) else quantity.unit
    samples = [select(observations, claim.quantity, quantity, at) for at in asked]
    reason = why_incomplete(claim.quantity, asked, samples, gaps, measured)
    reason = reason or why_not_run(check.expect, claim.quantity, asked, samples)
    if reason:
        return Judgement(claim, check, Verdict.NOT_RUN, None, unit, expected, reason)
    missing = missing_replicates(asked, samples, planned_initialisations)
    found = _find(check.expect, asked, [values(sample) for sample in samples], quantity.unit)
    complete = not missing and found.estimate.n >= planned_initialisations
    verdict = {
        True: Verdict.REPRODUCED if may_reproduce and complete else Verdict.HOLDS,
        False: Verdict.CONTRADICTED if may_reproduce and complete else Verdict.FAILS,
        None: Verdict.INCONCLUSIVE,
    }[found.stands]
    warnings = (*missing, *found.warnings)
    return Judgement(claim, check, verdict, found.estimate, unit, expected, found.why, found.needed, warnings)


def _find(
    expect: Expectation, asked: Sequence[Mapping[str, Condition]], samples: Sequence[stats.Sample], unit: str
) -> _Finding:
    match expect:
        case Equals(value=value, margin=margin):
            words = f"within {value:.5g} ± {margin:.5g}"
            region = _Region(words, value - margin, value + margin)
            return _lies(stats.estimate(samples[0]), region, unit, refuting=0.95)
        case AtMost(bound=bound):
            return _lies(stats.estimate(samples[0]), _Region(f"≤ {bound:.5g}", high=bound), unit)
        case AtLeast(bound=bound):
            return _lies(stats.estimate(samples[0]), _Region(f"≥ {bound:.5g}", low=bound), unit)
        case LessThan(by=by):
            region = _Region(f"≤ {0.0 - by:.5g}" if by else "< 0", high=-by, strict=by == 0)
            found = _lies(stats.estimate(stats.differences(*samples)), region, unit)
            sides = " against ".join(f"{_mean(stats.estimate(one)):.5g}" for one in samples)
            return replace(found, why=f"{sides}{' ' if unit else ''}{unit}. Differences by initialisation: {found.why}")
        case FirstWithin() | LastWithin():
            return _crosses(expect, [at[expect.axis] for at in asked], samples)


def _mean(estimate: Estimate) -> float:
    assert estimate.value is not None, "an estimate of a mean has a value"
    return estimate.value


def _lies(estimate: Estimate, region: _Region, unit: str, refuting: float = 0.90) -> _Finding:
    """Whether a mean lies in a region; ``refuting``: level of the interval that must miss it to say no."""
    mean, warnings = _mean(estimate), _cautions(estimate)
    inside = region.has(mean)
    if estimate.sd is None:
        why = f"mean {mean:.5g}{' ' if unit else ''}{unit} is {'inside' if inside else 'outside'} ({region.words})"
        return _Finding(estimate, None, f"{why}; no interval (one initialisation).", None, warnings)
    margin = (region.high - region.low) / 2
    if margin < 2 * estimate.sd:
        warnings += (f"The margin {margin:.5g} is under 2 sd ({2 * estimate.sd:.3g}): hard to show.",)
    level = 0.90 if inside else refuting
    low, high = stats.bounds(estimate, level)
    text = (
        f"mean {mean:.5g}{' ' if unit else ''}{unit} (sd {estimate.sd:.3g}) over {estimate.n} initialisations; "
        f"its {100 * level:.0f} % interval [{low:.5g}, {high:.5g}] is {region.words}"
    )
    if region.has(low) and region.has(high):
        return _Finding(estimate, True, f"{text} throughout.", None, warnings)
    if region.misses(low, high):
        return _Finding(estimate, False, f"{text} nowhere.", None, warnings)
    below, above = mean - region.low, region.high - mean
    if not inside:  # the nearest limit is the one to get away from
        below, above = math.inf, max(-below, -above)
    needed = stats.replicates_needed(estimate, below=below, above=above, confidence=(1 + level) / 2)
    about = "more than 1000" if needed is None else f"about {needed}"
    why = f"{text} only in part; {about} initialisations would settle it."
    return _Finding(estimate, None, why, needed, warnings)


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
    expect: FirstWithin | LastWithin, points: Sequence[Condition], samples: Sequence[stats.Sample]
) -> _Finding:
    first = isinstance(expect, FirstWithin)
    found = (stats.first_within if first else stats.last_within)(samples, expect.threshold)
    *places, earliest, latest = ranks(points, (*points, expect.earliest, expect.latest), "")
    nowhere = math.inf if first else -math.inf

    def rank(position: int | None) -> float:
        return nowhere if position is None else places[position]

    def name(position: int | None) -> str:
        return "no point" if position is None else str(points[position])

    value, low, high = (None if one is None else places[one] for one in (found.value, found.low, found.high))
    estimate = Estimate(value, found.n, None, low, high, kind="crossing")
    region = _Region(f"from {expect.earliest} to {expect.latest}", earliest, latest)
    text = f"{'first' if first else 'last'} {expect.axis} within {expect.threshold:.5g}: {name(found.value)}"
    if found.n == 1:
        side = "inside" if region.has(rank(found.value)) else "outside"
        why = f"{text}, {side} ({region.words}); no interval (one initialisation)."
        return _Finding(estimate, None, why, None, _cautions(estimate))
    each = ", ".join(map(name, found.each.values()))
    text += (
        f" by the means, by initialisation {each or 'unknown'}; "
        f"the data allow {name(found.low)} to {name(found.high)}, which is {region.words}"
    )
    if region.has(rank(found.low)) and region.has(rank(found.high)):
        return _Finding(estimate, True, f"{text} throughout.")
    if region.misses(rank(found.low), rank(found.high)):
        return _Finding(estimate, False, f"{text} nowhere.")
    return _Finding(estimate, None, f"{text} only in part.")


def _in_words(name: str, expect: Expectation, quantity: Quantity, asked: Sequence[Mapping[str, Condition]]) -> str:
    at, unit = asked[0], quantity.unit
    match expect:
        case Equals():
            return f"{name} = {expect.value:.5g} ± {expect.margin:.5g} {unit}{at_words(at)}"
        case AtMost():
            return f"{name} ≤ {expect.bound:.5g} {unit}{at_words(at)}"
        case AtLeast():
            return f"{name} ≥ {expect.bound:.5g} {unit}{at_words(at)}"
        case LessThan():
            by = f", by at least {expect.by:.5g} {unit}" if expect.by > 0 else ""
            by = f", or greater by at most {-expect.by:.5g} {unit}" if expect.by < 0 else by
            return f"{name}{at_words(at)} less than{at_words(expect.than)}{by}"
        case FirstWithin() | LastWithin():
            rest = at_words({axis: condition for axis, condition in at.items() if axis != expect.axis})
            window = f"between {expect.earliest} and {expect.latest}"
            if isinstance(expect, FirstWithin):
                return f"{name} stays ≤ {expect.threshold:.5g} {unit} from a {expect.axis} {window} on{rest}"
            return f"{name} ≤ {expect.threshold:.5g} {unit} for the last time at a {expect.axis} {window}{rest}"
