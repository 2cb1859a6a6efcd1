"""An outcome in words, common to HTML, Markdown and JUnit."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.digits import plain
from harness.judging.verdict import Judgement, Verdict
from harness.pipeline.outcome import Cost, Outcome
from harness.printable import clean
from harness.report.errata import errata_words
from harness.report.numbers import estimate_text, with_unit
from harness.report.spread import spread_words
from harness.report.text import bytes_text, count, rows, seconds_text
from harness.schema.claims import Claim, Expectation, FirstWithin, LastWithin, Power
from harness.schema.papers import title_of
from harness.steps import Duration

SYMBOLS = {
    Verdict.REPRODUCED: "✓",
    Verdict.HOLDS: "✓",
    Verdict.FAILS: "✗",
    Verdict.CONTRADICTED: "✗",
    Verdict.INCONCLUSIVE: "?",
    Verdict.NOT_RUN: "–",
}
"""A sign beside each verdict, so that colour is never needed."""

_KNOWN = {
    "fails": "it fails",
    "inconclusive": "undecided",
    "fails_or_inconclusive": "it fails or is undecided",
}
"""What is known of a claim, in words."""
_EXPECTED = {"fails": "FAILS", "inconclusive": "inconclusive", "fails_or_inconclusive": "FAILS or inconclusive"}
"""The verdict to expect, where it is known not to stand."""


@dataclass(frozen=True)
class ClaimView:
    """A judged claim in words.

    Attributes:
        id: of the claim.
        sentence: what is claimed.
        source: paper and place.
        expected: the expectation; a dash where there is none at this scale.
        paper: the paper's number with its unit, or a dash.
        measured: the estimate with interval and n, or a dash.
        verdict: in capitals.
        symbol: its sign.
        tone: ``good``, ``bad``, ``open`` or ``none``: how it looks.
        why: the reason.
        warnings: where the source contradicts it, what weakens it, and what would settle it.
        derivation: the steps that prove or refute it on paper, if the spec gives any.
        primary: whether it is one of the source's main statements.
        depends: "depends on FIELD", of fields that the source leaves open and with which it flips; or empty.
        spread: of a rate whose test set was resampled, what is the initialisations' and what the test set's; or empty.
    """

    id: str
    sentence: str
    source: str
    expected: str
    paper: str
    measured: str
    verdict: str
    symbol: str
    tone: str
    why: str
    warnings: tuple[str, ...]
    derivation: tuple[str, ...] = ()
    primary: bool = False
    depends: str = ""
    spread: str = ""


def claim_view(judgement: Judgement) -> ClaimView:
    """Puts a judged claim into words.

    Args:
        judgement: the claim with its verdict.

    Returns:
        Clean text throughout.
    """
    claim, verdict = judgement.claim, judgement.verdict
    unit = _unit(judgement)
    return ClaimView(
        id=claim.id,
        sentence=clean((judgement.check and judgement.check.sentence) or claim.sentence),
        source=clean(f"{title_of(claim.source.paper)}, {claim.source.place}"),
        expected=clean(judgement.expected) or "–",
        paper=_paper(claim.paper_value, unit, is_axis=unit == _searched(judgement)),
        measured=estimate_text(judgement.estimate, unit),
        verdict=verdict.value,
        symbol=SYMBOLS[verdict],
        tone=_tone(verdict),
        why=clean(judgement.why),
        warnings=(*_errata(claim), *_known(judgement), *map(clean, judgement.warnings), *_needed(judgement)),
        derivation=tuple(map(clean, claim.derivation)),
        primary=claim.primary,
        depends=depends(judgement),
        spread=spread_words(judgement),
    )


def depends(judgement: Judgement) -> str:
    """On which open choices a claim's conclusion hangs: "depends on FIELD and FIELD", or nothing.

    Args:
        judgement: the claim with its verdict.
    """
    fields = list(map(clean, judgement.depends_on))
    return f"depends on {' and '.join(fields)}" if fields else ""


def summary(outcome: Outcome) -> str:
    """One line: "5 of 6 claims hold at toy scale", and what else must be known at once.

    Args:
        outcome: the verified spec.

    Returns:
        A sentence without its full stop.
    """
    judged = [judgement.verdict for judgement in outcome.judgements if judgement.check is not None]
    good = [verdict for verdict in judged if verdict.good]
    where = f"at {outcome.scale} scale"
    if not judged:
        text = f"No claim has a check {where}"
    else:
        single = len(good) == 1
        reproduced = bool(good) and all(verdict is Verdict.REPRODUCED for verdict in good)
        verb = f"{'is' if single else 'are'} reproduced" if reproduced else "holds" if single else "hold"
        text = f"{len(good)} of {count(len(judged), 'claim')} {verb} {where}"
    rest = len(outcome.judgements) - len(judged)
    as_known = sum(
        judgement.as_expected and not judgement.verdict.good
        for judgement in outcome.judgements
        if judgement.check is not None
    )
    if as_known:
        text += f"; {'another has' if as_known == 1 else f'{as_known} others have'} the verdict known beforehand"
    if rest and judged:
        text += f"; {rest} more {'has' if rest == 1 else 'have'} no check there"
    if outcome.failures:
        text += f"; {count(len(outcome.failures), 'job')} broke"
    return text


def counts(numbers: Mapping[Verdict, int]) -> Sequence[tuple[str, str, str, int]]:
    """How many claims have each verdict, with how it is shown.

    Args:
        numbers: verdict -> number of claims.

    Returns:
        (verdict, symbol, tone, number) in the mapping's order.
    """
    return [(verdict.value, SYMBOLS[verdict], _tone(verdict), number) for verdict, number in numbers.items()]


def looks_lines(outcome: Outcome) -> Sequence[str]:
    """What the looks of a group-sequential plan decided and took: "look 1 of 5, 5 initialisations: decided a".

    Args:
        outcome: the verified spec.

    Returns:
        A line an entry; none where the number of initialisations was fixed.
    """
    return [f"{row.label}: {row.value}" for row in rows(outcome.looks)]


def cost_lines(cost: Cost) -> Sequence[tuple[str, str]]:
    """What the results took, whenever they were computed: the same however often the report is written.

    Args:
        cost: time and size.

    Returns:
        (label, amount) pairs.
    """
    return [
        ("jobs", f"{cost.jobs:,}"),
        ("trainings", f"{cost.trainings:,}, of {count(cost.iterations, 'iteration')} together"),
        ("computing time", seconds_text(cost.computed_seconds)),
        ("on disk", bytes_text(cost.disk_bytes)),
    ]


def _errata(claim: Claim) -> tuple[str, ...]:
    """Where the source contradicts itself on what is claimed."""
    return tuple(f"Erratum: {words}" for words in errata_words(claim.source.paper, claim.source.errata))


def _tone(verdict: Verdict) -> str:
    if verdict.good:
        return "good"
    return {Verdict.INCONCLUSIVE: "open", Verdict.NOT_RUN: "none"}.get(verdict, "bad")


def _needed(judgement: Judgement) -> tuple[str, ...]:
    """What would settle it, unless the reason says so already."""
    if judgement.replicates_needed is None:
        return ()
    text = f"bout {count(judgement.replicates_needed, 'initialisation')}"
    return () if text in judgement.why else (f"A{text} would settle it.",)


def _known(judgement: Judgement) -> tuple[str, ...]:
    """What is known of the claim, and whether it was found again."""
    known = judgement.check.known if judgement.check else None
    if known is None or judgement.check is None:
        return ()
    text = f"Known: {_KNOWN[known.verdict]} here. {clean(known.why)}"
    found = (text,) if known.power is None else (text, power_words(known.power, judgement.check.expect))
    return found if judgement.as_expected else (*found, not_as_known(judgement))


def power_words(power: Power, expect: Expectation) -> str:
    """A power calculation for a reader: "Calculated beforehand: a distance of 0.3 from the limit, ..."."""
    estimand = None if isinstance(expect, FirstWithin | LastWithin) else expect.estimand
    what = "factor" if estimand == "geometric_mean" else "distance"
    effect, sd = abs(power.effect), power.sd
    if estimand == "geometric_mean":
        effect, sd = math.exp(min(effect, 700.0)), math.exp(min(sd, 700.0))
    test = "sign test" if estimand == "median" else "t test"
    side = "beyond" if power.effect < 0 else "from"
    return (
        f"Calculated beforehand: at a {what} of {plain(effect, 3)} {side} the limit and an sd of {plain(sd, 3)}"
        f"{' (both as factors)' * (estimand == 'geometric_mean')}, {power.n} initialisations decide with probability "
        f"{plain(power.power, 2)} ({test}, one-sided 5 %)."
    )


def not_as_known(judgement: Judgement) -> str:
    """What was found in place of what is known of a claim."""
    assert judgement.check is not None, "something is known of it"
    assert judgement.check.known is not None, "something is known of it"
    expected = _EXPECTED[judgement.check.known.verdict]
    return f"That was not found again: expected {expected}, found {judgement.verdict}."


def _searched(judgement: Judgement) -> str | None:
    """The axis on which the claim looks for a point; at a scale without a check, the other scales tell."""
    checks = [judgement.check] if judgement.check else judgement.claim.checks.values()
    axes = {getattr(check.expect, "axis", None) for check in checks}
    return axes.pop() if len(axes) == 1 else None


def _unit(judgement: Judgement) -> str:
    """Of the claim's numbers: of points of an axis "it" where the spec gives them as times, else the axis."""
    axis = _searched(judgement)
    if axis is None:
        return judgement.unit
    for check in judgement.claim.checks.values():
        expect = check.expect
        if isinstance(expect, FirstWithin | LastWithin) and expect.axis == axis and _is_time(expect.latest):
            return "it"
    return axis


def _is_time(point: str | int) -> bool:
    try:
        Duration.parse(point)
    except ValueError:
        return False
    return True


def _paper(value: float | None, unit: str, *, is_axis: bool) -> str:
    return f"{unit} {with_unit(value, '')}" if is_axis and value is not None else with_unit(value, unit)
