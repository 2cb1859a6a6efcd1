"""An outcome as one HTML file that asks for nothing else, readable on a phone, on paper and in the dark."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from harness.digits import plain
from harness.figure import Figure, Series, Surface
from harness.judging.verdict import Verdict
from harness.pipeline.outcome import Outcome
from harness.printable import one_line
from harness.report.chance import in_order_again, wrong_by_chance
from harness.report.figures.interval_plot import interval_plot
from harness.report.figures.palette import Appearance, appearances
from harness.report.page import render
from harness.report.text import Row, evenly, rows
from harness.report.view import SYMBOLS, claim_view, cost_lines, counts, summary

_ROWS = 200
"""Points of a line that the page writes out; the machine form has all."""


def html(outcome: Outcome) -> str:
    """Renders an outcome as a page.

    Args:
        outcome: the verified spec.

    Returns:
        A whole HTML document. Texts of the spec and of errors stand in it as text, never as markup.
    """
    return render("report.html.j2", ["style.css"], **_context(outcome))


def _context(outcome: Outcome) -> Mapping[str, Any]:
    spec = outcome.spec
    styles = appearances(outcome.figures)
    sections = [
        ("claims", "Claims"),
        ("figures", "Figures"),
        ("setting", "Setting"),
        ("departures", "Departures"),
    ]
    sections += [("provenance", "Provenance"), ("cost", "Cost")]
    setting = [
        ("Training", rows(outcome.setting.get("training", {}))),
        ("Settings of the protocol", rows(outcome.setting.get("settings", {}))),
        ("Replicates", rows(outcome.setting.get("replicates", {}))),
        *([("Looks", rows(outcome.looks))] if outcome.looks else []),
    ]
    return {
        "title": spec.title,
        "symbol": SYMBOLS[Verdict.HOLDS if outcome.exit_code == 0 else Verdict.FAILS],
        "summary": summary(outcome),
        "chance": [
            words for words in (wrong_by_chance(outcome.judgements), in_order_again(outcome.judgements)) if words
        ],
        "spec_path": outcome.spec_path,
        "protocol": spec.protocol,
        "scale": outcome.scale,
        "counts": counts(outcome.counts),
        "sections": [section for section in sections if section[0] != "figures" or outcome.figures],
        "failures": outcome.failures,
        "claims": [
            {**vars(claim_view(judgement)), "interval": interval_plot(judgement)}
            for judgement in outcome.judgements
            if judgement.check
        ],
        "unchecked": [claim_view(judgement) for judgement in outcome.judgements if not judgement.check],
        "figures": [_figure(number, figure, styles) for number, figure in enumerate(outcome.figures, start=1)],
        "setting": [(caption, list(entries)) for caption, entries in setting],
        "departures": outcome.departures,
        "provenance": list(rows(outcome.provenance)),
        "cost": [Row(label, amount, 0) for label, amount in cost_lines(outcome.cost)],
        "json_name": f"{spec.id}-{outcome.scale}.json",
    }


def _figure(number: int, figure: Figure, styles: Mapping[str, Appearance]) -> Mapping[str, Any]:
    # A number, since a protocol's id need not be one that HTML allows.
    from harness.report.figures.draw import svg  # brings Matplotlib, for which no other command need wait

    drawing = Markup(svg(figure, styles, prefix=f"f{number}"))
    words = dataclasses.replace(figure, series=(), references=(), spans=())
    labels = (figure.y_label, *(lower.y_label for lower in figure.below))
    longest = max((len(series.x) for series in figure.series), default=0)
    return {
        **vars(words),
        "id": number,
        "svg": drawing,
        "panels": [(label, _lines(figure, panel)) for panel, label in enumerate(labels)],
        "shortened": _ROWS if longest > _ROWS else 0,
        "surface": figure.surface and _matrix(figure.surface),
    }


def _lines(figure: Figure, panel: int) -> Sequence[tuple[str, Sequence[tuple[str, str, str, str]]]]:
    lines = [
        (series.label, evenly(_points(series, figure.x_names), _ROWS))
        for series in figure.series
        if series.panel == panel
    ]
    blocks = [
        (span.row, [(plain(span.start), f"to {plain(span.stop)}: {one_line(span.label)}", "", "")])
        for span in figure.spans
        if span.panel == panel
    ]
    return [*lines, *blocks]


def _points(series: Series, names: Sequence[str]) -> Sequence[tuple[str, str, str, str]]:
    return [
        (one_line(names[round(x)]) if names else plain(x), plain(y), _at(series.low, index), _at(series.high, index))
        for index, (x, y) in enumerate(zip(series.x, series.y, strict=True))
    ]


def _matrix(surface: Surface) -> Mapping[str, Any]:
    return {
        "label": surface.label,
        "columns": surface.x_names or [plain(x) for x in surface.x],
        "rows": [
            (name, [plain(z) for z in values])
            for name, values in zip(surface.y_names or [plain(y) for y in surface.y], surface.z, strict=True)
        ],
    }


def _at(values: Sequence[float], index: int) -> str:
    return plain(values[index]) if index < len(values) else ""
