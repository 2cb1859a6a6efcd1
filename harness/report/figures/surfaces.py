"""Surfaces drawn into axes: contours or cells in steps of colour, with a bar that tells the steps."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from harness.digits import plain
from harness.figure import Surface
from harness.printable import one_line
from harness.report.figures.axes import name_ticks
from harness.report.figures.palette import FAINT, INK, SCALE
from harness.report.text import evenly, shorten

_STEPS = {"contour": 12, "heat": 20}
"""Colours at most: contours must be told apart, cells be near their value."""

_BAR_TICKS, _NAMES = 8, 12
_BAR_LETTERS, _NAME_LETTERS = 40, 14
_WRITTEN = 10
"""A matrix of no more rows and columns has its values in its cells."""

_MISSING = "#e4e4e4"
_DARK = 0.55
"""Share of the colour scale below which text on it is white."""

_WITHIN_DECADE = ((1.0, 1.5, 2.0, 3.0, 5.0, 7.0), (1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))


def draw_surface(canvas: Canvas, axes: Axes, surface: Surface) -> None:
    """Draws a surface below what the axes have already, with the bar of its colours.

    Args:
        canvas: that has the axes.
        axes: with their scales set and everything else drawn.
        surface: what to draw.
    """
    values = np.asarray(surface.z, dtype=np.float64).reshape(len(surface.y), len(surface.x))
    missing = ~np.isfinite(values) | ((values <= 0) if surface.z_scale == "log" else False)
    shown = np.ma.array(values, mask=missing)
    axes.grid(visible=False)
    if missing.any():
        axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, facecolor=_MISSING, zorder=0))
    if missing.all():
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", va="center", color=FAINT, zorder=4)
        return
    edges = [_edges(axes.xaxis, surface.x), _edges(axes.yaxis, surface.y)]
    levels = surface_levels(float(shown.min()), float(shown.max()), surface.z_scale, _STEPS[surface.style])
    colours = ListedColormap(SCALE(np.linspace(0, 1, len(levels) - 1)))
    norm = BoundaryNorm(levels, colours.N)
    if surface.style == "contour" and min(shown.shape) > 1:
        edges = [list(surface.x), list(surface.y)]
        axes.contourf(surface.x, surface.y, shown, levels=levels, cmap=colours, norm=norm, zorder=0.5)
        axes.contour(surface.x, surface.y, shown, levels=levels, colors="white", linewidths=0.4, alpha=0.6, zorder=0.6)
    else:
        _cells(axes, edges, shown, colours, norm)
        if max(shown.shape) <= _WRITTEN:
            _write(axes, surface, shown, norm)
    _bar(canvas, axes, surface.label, levels, ScalarMappable(norm, colours))
    _frame(axes, surface, edges)


def make_room(axes: Axes, surface: Surface) -> None:
    """Tells empty axes where a surface will lie, so that their scales and ticks can be chosen.

    Args:
        axes: to draw into later.
        surface: what will be drawn.
    """
    axes.update_datalim([(float(end(surface.x)), float(end(surface.y))) for end in (min, max)])
    axes.autoscale_view()


def surface_levels(low: float, high: float, scale: str, most: int) -> list[float]:
    """Where the colour of a surface changes: round numbers that enclose its values.

    Args:
        low: least value; positive on ``log``.
        high: greatest value.
        scale: ``linear`` or ``log``.
        most: steps of colour, about.

    Returns:
        At least two numbers, ascending.
    """
    if scale == "log" and high / low >= 10:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        for factors in _WITHIN_DECADE:
            levels = [factor * 10.0**decade for decade in range(first, last + 1) for factor in factors]
            enclosing = _enclosing(levels, low, high)
            if len(enclosing) <= most + 1:
                return enclosing
        stride = math.ceil((last - first) / most)
        return [10.0**decade for decade in range(first, last + stride, stride)]
    ticks = MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return _enclosing([float(tick) for tick in ticks], low, high)


def _enclosing(levels: Sequence[float], low: float, high: float) -> list[float]:
    """The levels from the last that is not above the least value to the first that is not below the greatest."""
    start = max((at for at, level in enumerate(levels) if level <= low), default=0)
    end = min((at for at, level in enumerate(levels) if level >= high and at > start), default=len(levels) - 1)
    return list(levels[start : end + 1])


def _edges(axis: Axis, positions: Sequence[float]) -> list[float]:
    """Of the cells around positions: halfway between them as the axis is drawn."""
    places = axis.get_transform().transform(np.asarray(positions, dtype=np.float64))
    middles = (places[1:] + places[:-1]) / 2
    first = places[0] - (middles[0] - places[0] if len(middles) else 0.5)
    last = places[-1] + (places[-1] - middles[-1] if len(middles) else 0.5)
    edges = axis.get_transform().inverted().transform(np.array([first, *middles, last]))
    return [float(edge) for edge in edges]


def _cells(axes: Axes, edges: Sequence[Sequence[float]], shown: Any, colours: Colormap, norm: BoundaryNorm) -> None:
    """A path for each colour, of its cells joined along rows, which is a tenth of the size of a path for each cell."""
    across, up = edges
    steps = np.ma.filled(norm(shown).astype(np.int64), -1)
    for step in sorted(set(steps.ravel().tolist()) - {-1}):
        corners = [
            (x, y)
            for row, line in enumerate(steps)
            for left, right in _runs(line == step)
            for x, y in (
                (across[left], up[row]), (across[right], up[row]), (across[right], up[row + 1]),
                (across[left], up[row + 1]), (across[left], up[row]),
            )
        ]  # fmt: skip
        codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * (len(corners) // 5)
        # An edge of the same colour closes the hairlines that browsers leave between cells.
        patch = PathPatch(
            Path(corners, codes), facecolor=colours(step), edgecolor=colours(step), linewidth=0.4, zorder=0.5
        )
        axes.add_patch(patch)


def _runs(chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Where runs of chosen cells begin and end."""
    changes = np.flatnonzero(np.diff(np.concatenate([[0], chosen.astype(np.int8), [0]])))
    return [(int(begin), int(end)) for begin, end in changes.reshape(-1, 2)]


