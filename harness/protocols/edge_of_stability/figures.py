"""Figures of the edge of stability: loss and sharpness through training, and how far the sharpness is from the edge."""

from collections.abc import Sequence

from harness.figure import Figure, Panel, Reference, Series
from harness.observation import Observation
from harness.protocols.common import series
from harness.protocols.common.base import Claims
from harness.protocols.common.heavy_ball import largest_stable
from harness.protocols.common.phases import drops, phases
from harness.protocols.common.setting import TrainingSetting

ARMS = (("with", "with weight decay"), ("without", "without weight decay"))


def figures(setting: TrainingSetting, observations: Sequence[Observation], claims: Claims) -> Sequence[Figure]:
    """Loss and sharpness on one time axis; sharpness over the edge, phase by phase."""
    return [_training(setting, observations), _distance(observations, claims)]


def drop_references(setting: TrainingSetting) -> list[Reference]:
    """The drops of the learning rate as lines across a figure over iterations."""
    return [Reference("learning rate drops", float(place), "x", "event") for place in drops(setting.recipe).values()]


def _training(setting: TrainingSetting, observations: Sequence[Observation]) -> Figure:
    losses = [
        series.curve(observations, "loss", "iteration", {"decay": decay}, label=words, role=f"{decay}_decay")
        for decay, words in ARMS
    ]
    sharp = [
        series.curve(
            observations, "sharpness", "iteration", {"decay": decay}, label=words, role=f"{decay}_decay", panel=1
        )
        for decay, words in ARMS
    ]
    limits = _limits(setting) if any(line.y for line in sharp) else []
    return Figure(
        "training",
        "Loss and largest eigenvalue through training",
        "Training loss (above) and the largest eigenvalue of its Hessian (below); where the learning rate drops is "
        "marked, and so is the largest eigenvalue with which gradient descent is stable at the current rate, with "
        "momentum and without (Ciuca, Puzzling Features of the Training graph).",
        "iteration",
        "training loss (nats)",
        [*losses, *sharp, *limits],
        drop_references(setting),
        below=(Panel("largest eigenvalue", "log"),),
    )


def _limits(setting: TrainingSetting) -> list[Series]:
    """What each phase's rate allows, as steps over the iterations."""
    momentum = getattr(setting.recipe.training.optimiser, "momentum", 0.0)
    limits = []
    for role, label, carried in (
        ("heavy_ball", "stable with momentum below 2(1+β)/η", momentum),
        ("plain", "stable without momentum below 2/η", 0.0),
    ):
        allowed = [largest_stable(phase.rate, carried) for phase in phases(setting.recipe)]
        x = [float(phase.start) for phase in phases(setting.recipe)] + [float(setting.length)]
        limits.append(Series(label, role, x, [*allowed, allowed[-1]], dashed=True, style="steps", panel=1))
    return limits


def _distance(observations: Sequence[Observation], claims: Claims) -> Figure:
    lines = [
        series.curve(
            observations,
            "edge_ratio",
            "phase",
            {"decay": decay, "edge": edge},
            label=f"{words}, over {formula}",
            role=f"{decay}_decay",
            dashed=edge == "plain",
        )
        for decay, words in ARMS
        for edge, formula in (("heavy_ball", "2(1+β)/η"), ("plain", "2/η"))
    ]
    return Figure(
        "edge",
        "Largest eigenvalue over the edge of stability",
        "The largest eigenvalue at the end of each phase of the learning rate, over the greatest that the rate allows; "
        "1 is the edge of stability.",
        "phase (drops of the learning rate so far)",
        "eigenvalue over edge",
        lines,
        (
            Reference("edge of stability", 1.0, "y", "threshold"),
            *series.paper_references(claims, "edge_ratio", "phase", {"decay": "with", "edge": "heavy_ball"}),
        ),
        y_scale="log",
    )
