"""Strips of blocks drawn into axes: stretches of x with a word in each."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator

from harness.figure import Span
from harness.printable import one_line
from harness.report.figures.palette import INK, SCALE
from harness.report.text import shorten

_HEIGHT = 0.72
"""Of a strip, of the room that it has."""
_LIGHTEST, _DARKEST = 0.97, 0.55
"""Places on the colour scale, on which the label in the block is read."""
_ROW_LETTERS, _LETTERS = 22, 40


def draw_strips(axes: Axes, spans: Sequence[Span]) -> None:
    """Draws spans as strips, a row for each, the first above.

    A label is cut off where the next block begins; that of a row's last block is not, as nothing follows it.

    Args:
        axes: that have nothing else.
        spans: one at least.
    """
    rows = list(dict.fromkeys(span.row for span in spans))
    axes.grid(visible=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.yaxis.set_major_locator(FixedLocator(range(len(rows))))
    axes.yaxis.set_major_formatter(FixedFormatter([shorten(one_line(row), _ROW_LETTERS) for row in rows]))
    axes.tick_params(axis="y", length=0)
    last = {span.row: span for span in sorted(spans, key=lambda span: span.start)}
    for span in spans:
        place = rows.index(span.row)
        colour = SCALE(_LIGHTEST - (_LIGHTEST - _DARKEST) * min(max(span.order, 0.0), 1.0))
        (block,) = axes.barh(
            place, span.stop - span.start, _HEIGHT, left=span.start, color=colour, edgecolor="white", linewidth=1.0
        )
        text = axes.annotate(
            "\n".join(shorten(one_line(line), _LETTERS) for line in span.label.split("\n")),
            (span.start, place),
            (3, 0),
            textcoords="offset points",
            va="center",
            color=INK,
            fontsize=7.5,
        )
        if span is not last[span.row]:
            text.set_clip_path(block)
