"""Figures as data to drawings: SVG to stand inside a page, or PNG."""

import io
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from harness.figure import Figure, Panel
from harness.printable import one_line
from harness.report.figures.annotations import draw_reference, draw_series, event_label, reference_label
from harness.report.figures.axes import NAME_LETTERS, set_x_scale, set_y_scale
from harness.report.figures.legend import IN_SEQUENCE, draw_legend
from harness.report.figures.palette import FAINT, INK, Appearance, appearances
from harness.report.figures.strips import draw_strips
from harness.report.figures.surfaces import draw_surface, make_room
from harness.report.figures.svg import inline
from harness.report.text import evenly, shorten

_WIDTH, _HEIGHT = 4.8, 3.5
_FURTHER = 1.7
"""Height that each panel below adds, in inches like the width and the height."""
_BESIDE = (2.4, 2.1)
"""Width and height of each panel where several stand side by side."""
_LETTER = 0.042
"""Height that each letter of names on x adds, which stand aslant."""

_LABEL_LETTERS = 40
_SETTINGS = {
    "svg.hashsalt": "harness",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "grid.color": "#ebebeb",
    "grid.linewidth": 0.7,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


def svg(figure: Figure, styles: Mapping[str, Appearance] | None = None, prefix: str = "") -> str:
    """Draws a figure as an ``<svg>`` element that can stand in a page beside others.

    Args:
        figure: what to draw.
        styles: role -> appearance, from ``palette.appearances`` over all figures of a report; by default over this one.
        prefix: of every id in the drawing; by default the figure's id.

    Returns:
        The element, the same for the same figure; its name and description are the title and the caption.
    """
    file = io.StringIO()
    with _settings():
        canvas = _draw(figure, styles or appearances([figure]))
        FigureCanvasSVG(canvas)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        canvas.savefig(file, format="svg", metadata=nothing, transparent=True)
    return inline(file.getvalue(), prefix or figure.id, one_line(figure.title), one_line(figure.caption))


def png(figure: Figure, styles: Mapping[str, Appearance] | None = None, dots_per_inch: int = 200) -> bytes:
    """Draws a figure as a PNG on white, with its title, to stand alone.

    Args:
        figure: what to draw.
        styles: as in ``svg``.
        dots_per_inch: resolution.

    Returns:
        The file's bytes, the same for the same figure and version of matplotlib.
    """
    file = io.BytesIO()
    with _settings():
        canvas = _draw(figure, styles or appearances([figure]))
        FigureCanvasAgg(canvas)
        canvas.suptitle(shorten(one_line(figure.title), 70), fontsize=10)
        canvas.savefig(file, format="png", dpi=dots_per_inch, facecolor="white", metadata={"Software": None})
    return file.getvalue()


@contextmanager
def _settings() -> Iterator[None]:
    """Matplotlib's own defaults and ours, whatever the user's matplotlibrc says; put back afterwards.

    A letter that the measuring font lacks is no matter, since the text is drawn by the browser.
    """
    # What matplotlib calls backend is the window system, which is the program's to choose.
    settings: dict[Any, Any] = {
        key: value for key, value in matplotlib.rcParamsDefault.items() if not key.startswith("backend")
    }
    settings |= _SETTINGS
    with warnings.catch_warnings(), matplotlib.rc_context(settings):
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def _draw(figure: Figure, styles: Mapping[str, Appearance]) -> Canvas:
    panels = (Panel(figure.y_label, figure.y_scale), *figure.below)
    canvas, stack = _axes(figure, len(panels))
    letters = _LABEL_LETTERS if len(panels) == 1 else _LABEL_LETTERS * 2 // 3
    for axes, panel in zip(stack, panels, strict=True):
        axes.set_ylabel(shorten(one_line(panel.y_label), letters))
    if figure.surface is not None:
        make_room(stack[0], figure.surface)
    entries = _lines(stack, figure, styles) + _references(stack, figure)
    set_x_scale(stack[-1], figure)
    for number, axes in enumerate(stack):
        spans = [span for span in figure.spans if span.panel == number]
        if spans:
            draw_strips(axes, spans)
        else:
            set_y_scale(axes, figure, number)
    if figure.surface is not None:
        draw_surface(canvas, stack[0], figure.surface)
    elif not any(len(series.x) for series in figure.series):
        stack[0].text(0.5, 0.5, "no data", transform=stack[0].transAxes, ha="center", va="center", color=FAINT)
        stack[0].set(xticks=[], yticks=[])
    canvas.align_ylabels()
    draw_legend(canvas, entries)
    return canvas


def _axes(figure: Figure, count: int) -> tuple[Canvas, Sequence[Axes]]:
    """An empty drawing, and axes for so many panels, row by row; what is over of the last row is taken away."""
    columns = min(figure.columns, count)
    rows = -(-count // columns)
    beside = (columns * _BESIDE[0], rows * _BESIDE[1])
    size = (_WIDTH, _HEIGHT + _FURTHER * (rows - 1)) if columns == 1 else beside
    named = _LETTER * min(max(map(len, figure.x_names), default=0), NAME_LETTERS)
    canvas = Canvas(figsize=(size[0], size[1] + named), layout="constrained")
    grid: list[Axes] = canvas.subplots(rows, columns, sharex=True, squeeze=False).flatten().tolist()
    for number, axes in enumerate(grid):
        if number >= count:
            axes.remove()
        elif number + columns >= count:
            axes.set_xlabel(shorten(one_line(figure.x_label), _LABEL_LETTERS))
            axes.tick_params(labelbottom=True)
    return canvas, grid[:count]


def _lines(stack: Sequence[Axes], figure: Figure, styles: Mapping[str, Appearance]) -> list[tuple[Artist, str]]:
    """Draws the series; returns what the legend says of them: each text once, of a long sequence only some.

    What is named on x is not named again.
    """
    entries: dict[tuple[str, str], tuple[Artist, str]] = {}
    seen: list[tuple[str, bool, int]] = []
    for series in figure.series:
        kind = (series.role, series.dashed, series.panel)
        over = figure.surface is not None and series.panel == 0
        log = figure.scale_of(series.panel) == "log"
        line = draw_series(stack[series.panel], series, styles[series.role], seen.count(kind), over=over, log=log)
        seen.append(kind)
        if series.label in figure.x_names:
            continue
        entries.setdefault((series.role, series.label), (line, one_line(series.label)))
    sequence = dict.fromkeys((series.role, series.label) for series in figure.series if series.order is not None)
    for key in set(sequence) - set(evenly(list(sequence), IN_SEQUENCE)):
        del entries[key]
    return list(entries.values())


def _references(stack: Sequence[Axes], figure: Figure) -> list[tuple[Artist, str]]:
    """Draws the references; the legend has the events of one label together."""
    drawn = []
    for reference in figure.references:
        if not math.isfinite(reference.value):
            continue
        panels = range(len(stack)) if reference.axis == "x" else (reference.panel,)
        marks = [draw_reference(stack[panel], reference, panel) for panel in panels]
        drawn.append((reference, marks[0]))
    events = {reference.label: mark for reference, mark in drawn if reference.kind == "event"}
    entries = [(mark, reference_label(reference)) for reference, mark in drawn if reference.kind != "event"]
    for label, mark in events.items():
        alike = [reference for reference, _ in drawn if reference.kind == "event" and reference.label == label]
        entries.append((mark, event_label(alike)))
    return entries
