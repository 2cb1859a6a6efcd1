"""Estimate against expectation: a verdict and its reason. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.digits import plain
from harness.judging.cautions import censoring
from harness.judging.conditions import (
    at_words,
    conditions,
    missing_replicates,
    select,
    values,
    why_incomplete,
    why_not_run,
    why_without_value,
)
from harness.judging.decision import RATIO, decide
from harness.judging.estimands import NAMES
from harness.judging.evidence import Fresh, Outlook
from harness.judging.sequential import Look
from harness.judging.spread import Spread
from harness.judging.statistics import Estimate
from harness.observation import Condition, Gap, Observation, Quantity
from harness.schema.claims import AtLeast, AtMost, Check, Claim, Equals, Expectation, FirstWithin, LastWithin, LessThan


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

    @property
    def decided(self) -> bool:
        """Whether the claim stands or falls."""
        return self not in (Verdict.INCONCLUSIVE, Verdict.NOT_RUN)


@dataclass(frozen=True)
class Judgement:
    """A judged claim.

    Attributes:
        claim: what was claimed.
        check: at this scale, or None where the claim has no check here.
        verdict: the outcome.
        estimate: the estimand as measured, with its interval, or None (not run).
        unit: of the estimate.
        expected: the expectation in words, with its conditions.
        why: one or two sentences: what was compared with what.
        replicates_needed: about how many initialisations would settle an inconclusive claim, where that can
            be said.
        warnings: what weakens the judgement (margin under 2 sd, one replicate only, ...).
        p: the p-value of what was decided, before Holm, see ``harness.judging.evidence``; None where nothing was, of a
            crossing, and in reports of versions that did not tell.
        fresh: what as many fresh initialisations would say, likewise.
        outlook: what these are taken to be, where they could contradict the claim, until Holm's level is known: then it
            is in ``fresh``.
        by_itself: the verdict before Holm, where that left open what the claim's own test or search decides.
        depends_on: fields that the source leaves open, with which the conclusion flips (docs/sensitivity.md).
        spread: of a rate, what of its spread is the initialisations' and what the test set's; None where that was not
            asked.
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
    p: float | None = None
    fresh: Fresh | None = None
    outlook: Outlook | None = None
    by_itself: Verdict | None = None
    depends_on: tuple[str, ...] = ()
    spread: Spread | None = None

    @property
    def decided(self) -> bool:
        """Whether the claim stands or falls."""
        return self.verdict.decided

    @property
    def known_to_fail(self) -> bool:
        """Whether the spec says beforehand that the claim fails."""
        known = self.check.known if self.check else None
        return known is not None and known.verdict == "fails"

    @property
    def in_order_again(self) -> float | None:
        """About how likely the verdict of as many fresh initialisations is one to expect; None where nothing tells."""
        if self.fresh is None:
            return None
        known = self.check.known if self.check else None
        if known is None:
            return self.fresh.stands
        if known.verdict == "fails":
            return self.fresh.falls
        return 1 - (self.fresh.falls if known.verdict == "inconclusive" else self.fresh.stands)

    @property
    def as_expected(self) -> bool:
        """Whether the verdict is one to expect: the claim stands, or what is known of it allows the verdict."""
        known = self.check.known if self.check else None
        if known is None:
            return self.check is None or self.verdict.good
        fails = (self.by_itself or self.verdict) in (Verdict.FAILS, Verdict.CONTRADICTED)
        if known.verdict == "fails":
            return fails
        side = self.verdict.good if known.verdict == "inconclusive" else fails
        return side or self.verdict is Verdict.INCONCLUSIVE


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
    examples: Callable[[Mapping[str, Condition]], int | None] = lambda at: None,
    censored: Callable[[Mapping[str, Condition]], float | None] = lambda at: None,
    look: Look | None = None,
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

    The interval is for the estimand that the expectation names (``harness.judging.estimands``): of a median it is
    exact, and the table is the sign test, in which a tie counts against the claim that something is less. Else
    INCONCLUSIVE, as always with one initialisation, and for a median with fewer than five. A limit belongs to the good
    side. The ends of a 90 % interval are the one-sided 95 % bounds. NOT_RUN: no check here, no observations, one that
    is not finite or has no logarithm where a geometric mean is asked for, or one that is needed and missing because a
    job broke (what is left leaves out exactly the runs that diverged).

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
        examples: over how many examples the quantity is a rate, or counts them, under some conditions; None where it
            does neither.
        censored: the value that stands, under some conditions, for an answer beyond all that was searched.
        look: of a group-sequential plan, at whose levels the intervals are; None of a fixed number of initialisations.

    Raises:
        RequestError: the check does not fit the quantity's axes (see ``harness.judging.conditions``).
        InvariantBroken: two observations of one replicate under the same conditions.
    """
    if check is None:
        why = f"The spec has no check at the scale {scale!r}."
        return Judgement(claim, None, Verdict.NOT_RUN, None, quantity.unit, "no check at this scale", why)
    asked = conditions(claim, check, quantity, defaults, axis_values)
    expected = in_words(claim.quantity, check.expect, quantity, asked)
    unit = _unit(check.expect, quantity)
    samples = [select(observations, claim.quantity, quantity, at) for at in asked]
    reason = why_incomplete(claim.quantity, asked, samples, gaps, measured)
    reason = reason or why_without_value(observations, claim.quantity, quantity, asked)
    reason = reason or why_not_run(check.expect, claim.quantity, asked, samples)
    if reason:
        return Judgement(claim, check, Verdict.NOT_RUN, None, unit, expected, reason)
    missing = missing_replicates(asked, samples, planned_initialisations)
    fewest = min((number for at in asked if (number := examples(at)) is not None), default=None)
    decision = decide(check.expect, asked, [values(sample) for sample in samples], quantity, fewest, look)
    complete = not missing and decision.estimate.n >= planned_initialisations
    verdict = {
        True: Verdict.REPRODUCED if may_reproduce and complete else Verdict.HOLDS,
        False: Verdict.CONTRADICTED if may_reproduce and complete else Verdict.FAILS,
        None: Verdict.INCONCLUSIVE,
    }[decision.stands]
    why = decision.why if look is None else f"{decision.why} {look.words(check.expect)}"
    return Judgement(
        claim,
        check,
        verdict,
        decision.estimate,
        unit,
        expected,
        why,
        decision.needed,
        (
            *missing,
            *decision.warnings,
            *censoring(samples, [censored(at) for at in asked]),
            *filter(None, [quantity.caution]),
        ),
        decision.p,
        decision.fresh,
        decision.outlook if may_reproduce and complete else None,
    )


def _unit(expect: Expectation, quantity: Quantity) -> str:
    """Of the estimate."""
    if isinstance(expect, FirstWithin | LastWithin):
        return expect.axis
    return RATIO.unit if isinstance(expect, LessThan) and expect.estimand == "geometric_mean" else quantity.unit


def in_words(name: str, expect: Expectation, quantity: Quantity, asked: Sequence[Mapping[str, Condition]]) -> str:
    """An expectation for a reader.

    Args:
        name: of the quantity.
        expect: what is expected of it.
        quantity: of that name.
        asked: under which conditions, the claim's own first.
    """
    at, unit = asked[0], quantity.unit
    match expect:
        case Equals():
            return (
                f"{NAMES[expect.estimand]} {name} = {plain(expect.value)} ± {plain(expect.margin)} {unit}{at_words(at)}"
            )
        case AtMost():
            return f"{NAMES[expect.estimand]} {name} ≤ {plain(expect.bound)} {unit}{at_words(at)}"
        case AtLeast():
            return f"{NAMES[expect.estimand]} {name} ≥ {plain(expect.bound)} {unit}{at_words(at)}"
        case LessThan():
            by = f", by at least {plain(expect.by)} {unit}" if expect.by > 0 else ""
            by = f", or greater by at most {plain(-expect.by)} {unit}" if expect.by < 0 else by
            pairs = "ratio" if expect.estimand == "geometric_mean" else "difference"
            of = f", in the {NAMES[expect.estimand]} {pairs}"
            return f"{name}{at_words(at)} less than{at_words(expect.than)}{by}{of}"
        case FirstWithin() | LastWithin():
            rest = at_words({axis: condition for axis, condition in at.items() if axis != expect.axis})
            window = f"between {expect.earliest} and {expect.latest}"
            if isinstance(expect, FirstWithin):
                return f"{name} stays ≤ {plain(expect.threshold)} {unit} from a {expect.axis} {window} on{rest}"
            return f"{name} ≤ {plain(expect.threshold)} {unit} for the last time at a {expect.axis} {window}{rest}"
