"""Whether a conclusion hangs on a choice: a claim judged with both, and the paired differences. Pure.

Both versions have the same initialisations, so that they are compared pair by pair. That two versions agree is shown by
equivalence: an interval inside a margin that was set before, not by a difference that was not found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.digits import no_more, plain
from harness.judging.conditions import conditions, select, values
from harness.judging.estimands import NAMES, Located, least_initialisations, ratios
from harness.judging.statistics import Estimate, Sample, differences, magnitude
from harness.judging.verdict import Judgement, Verdict
from harness.observation import Condition, Observation, Quantity
from harness.schema.claims import Estimand, Expectation, FirstWithin, LastWithin, LessThan

Dependence = Literal["same conclusion", "flips", "undecided"]
"""What a comparison can say, see ``compare``."""

_LEVEL = 0.90
"""Of the interval that must lie inside the margin: both of its ends are one-sided 95 % bounds."""


@dataclass(frozen=True)
class Side:
    """A claim as judged with one of two choices.

    Attributes:
        judgement: of the claim, with a check.
        asked: the conditions of each sample.
        samples: what was judged: one, two to compare, or one a point of an axis.
    """

    judgement: Judgement
    asked: Sequence[Mapping[str, Condition]]
    samples: Sequence[Sample]


@dataclass(frozen=True)
class Comparison:
    """What became of a claim when a choice was flipped.

    Attributes:
        outcome: see ``compare``.
        difference: flipped minus own, with the 90 % interval; None where nothing can be paired.
        by_initialisation: seed -> that difference.
        initialisations: how many have a difference wherever the claim looks, which may be at many points of an axis.
        at: the point of the axis that the claim searches at which it is told: that of the widest reach; else "".
        why: what was compared with what.
        needed: about how many initialisations would settle it, where it is undecided and that can be said.
    """

    outcome: Dependence
    difference: Estimate | None
    by_initialisation: Mapping[int, float]
    initialisations: int
    at: str
    why: str
    needed: int | None = None


@dataclass(frozen=True)
class _Pairs:
    """The differences under one condition."""

    at: str
    located: Located
    margin: float

    @property
    def ends(self) -> tuple[float, float]:
        interval = self.located.interval(_LEVEL)
        return interval.low, interval.high

    @property
    def inside(self) -> bool:
        low, high = self.ends
        return no_more(-self.margin, low, self.located.scale) and no_more(high, self.margin, self.located.scale)

    @property
    def reach(self) -> tuple[float, float]:
        """How far from 0 the interval reaches; of unbounded ones, how far the estimand lies from it."""
        return max(map(abs, self.ends)), abs(self.located.value)

    @property
    def estimate(self) -> Estimate:
        located, interval = self.located, self.located.interval(_LEVEL)
        low, high = (interval.low, interval.high) if interval.bounded and located.n > 1 else (None, None)
        mean = None if located.estimand == "mean" else located.mean
        return Estimate(located.value, located.n, located.sd, low, high, located.estimand, interval.level, mean)

    @property
    def needed(self) -> int | None:
        return self.located.needed(-self.margin, self.margin, _LEVEL)


def side(
    judgement: Judgement,
    observations: Sequence[Observation],
    quantity: Quantity,
    defaults: Mapping[str, Condition],
    axis_values: Mapping[str, Sequence[Condition]],
) -> Side:
    """What a judgement rests on; its arguments are those with which ``harness.judging.verdict.judge`` made it."""
    claim, check = judgement.claim, judgement.check
    assert check is not None, "a claim is compared at a scale that checks it"
    asked = conditions(claim, check, quantity, defaults, axis_values)
    samples = [values(select(observations, claim.quantity, quantity, at)) for at in asked]
    return Side(judgement, asked, samples)


def compare(own: Side, flipped: Side, margin: float, quantity: Quantity, examples: int | None = None) -> Comparison:
    """Compares the conclusions with two choices.

    - ``flips``: both verdicts are decided, and opposite.
    - ``same conclusion``: both verdicts are decided and agree; or the 90 % interval of the paired differences lies
      inside the margin (two one-sided tests at 5 %), at every point where the claim searches along an axis.
    - ``undecided``: neither. Two verdicts that are open agree on nothing.

    The difference is of what the claim judges: values, differences or ratios by initialisation. Its estimand is the
    median where the claim's is (the sign test, from five initialisations on), else the mean, by Student's t.

    Args:
        own: the claim with the spec's own choice.
        flipped: the claim with the other one, of the same initialisations.
        margin: differences up to it do not matter.
        quantity: of the claim.
        examples: over how many the quantity is a rate or a count; None where it is none.
    """
    verdicts = own.judgement.verdict, flipped.judgement.verdict
    text = f"{verdicts[0]} as the spec has it, {verdicts[1]} flipped"
    if Verdict.NOT_RUN in verdicts:
        reason = next(one.judgement.why for one in (own, flipped) if one.judgement.verdict is Verdict.NOT_RUN)
        return Comparison("undecided", None, {}, 0, "", f"{text}: {reason}")
    pairs, whole = _pairs(own, flipped, margin, quantity, examples)
    stand = [_stands(verdict) for verdict in verdicts]
    inside = whole and all(pair.inside for pair in pairs)
    outcome: Dependence = "undecided"
    if None not in stand:
        outcome = "same conclusion" if stand[0] == stand[1] else "flips"
    elif inside:
        outcome = "same conclusion"
    needed = _needed(own, flipped, pairs if whole else []) if outcome == "undecided" else None
    if outcome == "undecided":
        many = "no number of initialisations that can be told" if needed is None else f"about {needed} initialisations"
        text += f"; {many} would settle it"
    if not pairs:
        return Comparison(outcome, None, {}, 0, "", f"{text}. No initialisation has a value both ways.", needed)
    widest = max(pairs, key=lambda pair: pair.reach)
    by_initialisation = dict(sorted(widest.located.means.items()))
    everywhere = set.intersection(*(set(pair.located.means) for pair in pairs)) if whole else set()
    words = f"{text}. {_words(widest, unit_of(own.judgement, quantity))}"
    return Comparison(outcome, widest.estimate, by_initialisation, len(everywhere), widest.at, words, needed)


def _stands(verdict: Verdict) -> bool | None:
    """Whether the claim stands; None where that is open."""
    return verdict.good if verdict.decided else None


def _pairs(
    own: Side, flipped: Side, margin: float, quantity: Quantity, examples: int | None
) -> tuple[list[_Pairs], bool]:
    """The differences, flipped minus own, one a condition; and whether every condition has them on both sides."""
    check = own.judgement.check
    assert check is not None, "a claim is compared at a scale that checks it"
    expect = check.expect
    if isinstance(expect, FirstWithin | LastWithin):
        there = {at[expect.axis]: sample for at, sample in zip(own.asked, own.samples, strict=True)}
        other = {at[expect.axis]: sample for at, sample in zip(flipped.asked, flipped.samples, strict=True)}
        sides = {
            f"{expect.axis}={point}": (there.get(point, {}), other.get(point, {}))
            for point in dict.fromkeys([*there, *other])
        }
        sides = {at: both for at, both in sides.items() if any(both)}  # a search may leave out points
    else:
        sides = {"": (_judged(expect, own.samples), _judged(expect, flipped.samples))}
    scale = max(quantity.scale, magnitude(*own.samples, *flipped.samples))
    estimand: Estimand = "median" if getattr(expect, "estimand", None) == "median" else "mean"
    resolution = quantity.resolution(examples)
    located = [
        _Pairs(at, Located(differences(after, before), estimand, scale, resolution), margin)
        for at, (before, after) in sides.items()
        if before.keys() & after.keys()
    ]
    return located, len(located) == len(sides)


def _judged(expect: Expectation, samples: Sequence[Sample]) -> Sample:
    """What an expectation holds against its bound, by initialisation."""
    if not isinstance(expect, LessThan):
        return samples[0]
    if expect.estimand == "geometric_mean":
        return ratios(samples[0], samples[1])
    return differences(samples[0], samples[1])


def _needed(own: Side, flipped: Side, pairs: Sequence[_Pairs]) -> int | None:
    """With how many initialisations either the interval would lie inside the margin, or both verdicts be decided."""
    open_ones = [one.judgement for one in (own, flipped) if _stands(one.judgement.verdict) is None]
    ways = [
        [pair.needed for pair in pairs if not pair.inside] if pairs else [None],
        [judgement.replicates_needed for judgement in open_ones],
    ]
    settled = [max(number or 0 for number in way) for way in ways if None not in way]
    return min(settled, default=None)


def unit_of(judgement: Judgement, quantity: Quantity) -> str:
    """Of the differences: that of what the claim judges; of a searched axis, that of its quantity."""
    searches = judgement.check is not None and isinstance(judgement.check.expect, FirstWithin | LastWithin)
    return quantity.unit if searches else judgement.unit


def _words(pairs: _Pairs, unit: str) -> str:
    located, interval = pairs.located, pairs.located.interval(_LEVEL)
    text = f"Flipped minus own{f' at {pairs.at}' if pairs.at else ''}: {NAMES[located.estimand]} "
    text += f"{plain(located.value, 5)}{' ' * bool(unit)}{unit} over {located.n} initialisations"
    if not interval.bounded:
        return f"{text}; an interval needs {least_initialisations(_LEVEL) if located.estimand == 'median' else 2}."
    ends = f"{plain(100 * interval.level, 3)} % interval [{plain(interval.low, 5)}, {plain(interval.high, 5)}]"
    return f"{text}; its {ends} is {'' if pairs.inside else 'not '}inside the margin ±{plain(pairs.margin, 5)}."
