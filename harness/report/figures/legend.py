"""The legend of a figure."""

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.figure import Figure as Canvas

from harness.report.text import shorten

IN_SEQUENCE = 8
"""Members of a sequence that the legend names: their colours tell where the others lie."""

_LETTERS = 44
_ROWS, _ROW = 4, 0.17
"""Of a legend that a drawing has room for, and the height in inches of each further one, which is added to it."""


def draw_legend(canvas: Canvas, entries: Sequence[tuple[Artist, str]]) -> None:
    """Puts a legend below the axes, where it hides no data, and makes the drawing higher where it is long.

    Args:
        canvas: with everything else drawn.
        entries: what is drawn and what to say of it.
    """
    if not entries:
        return
    labels = [shorten(label, _LETTERS) for _, label in entries]
    longest = max(map(len, labels))
    columns = min(len(labels), 3 if longest <= 16 else 2 if longest <= 31 else 1)
    canvas.set_figheight(canvas.get_figheight() + _ROW * max(-(-len(labels) // columns) - _ROWS, 0))
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
    # Set afterwards, as a label that begins with "_" would be left out.
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(label)
