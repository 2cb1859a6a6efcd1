"""What the minima of parabolas along eigenvectors say; where losses vary by their rounding alone, nothing."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.jobs.stage_row import Table
from harness.observation import NoValue, Observation
from harness.protocols.common.base import Measured
from harness.protocols.common.curvature import loss_error
from harness.protocols.quadratic_approximation.options import ApproximationSetting

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
