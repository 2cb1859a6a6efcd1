"""Series and references drawn into axes."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patheffects import Normal, Stroke

from harness.digits import plain
from harness.figure import Reference, Series
from harness.printable import one_line
from harness.report.figures.axes import finite
from harness.report.figures.palette import FAINT, INK, Appearance, ordered, paler

_MARKED = 26
"""A line of more points goes without markers; more points alone are smaller."""

_REFERENCES: Mapping[str, Mapping[str, Any]] = {
    "paper": {"color": INK, "linestyle": (0, (7, 2, 1.2, 2)), "linewidth": 1.1, "zorder": 1.5},
    "threshold": {"color": FAINT, "linestyle": (0, (1, 1.8)), "linewidth": 1.2, "zorder": 1.5},
    "event": {"color": FAINT, "linestyle": "-", "linewidth": 0.8, "zorder": 1.5},
}


def draw_series(
    axes: Axes, series: Series, appearance: Appearance, repeat: int, *, over: bool = False, log: bool = False
) -> Artist:
    """Draws a series with its interval.

    Args:
        axes: to draw into.
        series: what to draw.
        appearance: of its role.
        repeat: how many series of this role are there already.
        over: whether it lies over a surface, from which a white border sets it off.
        log: whether y is logarithmic: what is not positive is missing then, and an interval reaches down from there.

    Returns:
        What stands for it in the legend.
    """
    colour = _colour(series, appearance, repeat)
    x, y, low, high = (finite(values) for values in (series.x, series.y, series.low, series.high))
    y = [value if value > 0 else math.nan for value in y] if log else y
    line = axes.plot(x, y, color=colour, **_form(series, appearance, colour))[0]
    if over and series.style == "points":
        line.set(markersize=line.get_markersize() + 1.6, markeredgewidth=0.9)
    elif over:
        line.set_path_effects([Stroke(linewidth=line.get_linewidth() + 1.8, foreground="white"), Normal()])
    if not len(low) == len(x) == len(high) or not x:
        return line
    if len(x) > 2 and series.style != "points":
        step: Literal["post"] | None = "post" if series.style == "steps" else None
        axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0, zorder=2, step=step)
    else:
        ends = [
            [value - end for value, end in zip(y, low, strict=True)],
            [b - v for v, b in zip(y, high, strict=True)],
        ]
        axes.errorbar(x, y, yerr=ends, fmt="none", ecolor=colour, elinewidth=1.2, capsize=3, zorder=2)
    return line


def draw_reference(axes: Axes, reference: Reference, panel: int = 0) -> Artist:
    """Draws a reference across axes.

    Args:
        axes: to draw into.
        reference: what to draw.
        panel: number of the axes in their figure.

    Returns:
        What stands for it in the legend.
    """
    draw = axes.axhline if reference.axis == "y" else axes.axvline
    place = f"{reference.kind}-{reference.axis}-{plain(reference.value)}"
    return draw(reference.value, gid=f"{place}-{panel}" if panel else place, **_REFERENCES[reference.kind])


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


def event_label(events: Sequence[Reference]) -> str:
    """What the legend says of events of one label: "rate drops: 500, 750".

    Args:
        events: at least one.

    Returns:
        One line.
    """
    return f"{one_line(events[0].label)}: {', '.join(plain(event.value) for event in events)}"


def _colour(series: Series, appearance: Appearance, repeat: int) -> str:
    """Of one among many it is always the role's own: the lines are told apart by their shapes, if at all."""
    if series.order is not None:
        return ordered(series.order)
    return paler(appearance.colour, 0 if series.style == "thin" else repeat)


def _form(series: Series, appearance: Appearance, colour: str) -> Mapping[str, Any]:
    """What matplotlib must know of the line and its markers."""
    few = len(series.x) <= _MARKED
    marked = few if series.style == "line" else series.style == "points"
    form: dict[str, Any] = {
        "zorder": {"thin": 2.5, "points": 3.5}.get(series.style, 3),
        "linestyle": (0, (4, 2)) if series.dashed else "-",
        "marker": appearance.marker if marked else "",
        "markerfacecolor": "white" if series.dashed else colour,
        "markeredgecolor": colour if series.dashed else "white",
        "markersize": 3.8 if series.dashed else 4.4,
        "markeredgewidth": 0.9 if series.dashed else 0.5,
    }
    if series.style == "thin":
        form |= {"linewidth": 0.8, "alpha": 0.6}
    elif series.style == "steps":
        form |= {"drawstyle": "steps-post"}
    elif series.style == "points":
        form |= {"linestyle": "none"} | ({"markersize": 5.8} if few else {"markersize": 3.0, "markeredgewidth": 0.3})
    return form


def _is(word: str, value: float) -> bool:
    try:
        return math.isclose(float(word.replace("−", "-").strip(":;,()")), value, rel_tol=1e-4)
    except ValueError:
        return False
