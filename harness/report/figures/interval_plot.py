"""One line of picture for a claim: the values it allows, the paper's number, and what was measured."""

import math

from markupsafe import Markup, escape

from harness.digits import plain
from harness.judging.verdict import Judgement
from harness.schema.claims import AtLeast, AtMost, Equals, FirstWithin, LastWithin, LessThan

_WIDTH, _HEIGHT, _EDGE, _LINE = 360.0, 44.0, 26.0, 16.0


def interval_plot(judgement: Judgement) -> Markup | None:
    """Draws a claim about one number: an estimand, a difference or ratio of two, or the point of a crossing.

    Args:
        judgement: the claim with its verdict.

    Returns:
        An ``<svg>`` element; None where no number was measured or the expectation is no range of it (a
        crossing between points that are no numbers).
    """
    allowed, estimate = _allowed(judgement), judgement.estimate
    if allowed is None or estimate is None or estimate.value is None:
        return None
    ends = [end for end in (estimate.low, estimate.high) if end is not None]
    paper = judgement.claim.paper_value
    shown = [estimate.value, *ends, *(end for end in allowed if math.isfinite(end))]
    shown += [paper] if paper is not None else []
    if not all(map(math.isfinite, shown)):
        return None
    low, high = min(shown), max(shown)
    room = (high - low) * 0.12 or abs(high) * 0.2 or 1.0
    low, high = low - room, high + room

    def place(value: float) -> float:
        return _EDGE + (_WIDTH - 2 * _EDGE) * (min(max(value, low), high) - low) / (high - low)

    parts = [_axis(), _range(allowed, (place(allowed[0]), place(allowed[1])))]
    if paper is not None:
        parts.append(_paper(place(paper)))
    parts.append(_measured(place(estimate.value), [place(end) for end in ends]))
    words = "Shaded: the values that the claim allows. Dot with its interval: measured. Diamond: the paper."
    view = f'class="interval" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}"'
    head = f'<svg {view} role="img" aria-label="{words}"><title>{words}</title>'
    return Markup(head) + Markup("").join(parts) + Markup("</svg>")


def _allowed(judgement: Judgement) -> tuple[float, float] | None:
    expect = judgement.check.expect if judgement.check else None
    match expect:
        case Equals():
            return expect.value - expect.margin, expect.value + expect.margin
        case AtMost():
            return -math.inf, expect.bound
        case AtLeast():
            return expect.bound, math.inf
        case LessThan():  # measured is the difference, or the ratio
            return -math.inf, 1.0 if expect.estimand == "geometric_mean" else -expect.by
        case FirstWithin(earliest=int(), latest=int()) | LastWithin(earliest=int(), latest=int()):
            return float(expect.earliest), float(expect.latest)
        case _:
            return None


def _axis() -> Markup:
    return Markup(f'<path class="axis" d="M{_EDGE / 2:.1f} {_LINE}H{_WIDTH - _EDGE / 2:.1f}"/>')


def _range(allowed: tuple[float, float], at: tuple[float, float]) -> Markup:
    left, right = (place if math.isfinite(end) else edge for end, place, edge in zip(allowed, at, _ENDS, strict=True))
    text = f'<rect class="range" x="{left:.1f}" y="6" width="{right - left:.1f}" height="20"/>'
    apart = ("end", "start") if 0 < right - left < _NARROW else ("middle", "middle")
    marks = {end: (place, anchor) for end, place, anchor in zip(allowed, at, apart, strict=True) if math.isfinite(end)}
    for end, (place, anchor) in marks.items():
        text += f'<path class="edge" d="M{place:.1f} 4V28"/>'
        text += f'<text x="{place:.1f}" y="41" text-anchor="{anchor}">{escape(plain(end))}</text>'
    return Markup(text)


def _paper(at: float) -> Markup:
    return Markup(f'<path class="paper" d="M{at:.1f} {_LINE - 7}l6 7l-6 7l-6 -7z"/>')


def _measured(at: float, ends: list[float]) -> Markup:
    text = f'<circle class="dot" cx="{at:.1f}" cy="{_LINE}" r="3.6"/>'
    if len(ends) == 2:
        left, right = ends
        text += f'<path class="whisker" d="M{left:.1f} {_LINE}H{right:.1f}M{left:.1f} 12v8M{right:.1f} 12v8"/>'
    return Markup(text)


_NARROW = 60.0
"""Between edges nearer than this, their numbers would touch: they stand outwards."""

_ENDS = (_EDGE / 2, _WIDTH - _EDGE / 2)
"""Where an open range ends."""
