"""Columns and numbers of rows that depend on a job's parameters, for the table of stages."""

from collections.abc import Mapping

from harness.jobs.stage_row import AMOUNT, MAYBE_NUMBER, NUMBER, TEXT, Params, named

SPLITS = 2
"""Rows of a table with one for each of test and train."""


def line_rows(params: Params) -> int:
    """A row for each mode, place and split."""
    places = params["alphas"] + (0 if params["ends"] == "included" else 2)
    return int(len(params["batch_norm"]) * places * SPLITS)


def parabola_columns(params: Params) -> Mapping[str, str]:
    """A loss at each point."""
    numbers = ("rank", "eigenvalue", "batch", "curvature", "r2", "reach")
    losses = [f"loss_{point}" for point in range(params["points"])]
    return named(TEXT, "band") | named(NUMBER, *numbers, *losses) | named(MAYBE_NUMBER, "minimum", "lowest")


def parabola_rows(params: Params) -> int:
    """One for each direction and batch."""
    return int(sum(map(len, params["ranks"].values())) * params["batches"])


def overlap_columns(params: Params) -> Mapping[str, str]:
    """A share of its own for each band."""
    numbers = ("bin", "other", "share", "over_null", "shift", "subspace")
    return named(MAYBE_NUMBER, "own_bin") | named(NUMBER, *numbers, *(f"self_{band}" for band in params["bands"]))


def probe_columns(params: Params) -> Mapping[str, str]:
    """A training without probes has no table."""
    probes = params.get("probes")
    if probes is None:
        return {}
    weights = [f"weight_{number}" for number in range(probes.get("weights", {}).get("count", 0))]
    return named(AMOUNT, "step") | named(NUMBER, *probes["measures"], *weights)


def probe_rows(params: Params) -> int:
    """One for each recorded step."""
    return len(params["probes"]["steps"]) if "probes" in params else 0
