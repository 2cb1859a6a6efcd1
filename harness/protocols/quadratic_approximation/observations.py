"""What the minima of parabolas along eigenvectors say; where losses vary by their rounding alone, nothing."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.jobs.stage_row import Table
from harness.observation import NoValue, Observation
from harness.protocols.common.base import Measured
from harness.protocols.common.curvature import loss_error
from harness.protocols.quadratic_approximation.options import ApproximationSetting

_FEWEST = 3
"""Minima that a normal quantile plot needs."""
_AROUND = 8.0
"""Rounding of a second difference over half a line's length r: that of 4 losses, over r² / 2."""


def of_minima(measured: Measured[ApproximationSetting]) -> Iterable[Observation]:
    """The observations of a table of ``minima``, beside the table of ``parabolas`` that it is made of."""
    table, lines, error = measured.table, measured.of_input("parabolas"), loss_error(measured.setting.options.objective)
    rows = [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
    reach = {} if lines is None else _reach(lines)
    flat = set() if lines is None else _flat(lines, error)
    for band in dict.fromkeys(table["band"]):
        mine = [row for row in rows if row["band"] == band]
        for name, value in _of_band(mine, reach, flat, error).items():
            yield measured.seen(name, value, band=band)
    slope = table["slope"][0]
    no_line = NoValue("fewer than three directions have minima that scatter, or their curvatures are equal")
    slope = no_line if slope is None else _unless(_still(rows, reach, error), slope, _STILL)
    yield measured.seen("sigma_slope", slope)
    for row in rows:
        if row["sd"]:
            yield measured.seen("minimum_sd", row["sd"], rank=row["rank"])
            yield measured.seen("fitted_curvature", row["curvature"], rank=row["rank"])


def of_lines(measured: Measured[ApproximationSetting]) -> Iterable[Observation]:
    """How much parabolas explain beyond straight lines, and how normal the minima are, of a table of ``parabolas``."""
    table, error = measured.table, loss_error(measured.setting.options.objective)
    rows: dict[str, dict[int, list[int]]] = {}
    for row, (band, rank) in enumerate(zip(table["band"], table["rank"], strict=True)):
        rows.setdefault(band, {}).setdefault(rank, []).append(row)
    for band, ranks in rows.items():
        yield measured.seen("parabola_over_line", _over_line(table, ranks, error), band=band)
        yield measured.seen("normal_plot_r2", _normal_plot(table, ranks, error), band=band)


def _over_line(table: Table, ranks: Mapping[int, Sequence[int]], error: float) -> float | NoValue:
    """The median over directions of the median over batches."""
    import numpy as np

    from harness.measure.beyond_line import beyond_line

    losses = np.array([table[f"loss_{point}"] for point in range(_points(table))]).T
    medians, straight = [], []
    for rank, rows in ranks.items():
        mine = losses[rows]
        made = beyond_line(mine)
        rounding = error * np.maximum(1.0, np.abs(mine).max(axis=-1))
        if np.median(made.left / rounding) <= 1:
            straight.append(rank)
        medians.append(float(np.median(made.explained)))
    return _unless(straight, statistics.median(medians), "the losses of a batch leave a straight line by rounding only")


def _normal_plot(table: Table, ranks: Mapping[int, Sequence[int]], error: float) -> float | NoValue:
    """The median over the directions along which every batch has a minimum, and these scatter beyond their rounding."""
    from harness.measure.normal_plot import straightness

    found, still = [], []
    for rank, rows in ranks.items():
        minima, curvatures = ([table[name][row] for row in rows] for name in ("minimum", "curvature"))
        if len(rows) < _FEWEST or any(minimum is None for minimum in minima) or len(set(minima)) == 1:
            continue
        spread = statistics.stdev(minima) * abs(statistics.fmean(curvatures)) * table["reach"][rows[0]]
        if spread <= _AROUND * error:
            still.append(rank)
        found.append(straightness(minima))
    if not found:
        return NoValue("along no direction has every batch's parabola a minimum, with any scatter, so none is tested")
    return _unless(still, statistics.median(found), _STILL)


def _points(table: Table) -> int:
    return sum(name.startswith("loss_") for name in table)


def _of_band(
    rows: Sequence[Mapping[str, Any]], reach: Mapping[int, float], flat: set[int], error: float
) -> Mapping[str, float | NoValue]:
    straight = [
        row["rank"]
        for row in rows
        if row["rank"] in reach and abs(row["curvature"]) <= _AROUND * error / reach[row["rank"]] ** 2
    ]
    no_variance = [row["rank"] for row in rows if row["rank"] in flat]
    whole = [row for row in rows if row["rejected"] is not None]
    tested = [row["rejected"] for row in whole if row["sd"]]
    return {
        "fit_r2": _unless(
            no_variance, statistics.median(row["r2"] for row in rows), "the losses of a batch vary by their rounding"
        ),
        "curvature_spread": _unless(
            straight, statistics.median(row["spread"] for row in rows), "the mean fitted curvature is all rounding"
        ),
        "with_minimum": _unless(straight, 100 * len(whole) / len(rows), "the mean fitted curvature is all rounding"),
        "rejected_share": _unless(_still(whole, reach, error), 100 * sum(tested) / len(tested), _STILL)
        if tested
        else NoValue("along no direction has every batch's parabola a minimum, with any scatter, so none is tested"),
    }


_STILL = "the minima of batches lie no further apart than rounding puts them"


def _still(rows: Sequence[Mapping[str, Any]], reach: Mapping[int, float], error: float) -> list[int]:
    """The ranks along which the minima scatter by no more than their rounding: that of a slope, over the curvature."""
    return [
        row["rank"]
        for row in rows
        if row["sd"]
        and row["rank"] in reach
        and row["sd"] * abs(row["curvature"]) * reach[row["rank"]] <= _AROUND * error
    ]


def _unless(ranks: Sequence[int], value: float, why: str) -> float | NoValue:
    return NoValue(f"along the eigenvectors of ranks {', '.join(map(str, ranks))} {why}") if ranks else value


def _reach(lines: Table) -> Mapping[int, float]:
    """Rank -> half the length of its line."""
    return dict(zip(lines["rank"], lines["reach"], strict=True))


def _flat(lines: Table, error: float) -> set[int]:
    """The ranks along which the losses of half the batches or more vary by no more than their rounding."""
    points = [lines[name] for name in lines if name.startswith("loss_")]
    ranges: dict[int, list[float]] = {}
    for rank, *losses in zip(lines["rank"], *points, strict=True):
        ranges.setdefault(rank, []).append((max(losses) - min(losses)) / max(1.0, max(map(abs, losses))))
    return {rank for rank, some in ranges.items() if statistics.median(some) <= error}
