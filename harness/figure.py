"""Figures as data: what is drawn, without saying with what. A protocol makes them, the report draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Series:
    """A line of points.

    Attributes:
        label: in the legend.
        role: what it stands for (``imp``, ``random_prune``, ``random_reinit``, ``full``, ``train``, ``test``...);
            equal roles look equal in all figures.
        x: positions.
        y: means.
        low: lower ends of the interval, or empty where there is none.
        high: upper ends.
        dashed: drawn dashed, for a second variant of the same role.
    """

    label: str
    role: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()
    dashed: bool = False


@dataclass(frozen=True)
class Reference:
    """A value to compare with: the paper's number or a threshold, as a line across the figure."""

    label: str
    value: float
    axis: Literal["x", "y"]
    kind: Literal["paper", "threshold"]


@dataclass(frozen=True)
class Figure:
    """One set of axes.

    Attributes:
        id: unique in a report; part of file names and links.
        title: short.
        caption: what is to be seen, in a sentence or two; also the text for those who cannot see it.
        x_scale: ``symlog`` is logarithmic with room for 0; ``reversed_log`` runs from large to small, as the
            papers draw the percentage of weights that remain.
    """

    id: str
    title: str
    caption: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    references: Sequence[Reference] = ()
    x_scale: Literal["linear", "symlog", "reversed_log"] = "linear"
    y_scale: Literal["linear", "log"] = "linear"
