"""Figures of turning eigenvectors."""

from collections.abc import Sequence

from harness.figure import Figure
from harness.observation import Condition, Observation
from harness.protocols.common import series


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
        series.curve(
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
    top = series.curve(observations, "top_overlap", "start", {}, label="top subspace", role="band_top")
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
    mine = [
        observation
        for observation in observations
        if observation.quantity == "bin_overlap" and observation.at["start"] == start
    ]
    rows, columns = (sorted({int(observation.at[axis]) for observation in mine}) for axis in ("bin", "other"))
    across, up = (
        series.Side(axis, bins, [_end(number, floor, per_decade) for number in bins], bins)
        for axis, bins in (("other", columns), ("bin", rows))
    )
    return Figure(
        f"bins_{start}",
        f"Overlap of eigenvectors by eigenvalue, iterations {start} and {stop}",
        "Mean squared inner product between the eigenvectors of two bins of eigenvalues, one at each checkpoint, over "
        "that of a random rotation (1). Bins are named by their end nearer to zero; later eigenvalues are divided by "
        "the shift of the spectrum.",
        f"eigenvalue at {stop}, over the shift",
        f"eigenvalue at iteration {start}",
        [],
        surface=series.heat_map(
            mine, "bin_overlap", {}, across=across, up=up, label="over a random rotation", z_scale="log"
        ),
    )


def _end(number: int, floor: float, per_decade: int) -> str:
    """A bin by its end nearer to zero, ``-0.032`` or so."""
    if number == 0:
        return "0"
    end = floor * 10 ** ((abs(number) - 1) / per_decade)
    return f"{'-' if number < 0 else ''}{float(f'{end:.2g}'):g}"
