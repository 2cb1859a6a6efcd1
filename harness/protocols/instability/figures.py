"""Figures of instability analysis, in the papers' form."""

from collections.abc import Mapping, Sequence

from harness.figure import Figure, Reference
from harness.observation import Observation
from harness.protocols.common import series
from harness.protocols.common.base import Claims
from harness.protocols.instability.options import Further, InstabilityOptions

_FORK = "k (iterations)"
_WAYS: Mapping[Further, str] = {"remaining": "the remaining iterations", "full": "T iterations, restarted"}


def instability(
    observations: Sequence[Observation], claims: Claims, modes: Sequence[str], stable_below: float
) -> Figure:
    """Instability against k.

    Args:
        observations: all there are.
        claims: for the paper's values.
        modes: of batch normalisation; lines of the first are solid.
        stable_below: percentage points.
    """
    stable = Reference(f"stable below {stable_below:g}", stable_below, "y", "threshold")
    lines = [
        series.curve(
            observations,
            "instability",
            "fork",
            {"split": split, "batch_norm": mode},
            label=f"{split}, {mode} statistics" if len(modes) > 1 else split,
            role=split,
            dashed=mode != modes[0],
        )
        for mode in modes
        for split in ("test", "train")
    ]
    return Figure(
        "instability",
        "Instability against the fork step",
        "Highest error on the line between two copies minus the mean of their own, against the step k at "
        "which they parted (LMC Fig. 3).",
        _FORK,
        "instability (points)",
        lines,
        (stable, *series.paper_references(claims, "instability", "fork", {"split": "test"})),
        "symlog",
    )


def further(observations: Sequence[Observation], options: InstabilityOptions, mode: str) -> Figure:
    """Instability against k of copies that train T further iterations, and of those that train the remaining ones.

    Args:
        observations: all there are.
        options: with the ways to train, and the threshold.
        mode: of batch normalisation.
    """
    return Figure(
        "further",
        "Instability by how long copies train",
        "Instability on the test set against the step k at which copies parted, of copies that train the remaining "
        "iterations and of copies that train T iterations whatever k, the schedule restarted (LMC Fig. 4).",
        _FORK,
        "instability (points)",
        [
            series.curve(
                observations,
                "instability",
                "fork",
                {"further": way, "split": "test", "batch_norm": mode},
                label=_WAYS[way],
                role=f"further_{way}",
                dashed=way == "full",
            )
            for way in options.further
        ],
        (Reference(f"stable below {options.stable_below:g}", options.stable_below, "y", "threshold"),),
        "symlog",
    )


def distances(observations: Sequence[Observation]) -> Figure:
    """How far networks travel before and after step k, and how far apart copies end."""
    return Figure(
        "distances",
        "Distances in weights",
        "How far the network travels before and after step k, and how far apart its copies end (LMC Fig. 11).",
        _FORK,
        "L2 distance",
        [
            series.curve(observations, "travel_before", "fork", {}, label="initialisation to k", role="before"),
            series.curve(observations, "travel_after", "fork", {}, label="k to the end", role="after"),
            series.curve(observations, "l2_distance", "fork", {}, label="copy to copy", role="pair"),
        ],
        (),
        "symlog",
    )


def differences(observations: Sequence[Observation]) -> Figure:
    """How many examples two copies classify differently."""
    return Figure(
        "differences",
        "Examples classified differently",
        "How many examples two copies classify differently (LMC Fig. 28 and 29).",
        _FORK,
        "examples",
        [
            series.curve(observations, "disagreements", "fork", {"split": split}, label=split, role=split)
            for split in ("test", "train")
        ],
        (),
        "symlog",
    )
