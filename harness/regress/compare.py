"""A fresh run against a baseline: what is as it was, what changed and by how much. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.special import stdtrit

from harness.digits import no_more
from harness.observation import UNITS, Unit
from harness.regress.model import FAMILY_WISE_ERROR, Baseline, Content, Judged, Number, is_plain
from harness.regress.smoke_run import TOLERANCE
from harness.regress.spec_digest import differences

Tone = Literal["same", "note", "alarm", "error"]

_GOOD, _BAD = ("REPRODUCED", "HOLDS"), ("FAILS", "CONTRADICTED")
_NOT_RUN = "NOT RUN"
_SHOWN = 4
"""Differences of one fact that are told one by one."""


@dataclass(frozen=True)
class Finding:
    """One comparison.

    Attributes:
        spec: the baseline's name.
        name: what was compared.
        tone: ``same``; ``note``: worth knowing; ``alarm``; ``error``: something broke.
        text: the comparison in words.
    """

    spec: str
    name: str
    tone: Tone
    text: str


def count_numbers(baselines: Sequence[Baseline]) -> int:
    """How many numbers baselines hold, over which the chance of a false alarm is shared out.

    Those of all baselines, so that a spec's limits do not depend on which others are run beside it.
    """
    return sum(len(baseline.content.numbers) for baseline in baselines)


def interval(number: Number, n: int, comparisons: int) -> tuple[float, float]:
    """Where the mean of fresh initialisations lies while nothing changed: a prediction interval.

    mean ± t(1 - α / 2m; n_b - 1) s sqrt(1 / n_b + 1 / n), with s no less than the number's floor.

    Args:
        number: the baseline's, of at least two initialisations.
        n: fresh initialisations.
        comparisons: m, the numbers of all baselines.

    Returns:
        Its ends, on the scale of ``number.mean``.
    """
    if number.sd is None:
        raise ValueError("an interval needs a baseline of at least two initialisations")
    quantile = float(stdtrit(number.n - 1, 1 - FAMILY_WISE_ERROR / (2 * comparisons)))
    half = quantile * max(number.sd, number.floor) * math.sqrt(1 / number.n + 1 / n)
    return number.mean - half, number.mean + half


def in_logarithms(number: Number) -> Number:
    """A number of positive values as one of their logarithms, for baselines that were measured before these were.

    As though the values had a lognormal law with this mean and sd: sd² = log(1 + (s / mean)²), mean - sd² / 2. With s a
    tenth of the mean that is nearly the logarithm of the mean, and s / mean.

    Args:
        number: of values, with a mean above 0.
    """
    variance = math.log1p(((number.sd or 0.0) / number.mean) ** 2)
    floor = math.log1p(number.floor / number.mean)
    sd = None if number.sd is None else math.sqrt(variance)
    mean = math.log(number.mean) - variance / 2
    return number.model_copy(update={"mean": mean, "sd": sd, "floor": floor, "logarithm": True})


def compare(baseline: Baseline, fresh: Content, comparisons: int, *, broken: bool) -> list[Finding]:
    """All comparisons of a spec.

    Args:
        baseline: what was.
        fresh: what is, of the same spec.
        comparisons: the numbers of all baselines.
        broken: whether jobs of the fresh run failed, so that numbers may be missing for that reason.
    """
    before = {name: _like(number, fresh.numbers.get(name)) for name, number in baseline.content.numbers.items()}
    moved = {
        name: _moved(number, fresh.numbers[name], comparisons)
        for name, number in before.items()
        if name in fresh.numbers
    }
    findings = [*_facts(baseline, fresh), _plan(baseline, fresh), _smoke_run(baseline, fresh)]
    findings += [_verdict(baseline, name, fresh, moved) for name in baseline.content.claims if name in fresh.claims]
    for name, number in before.items():
        if name in fresh.numbers:
            tone: Tone = "alarm" if moved[name] else "same"
            findings.append(_finding(baseline, name, tone, _number_words(number, fresh.numbers[name], comparisons)))
        else:
            why = "is not measured because jobs broke" if broken else "is measured no longer"
            findings.append(
                _finding(baseline, name, "note" if broken else "alarm", f"{why}; baseline {_value(number)}")
            )
    return findings


def since(baseline: Baseline) -> str:
    """The revision with which the baseline began, and its reason."""
    entry = baseline.since
    modified = " (modified)" if entry.modified else ""
    return f"since {entry.revision[:12]}{modified}, {entry.date}: {entry.reason}"


def _finding(baseline: Baseline, name: str, tone: Tone, text: str) -> Finding:
    return Finding(baseline.name, name, tone, f"{text} ({since(baseline)})" if tone == "alarm" else text)


def _like(before: Number, now: Number | None) -> Number:
    """A baseline's number on the scale of the fresh one, if it has a logarithm."""
    by_logarithm = now is not None and now.logarithm and not before.logarithm and before.mean > 0
    return in_logarithms(before) if by_logarithm else before


def _moved(before: Number, now: Number, comparisons: int) -> bool:
    low, high = interval(before, now.n, comparisons)
    # A logarithm carries the relative rounding of its number.
    scale = max(1.0 if before.logarithm else UNITS.get(before.unit, Unit()).scale, abs(before.mean))
    mean = now.mean if before.logarithm == now.logarithm else _natural(now, now.mean)
    return not (no_more(low, mean, scale) and no_more(mean, high, scale))


