"""Scales, limits and ticks of a figure: ticks stand at measured points, as the papers have them."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from harness.digits import fixed, plain
from harness.figure import Figure
from harness.printable import one_line
from harness.report.text import shorten

_LEAST_GAP = 0.085
"""Between two tick labels, as a share of the axis."""

_SMALLEST, _LARGEST = 9e-5, 1.2e5
"""Beyond these a logarithmic axis has powers of ten, within them numbers."""

_GROUPED = 10_000
"""From here on numbers have separators of thousands, as in the text."""

NAME_LETTERS, _LETTERS_ACROSS = 36, 40
"""Of a name in place of a number, and of all together side by side."""

_BELOW_100 = (0, 20, 40, 50, 60, 70, 80, 85, 90, 92, 94, 95, 96, 97, 98, 98.5, 99, 99.5, 99.8, 99.9)
_LEAST_MISSING = 1e-9
"""Ticks of accuracies, and what 100 itself is taken for where its logarithm is asked."""

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

_LINEAR = 0.55
"""Room from 0 to the first point of a symlog axis, in decades; matplotlib's linscale is 1 - 1/10 of it."""


def finite(values: Sequence[float]) -> list[float]:
    """Values with what is not finite as NaN, which matplotlib leaves out.

    Args:
        values: any numbers.

    Returns:
        As many floats.
    """
    return [float(value) if math.isfinite(value) else math.nan for value in values]


def set_x_scale(axes: Axes, figure: Figure) -> None:
    """Gives axes, and those that share their x, the figure's x scale, with ticks and limits that fit.

    Args:
        axes: with everything drawn.
        figure: what is drawn.
    """
    across = [x for series in figure.series for x in finite(series.x) if not math.isnan(x)]
    across += [
        reference.value for reference in figure.references if reference.axis == "x" and math.isfinite(reference.value)
    ]
    across += [] if figure.surface is None else [float(x) for x in figure.surface.x]
    if figure.x_names:
        axes.set_xlim(-0.5, len(figure.x_names) - 0.5)
        name_ticks(axes.xaxis, range(len(figure.x_names)), figure.x_names, NAME_LETTERS)
    elif figure.x_scale == "symlog":
        _symlog(axes, across)
    elif figure.x_scale == "reversed_log" and any(x > 0 for x in across):
        _reversed_log(axes, [x for x in across if x > 0])
    elif figure.x_scale == "log" and any(x > 0 for x in across):
        axes.set_xscale("log", nonpositive="mask")
        axes.margins(x=0.03)
        _log_ticks(axes.xaxis, *axes.get_xlim())
    else:
        axes.margins(x=0.03)
        if max(across, default=0.0) >= _GROUPED:
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))


def set_y_scale(axes: Axes, figure: Figure, panel: int = 0) -> None:
    """Gives a figure's own axes, or those below, their y scale, with ticks and limits that fit.

    Args:
        axes: with everything drawn.
        figure: what is drawn.
        panel: which of the axes, as in ``Series``.
    """
    values = _values(figure, panel)
    if figure.scale_of(panel) == "log" and any(value > 0 for value in values):
        axes.set_yscale("log", nonpositive="clip")  # an interval that reaches 0 or less has a lower end out of sight
        _log_ticks(axes.yaxis, *axes.get_ylim())
    elif figure.scale_of(panel) == "up_to_100" and any(value < 100 for value in values):
        _up_to_100(axes, values)
    else:
        least = min(values, default=0.0)
        axes.margins(y=0.08)
        low, high = axes.get_ylim()
        if 0 <= least < (high - low) * 0.3:
            axes.set_ylim(bottom=0 if least > (high - low) * 0.02 else -0.02 * high)


def _up_to_100(axes: Axes, values: Sequence[float]) -> None:
    """What ends at 100 is drawn to the edge, which lies beyond the largest value below."""
    missing = [100 - value for value in values if value < 100]
    low, high = 100 - 1.15 * max(missing), 100 - min(missing) / 1.15
    axes.set_yscale("function", functions=(_place_below_100, lambda place: 100 - 10 ** (-place)))
    axes.set_ylim(low, high)
    ends = _place_below_100(np.array([low, high]))
    kept: list[float] = []
    for tick in _BELOW_100:
        if low <= tick <= high and (not kept or _apart((kept[-1], tick), ends) >= _LEAST_GAP):
            kept.append(tick)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(FixedLocator(kept))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))


