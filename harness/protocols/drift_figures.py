"""Figures of turning eigenvectors."""

from collections.abc import Sequence

from harness.figure import Figure, Reference
from harness.observation import Condition, Observation
from harness.protocols import series


def drift_figures(
    observations: Sequence[Observation],
    pairs: Sequence[tuple[int, int]],
    bands: Sequence[Condition],
    *,
    floor: float,
    per_decade: int,
) -> list[Figure]:
    """Overlaps between bins of every pair of checkpoints; how much stays, against the earlier of a pair."""
    lines = [
        series.along(
            observations,
            "self_overlap",
            "start",
            {"band": band},
            label=f"{band}, with the eigenvector of equal rank",
            role=f"band_{band}",
            dashed=True,
        )
        for band in bands
    ]
    top = series.along(observations, "top_overlap", "start", {}, label="top subspace", role="band_top")
    through = Figure(
        "overlap_through_training",
        "What stays of the eigenvectors until the next checkpoint",
        "Squared length of the top eigenvectors within the span of the next checkpoint's, and of eigenvectors along "
        "the one of equal rank.",
        "earlier checkpoint (iteration)",
        "squared overlap (%)",
        [top, *lines],
    )
    return [*(_bins(observations, pair, floor, per_decade) for pair in pairs), through]


def _bins(observations: Sequence[Observation], pair: tuple[int, int], floor: float, per_decade: int) -> Figure:
    """Overlap of each bin with the bins of the next checkpoint."""
    start, stop = pair
    mine = [one for one in observations if one.quantity == "bin_overlap" and one.at["start"] == start]
    rows = sorted({int(one.at["bin"]) for one in mine})
    return Figure(
        f"bins_{start}",
        f"Overlap of eigenvectors by eigenvalue, iterations {start} and {stop}",
        "Mean squared inner product between the eigenvectors of two bins of eigenvalues, one at each checkpoint, over "
        "that of a random rotation (1).",
        f"bin at iteration {stop}",
        "over a random rotation",
        [
            series.along(mine, "bin_overlap", "other", {"bin": row}, label=_edges(row, floor, per_decade), role="bin")
            for row in rows
        ],
        (Reference("random rotation: 1", 1.0, "y", "threshold"),),
    )


def _edges(number: int, floor: float, per_decade: int) -> str:
    """A bin by its end nearer to zero: ``-1e-2`` or so."""
    if number == 0:
        return "0"
    return f"{'-' if number < 0 else ''}{floor * 10 ** ((abs(number) - 1) / per_decade):.1g}"
