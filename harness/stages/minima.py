"""``minima``: how the parabolas of batches differ, direction by direction."""

import statistics
from collections.abc import Sequence
from typing import Any

from harness.errors import HarnessError
from harness.jobs.stage_row import Table
from harness.jobs.store import Artifact
from harness.measure.minima import holm, log_slope, normality
from harness.stages.base import Context, Stage, Work


class MinimaStage(Stage):
    """Params: ``significance`` (of the test of all directions together). Input: ``parabolas``."""

    def run(self, work: Sequence[Work], context: Context) -> list[Artifact | HarnessError]:
        """A row a direction: ``band``, ``rank``, ``eigenvalue``, and what its batches have in common.

        ``curvature`` is the mean of the fitted ones, ``spread`` their standard deviation over its magnitude, ``r2`` the
        median. Where every batch's parabola has a minimum, else None: of its place ``sd`` and ``p`` (Shapiro and
        Wilk's, of normality), and whether that is ``rejected`` (Holm, over all directions). The same in every row:
        ``slope`` of log sd on log curvature over these directions, None where they are fewer than three.
        """
        (item,) = work
        rows = [_direction(part) for part in _directions(item.inputs["parabolas"].table)]
        whole = [row for row in rows if row["p"] is not None]
        for row, rejected in zip(whole, holm([row["p"] for row in whole], item.params["significance"]), strict=True):
            row["rejected"] = rejected
        scattered = [row for row in whole if row["sd"] > 0]
        slope = log_slope([row["curvature"] for row in scattered], [row["sd"] for row in scattered])
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return [Artifact(table={**columns, "slope": [slope] * len(rows)})]


def _directions(table: Table) -> list[dict[str, list[Any]]]:
    """The table cut at every direction's first batch."""
    starts = [row for row, batch in enumerate(table["batch"]) if batch == 0]
    ends = [*starts[1:], len(table["batch"])]
    return [
        {name: values[start:end] for name, values in table.items()} for start, end in zip(starts, ends, strict=True)
    ]


def _direction(part: dict[str, list[Any]]) -> dict[str, Any]:
    mean = statistics.fmean(part["curvature"])
    minima = part["minimum"]
    complete = all(minimum is not None for minimum in minima)
    return {
        "band": part["band"][0],
        "rank": part["rank"][0],
        "eigenvalue": part["eigenvalue"][0],
        "curvature": mean,
        "spread": statistics.stdev(part["curvature"]) / (abs(mean) or 1.0),
        "r2": statistics.median(part["r2"]),
        "sd": statistics.stdev(minima) if complete else None,
        "p": normality(minima) if complete else None,
        "rejected": None,
    }


STAGE = MinimaStage()