def _place_below_100(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return -np.log10(np.maximum(100 - np.asarray(values, dtype=np.float64), _LEAST_MISSING))


def _apart(ticks: tuple[float, float], ends: NDArray[np.float64]) -> float:
    """As a share of the axis."""
    below, above = _place_below_100(np.array(ticks))
    return float((above - below) / (ends[1] - ends[0]))


def name_ticks(axis: Axis, places: Sequence[float], names: Sequence[str], letters: int) -> None:
    """Gives an axis ticks with names in place of numbers; aslant where they would touch.

    Args:
        axis: with its scale and limits set.
        places: of the ticks.
        names: as many.
        letters: of a name at most.
    """
    labels = {float(place): shorten(one_line(name), letters) for place, name in zip(places, names, strict=True)}
    axis.set_minor_locator(NullLocator())
    axis.set_major_locator(FixedLocator(list(labels)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: labels.get(float(value), "")))
    if isinstance(axis, XAxis) and sum(map(len, labels.values())) > _LETTERS_ACROSS:
        for text in axis.get_ticklabels():
            text.set(rotation=40, horizontalalignment="right", rotation_mode="anchor")


def _log_ticks(axis: Axis, low: float, high: float) -> None:
    axis.set_major_locator(LogLocator(numticks=7))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    if high / low < 30:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=7))
    elif low < _SMALLEST or high > _LARGEST:
        axis.set_major_formatter(FuncFormatter(lambda value, _: _power(value)))


def _power(value: float) -> str:
    return f"10{str(round(math.log10(value))).translate(_RAISED)}"


def _symlog(axes: Axes, across: Sequence[float]) -> None:
    threshold = min((abs(x) for x in across if x), default=1.0)
    axes.set_xscale("symlog", linthresh=threshold, linscale=_LINEAR * 0.9)

    def place(value: float) -> float:
        size = abs(value) / threshold
        return math.copysign(_LINEAR * size if size <= 1 else _LINEAR + math.log10(size), value)

    def value_at(place: float) -> float:
        size = abs(place)
        return math.copysign(threshold * (size / _LINEAR if size <= _LINEAR else 10 ** (size - _LINEAR)), place)

    if across:
        left, right = place(min(across)), place(max(across))
        room = 0.04 * (right - left) or 0.2
        axes.set_xlim(value_at(left - room), value_at(right + room))
    _ticks(axes, across, place)


def _reversed_log(axes: Axes, across: Sequence[float]) -> None:
    axes.set_xscale("log", nonpositive="mask")
    low, high = min(across), max(across)
    room = (high / low) ** 0.04 if high > low else 1.1
    axes.set_xlim(high * room, low / room)
    _ticks(axes, across, lambda value: -math.log10(value))


def _ticks(axes: Axes, across: Sequence[float], place: Callable[[float], float]) -> None:
    """Ticks at measured points, left to right, without those whose labels would touch; both ends are kept."""
    points = sorted(set(across), key=place)
    axes.xaxis.set_minor_locator(NullLocator())
    if not points:
        return
    width = (place(points[-1]) - place(points[0])) or 1.0
    kept = [points[0]]
    for point in points[1:-1]:
        ends = (place(point) - place(kept[-1]), place(points[-1]) - place(point))
        if min(ends) / width >= _LEAST_GAP:
            kept.append(point)
    if len(points) > 1:
        kept.append(points[-1])
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))


def _short(value: float) -> str:
    if value and abs(value) >= 1000 and float(value / 100).is_integer():
        return f"{plain(value / 1000)}K"
    if abs(value) >= 1:
        return fixed(value, 0 if abs(value) >= 100 else 1, trim=True)
    return plain(value, 3)


def _values(figure: Figure, panel: int) -> list[float]:
    drawn = [series for series in figure.series if series.panel == panel]
    shown = [value for series in drawn for value in (*series.y, *series.low, *series.high)]
    shown += [reference.value for reference in figure.references if reference.axis == "y" and reference.panel == panel]
    shown += [] if figure.surface is None or panel else [float(y) for y in figure.surface.y]
    return [value for value in shown if math.isfinite(value)]