def _write(axes: Axes, surface: Surface, shown: Any, norm: BoundaryNorm) -> None:
    for (row, column), value in np.ndenumerate(shown):
        if not shown.mask[row, column]:
            dark = float(norm(value)) < _DARK * (norm.Ncmap - 1)
            place = (float(surface.x[column]), float(surface.y[row]))
            text = plain(float(f"{value:.2g}"))
            axes.text(*place, text, ha="center", va="center", fontsize=6.5, color="white" if dark else INK, zorder=2)


def _bar(canvas: Canvas, axes: Axes, label: str, levels: Sequence[float], colours: ScalarMappable) -> None:
    shown = FuncFormatter(lambda value, _: plain(float(f"{value:.6g}")))
    bar = canvas.colorbar(colours, ax=axes, ticks=_bar_ticks(levels), format=shown, aspect=28, pad=0.02)
    bar.set_label(shorten(one_line(label), _BAR_LETTERS))
    bar.outline.set_visible(False)
    bar.minorticks_off()
    bar.ax.tick_params(length=0)
    bar.ax.grid(visible=False)


def _bar_ticks(levels: Sequence[float]) -> list[float]:
    """The roundest of the levels, as many as there is room for."""
    step = levels[1] - levels[0]
    if math.isclose(step, levels[-1] - levels[-2], rel_tol=1e-6):
        tried = [[level for level in levels if round(level / step) % stride == 0] for stride in (1, 2, 4, 5, 10)]
    else:
        leading = {level: float(f"{level:.1e}".split("e")[0]) for level in levels}
        tried = [[level for level in levels if leading[level] in factors] for factors in _WITHIN_DECADE]
        tried += [list(levels[::2]), list(levels[::4])]
    return next((choice for choice in tried if 1 < len(choice) <= _BAR_TICKS), evenly(levels, _BAR_TICKS))


def _frame(axes: Axes, surface: Surface, edges: Sequence[list[float]]) -> None:
    """Limits that leave no margin round the surface, and names in place of numbers where there are any."""
    lines = [line.get_xydata() for line in axes.get_lines() if line.get_transform() == axes.transData]
    for side, axis, limit in ((0, axes.xaxis, axes.set_xlim), (1, axes.yaxis, axes.set_ylim)):
        places = np.concatenate([edges[side], *(np.asarray(line)[:, side] for line in lines)])
        drawn = places[np.isfinite(axis.get_transform().transform(places))]
        low, high = float(drawn.min()), float(drawn.max())
        limit(*((high, low) if axis.get_inverted() else (low, high)))
    for axis, positions, names in ((axes.xaxis, surface.x, surface.x_names), (axes.yaxis, surface.y, surface.y_names)):
        if names:
            kept = evenly(list(zip(positions, names, strict=True)), _NAMES)
            name_ticks(axis, [place for place, _ in kept], [name for _, name in kept], _NAME_LETTERS)
