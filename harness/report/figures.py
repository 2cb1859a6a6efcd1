"""Figures as data to drawings: SVG to stand inside a page, or PNG."""

import io
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas

from harness.figure import Figure, Reference, Series
from harness.report.axes import finite, set_scales
from harness.report.numbers import plain
from harness.report.palette import FAINT, INK, Look, looks, paler
from harness.report.svg import inline
from harness.report.text import one_line, shorten

_INCHES = (4.8, 3.5)
_MARKED = 26
"""A line of more points goes without markers."""

_LEGEND_LETTERS, _LABEL_LETTERS = 44, 40
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


def svg(figure: Figure, styles: Mapping[str, Look] | None = None, prefix: str = "") -> str:
    """Draws a figure as an ``<svg>`` element that can stand in a page beside others.

    Args:
        figure: what to draw.
        styles: role -> look, from ``palette.looks`` over all figures of a report; by default over this one.
        prefix: of every id in the drawing; by default the figure's id.

    Returns:
        The element, the same for the same figure; its name and description are the title and the caption.
    """
    file = io.StringIO()
    with _settings():
        canvas = _draw(figure, styles or looks([figure]))
        FigureCanvasSVG(canvas)
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        canvas.savefig(file, format="svg", metadata=nothing, transparent=True)
    return inline(file.getvalue(), prefix or figure.id, one_line(figure.title), one_line(figure.caption))


def png(figure: Figure, styles: Mapping[str, Look] | None = None, dots_per_inch: int = 200) -> bytes:
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
        canvas = _draw(figure, styles or looks([figure]))
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


def _draw(figure: Figure, styles: Mapping[str, Look]) -> Canvas:
    canvas = Canvas(figsize=_INCHES, layout="constrained")
    axes = canvas.add_subplot()
    axes.set_xlabel(shorten(one_line(figure.x_label), _LABEL_LETTERS))
    axes.set_ylabel(shorten(one_line(figure.y_label), _LABEL_LETTERS))
    entries: list[tuple[Artist, str]] = []
    seen: list[tuple[str, bool]] = []
    for series in figure.series:
        kind = (series.role, series.dashed)
        line = _line(axes, series, styles[series.role], seen.count(kind))
        seen.append(kind)
        entries.append((line, one_line(series.label)))
    entries += [(_reference(axes, one), reference_label(one)) for one in figure.references if math.isfinite(one.value)]
    set_scales(axes, figure)
    if not any(len(series.x) for series in figure.series):
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center", color=FAINT)
        axes.set(xticks=[], yticks=[])
    _legend(canvas, entries)
    return canvas


def _line(axes: Axes, series: Series, look: Look, repeat: int) -> Artist:
    colour = paler(look.colour, repeat)
    x, y, low, high = (finite(one) for one in (series.x, series.y, series.low, series.high))
    marker = look.marker if len(x) <= _MARKED else ""
    line = axes.plot(
        x,
        y,
        color=colour,
        linestyle=(0, (4, 2)) if series.dashed else "-",
        marker=marker,
        markerfacecolor="white" if series.dashed else colour,
        markeredgecolor=colour if series.dashed else "white",
        markersize=3.8 if series.dashed else 4.4,
        markeredgewidth=0.9 if series.dashed else 0.5,
        zorder=3,
    )[0]
    if len(low) == len(x) == len(high) and len(x) > 2:
        axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0, zorder=2)
    elif len(low) == len(x) == len(high) and x:
        ends = [
            [value - one for value, one in zip(y, low, strict=True)],
            [b - v for v, b in zip(y, high, strict=True)],
        ]
        axes.errorbar(x, y, yerr=ends, fmt="none", ecolor=colour, elinewidth=1.2, capsize=3, zorder=2)
    return line


def _reference(axes: Axes, reference: Reference) -> Artist:
    draw = axes.axhline if reference.axis == "y" else axes.axvline
    paper = reference.kind == "paper"
    return draw(
        reference.value,
        color=INK if paper else FAINT,
        linestyle=(0, (7, 2, 1.2, 2)) if paper else (0, (1, 1.8)),
        linewidth=1.1 if paper else 1.2,
        zorder=1.5,
        gid=f"{reference.kind}-{reference.axis}-{plain(reference.value)}",
    )


def reference_label(reference: Reference) -> str:
    """What the legend says of a reference: "paper: 3.2"; a label that has the number already is left alone.

    Args:
        reference: the line across the figure.

    Returns:
        One line that names the value, and the paper where it is the paper's.
    """
    label, value = one_line(reference.label), plain(reference.value)
    if reference.kind == "paper" and "paper" not in label.lower():
        label = f"paper: {label}" if label else "paper"
    return label if any(_is(word, reference.value) for word in label.split()) else f"{label}: {value}"


def _is(word: str, value: float) -> bool:
    try:
        return math.isclose(float(word.replace("−", "-").strip(":;,()")), value, rel_tol=1e-4)
    except ValueError:
        return False


def _legend(canvas: Canvas, entries: list[tuple[Artist, str]]) -> None:
    """Below the axes, where it hides no data; the labels are set afterwards, as one may begin with ``_``."""
    if not entries:
        return
    labels = [shorten(label, _LEGEND_LETTERS) for _, label in entries]
    longest = max(map(len, labels))
    columns = min(len(labels), 3 if longest <= 16 else 2 if longest <= 28 else 1)
    legend = canvas.legend(
        [artist for artist, _ in entries],
        ["x"] * len(entries),
        loc="outside lower center",
        ncols=columns,
        handlelength=2.6,
        columnspacing=1.6,
        labelspacing=0.35,
        borderaxespad=0.2,
    )
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(label)