def _facts(baseline: Baseline, fresh: Content) -> Iterator[Finding]:
    for name, before in baseline.content.facts.items():
        now = fresh.facts.get(name)
        same = before == now
        text = f"{_fact(before)}" if same else f"{_fact(now)}, baseline {_fact(before)}{_by(before, now)}"
        yield _finding(baseline, name, "same" if same else "alarm", text)
    changed = list(differences(baseline.content.setting, fresh.setting))
    text = f"the spec says the same, but what it leaves open is resolved otherwise: {_some(changed)}"
    yield _finding(baseline, "resolved setting", *(("alarm", text) if changed else ("same", "as in the baseline")))


def _fact(value: int | str | None) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _by(before: int | str, now: int | str | None) -> str:
    return f" ({now - before:+,})" if isinstance(before, int) and isinstance(now, int) else ""


def _plan(baseline: Baseline, fresh: Content) -> Finding:
    before, now = baseline.content.kinds, fresh.kinds
    words = [f"{label} is new" for label in now if label not in before]
    words += [f"{label} is gone" for label in before if label not in now]
    words += [
        f"{label} is another job (parameters, inputs or stage version)"
        for label in before
        if label in now and before[label] != now[label]
    ]
    if not words:
        return _finding(baseline, "plan", "same", f"{len(now)} kinds of jobs, as in the baseline")
    return _finding(baseline, "plan", "alarm", f"other jobs than in the baseline: {_some(words)}")


def _smoke_run(baseline: Baseline, fresh: Content) -> Finding:
    before, now = baseline.content.rehearsal, fresh.rehearsal
    changed = [
        f"{name}: {_change(name, value, now[name])}"
        for name, value in before.items()
        if name in now and abs(now[name] - value) > TOLERANCE
    ]
    missing = [f"{name}: gone" for name in before if name not in now]
    if not changed and not missing:
        return _finding(baseline, "smoke run", "same", f"{len(before)} numbers as in the baseline")
    text = f"{len(changed) + len(missing)} of {len(before)} numbers changed, beginning with "
    return _finding(baseline, "smoke run", "alarm", text + _some([*changed, *missing]))


def _change(name: str, before: float, now: float) -> str:
    return f"{before:.6g}, is {now:.6g}" if is_plain(name) else f"{100 * math.expm1(now - before):+.2g} %"


def _some(lines: Sequence[str]) -> str:
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more


def _verdict(baseline: Baseline, claim: str, fresh: Content, moved: dict[str, bool]) -> Finding:
    before, now = baseline.content.claims[claim], fresh.claims[claim]
    tone, remark = _turn(before, now, moved.get(before.number or "", False))
    apart = _apart(before, now)
    text = now.verdict if before.verdict == now.verdict else f"{now.verdict}, baseline {before.verdict}"
    text += f" ({remark})" if remark else ""
    if before.crossing:
        text += f"; crossing {_set(now)}, baseline {_set(before)}" + (", disjoint" if apart else "")
    return _finding(baseline, f"verdict of {claim}", "alarm" if apart else tone, text)


def _turn(before: Judged, now: Judged, moved: bool) -> tuple[Tone, str]:
    if before.verdict == now.verdict:
        return "same", ""
    if now.verdict == _NOT_RUN:
        return "alarm", "it was judged before"
    if {before.verdict, now.verdict} <= {*_GOOD, *_BAD}:
        same = (before.verdict in _GOOD) == (now.verdict in _GOOD)
        return ("note", "another word for the same side") if same else ("alarm", "flipped")
    if before.in_order and not now.in_order and moved:
        return "alarm", "no longer in order, and its number moved"
    return "note", "no flip: the number of initialisations differs, or the claim is near its limit"


def _ends(judged: Judged) -> tuple[float, float]:
    nowhere = math.inf if judged.crossing == "first" else -math.inf
    return (nowhere if judged.low is None else judged.low), (nowhere if judged.high is None else judged.high)


def _apart(before: Judged, now: Judged) -> bool:
    """Whether two sets of crossings have no point in common."""
    if before.crossing is None or now.crossing is None:
        return False
    (low, high), (new_low, new_high) = _ends(before), _ends(now)
    return new_low > high or new_high < low


def _set(judged: Judged) -> str:
    words = ("at no point" if end is None else f"{end:g}" for end in (judged.low, judged.high))
    return f"[{', '.join(words)}]"


def _number_words(before: Number, now: Number, comparisons: int) -> str:
    low, high = (_natural(before, end) for end in interval(before, now.n, comparisons))
    was, is_now = _natural(before, before.mean), _natural(now, now.mean)
    unit = f" {before.unit}" if before.unit else ""
    share = f", {100 * (is_now - was) / abs(was):+.3g} %" if was else ""
    return (
        f"{is_now:.5g}{unit}, n = {now.n}; baseline {was:.5g}, n = {before.n}, expected [{low:.5g}, {high:.5g}]; "
        f"{is_now - was:+.3g}{unit}{share}"
    )


def _natural(number: Number, value: float) -> float:
    return math.exp(value) if number.logarithm else value


def _value(number: Number) -> str:
    return f"{_natural(number, number.mean):.5g} {number.unit}".rstrip()
