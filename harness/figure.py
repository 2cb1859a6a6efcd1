"""Figures as data: what is drawn, without saying with what. A protocol makes them, the report draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

YScale = Literal["linear", "log", "up_to_100"]
"""``up_to_100`` is for accuracies in percent: logarithmic in what is missing to 100, so that 98 and 99 are told apart
beside 70; it runs upwards all the same."""


@dataclass(frozen=True)
class Series:
    """A line of points.

    Attributes:
        label: in the legend; equal labels of one role stand there once.
        role: what it stands for (``imp``, ``random_prune``, ``random_reinit``, ``full``, ``train``, ``test``...);
            equal roles look equal in all figures.
        x: positions.
        y: means.
        low: lower ends of the interval, or empty where there is none.
        high: upper ends.
        dashed: drawn dashed, for a second variant of the same role.
        style: ``thin`` is a line that is one of many; ``points`` are not joined; with ``steps`` a value holds from
            its x to the next, so that bins are given by their edges, with the last value twice.
        order: place in a sequence, from 0 (first) to 1 (last), that gives the colour in place of the role.
        panel: 0 for the figure's own axes, 1 for the first of ``Figure.below``, and so on.
    """

    label: str
    role: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dashed: bool = False
    style: Literal["line", "thin", "points", "steps"] = "line"
    order: float | None = None
    panel: int = 0


@dataclass(frozen=True)
class Reference:
    """A value to compare with, as a line across the figure.

    Attributes:
        label: in the legend; it names the value there if the label does not.
        value: on the axis.
        axis: which one; a value of x is marked in every panel.
        kind: the ``paper``'s number, a ``threshold``, or an ``event`` such as a drop of the learning rate; the
            legend has events of one label together.
        panel: of a value of y, as in ``Series``.
    """

    label: str
    value: float
    axis: Literal["x", "y"]
    kind: Literal["paper", "threshold", "event"]
    panel: int = 0


@dataclass(frozen=True)
class Span:
    """A stretch of x, drawn as a block of a strip: of a timeline, say.

    Attributes:
        start: where it begins.
        stop: where it ends.
        label: in the block, of one line or several.
        row: of which strip it is a part; it stands beside it. Strips are drawn from above in the order of their first.
        order: place in a sequence, from 0 (first) to 1 (last), that gives the colour.
        panel: as in ``Series``; that panel has nothing else.
    """

    start: float
    stop: float
    label: str
    row: str
    order: float
    panel: int = 0


@dataclass(frozen=True)
class Panel:
    """Further axes below a figure's own, over the same x."""

    y_label: str
    y_scale: YScale = "linear"


@dataclass(frozen=True)
class Surface:
    """Values over a grid of x and y, below the lines of a figure.

    Attributes:
        x: positions of the columns, ascending.
        y: positions of the rows, ascending.
        z: a row of values for each y, a value in it for each x; what is not finite is drawn as missing.
        label: what z is, with its unit.
        style: ``contour`` for a smooth function, ``heat`` for a matrix: a cell for each value.
        z_scale: of the colours; what is not positive is missing on ``log``.
        x_names: of the columns, in place of their positions.
        y_names: of the rows.
    """

    x: Sequence[float]
    y: Sequence[float]
    z: Sequence[Sequence[float]]
    label: str
    style: Literal["contour", "heat"] = "contour"
    z_scale: Literal["linear", "log"] = "linear"
    x_names: Sequence[str] = ()
    y_names: Sequence[str] = ()


@dataclass(frozen=True)
class Figure:
    """One set of axes, or several below one another, or in rows, that share their x.

    Attributes:
        id: unique in a report; part of file names and links.
        title: short.
        caption: what is to be seen, in a sentence or two; also the text for those who cannot see it.
        x_scale: ``symlog`` is logarithmic with room for 0; ``reversed_log`` runs from large to small, as the
            papers draw the percentage of weights that remain.
        surface: below the lines of the figure's own axes.
        below: further axes, each with its own y.
        columns: how many axes stand side by side; they fill the rows from left to right.
        spans: strips of blocks.
        x_names: of the positions 0, 1, 2, … on x, in place of numbers: of arms, say. A series that is called as its
            place is named there, and not in the legend.
    """

    id: str
    title: str
    caption: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    references: Sequence[Reference] = ()
    x_scale: Literal["linear", "log", "symlog", "reversed_log"] = "linear"
    y_scale: YScale = "linear"
    surface: Surface | None = None
    below: Sequence[Panel] = ()
    columns: int = 1
    spans: Sequence[Span] = ()
    x_names: Sequence[str] = ()

    def scale_of(self, panel: int) -> YScale:
        """The y scale of the figure's own axes, panel 0, or of others."""
        return self.below[panel - 1].y_scale if panel else self.y_scale
