"""Figures of the quadratic approximation, in the slides' form."""

from collections.abc import Sequence

from harness.figure import Figure, Series
from harness.observation import Condition, Observation
from harness.protocols.common import series

_PLACES = 31
"""Points of a drawn parabola."""


def figures(
    observations: Sequence[Observation], checkpoints: Sequence[int], bands: Sequence[Condition]
) -> list[Figure]:
    """All figures of the experiment."""
    lines = [observation for observation in observations if observation.quantity == "batch_loss"]
    first = min((observation.initialisation for observation in lines), default=0)
    mine = [observation for observation in lines if observation.initialisation == first]
    drawn = [
        _parabolas([observation for observation in mine if observation.at["band"] == band], str(band), first)
        for band in bands
    ]
    orders = {checkpoint: number / max(len(checkpoints) - 1, 1) for number, checkpoint in enumerate(checkpoints)}
    return [
        *(figure for figure in drawn if figure.series),
        _sigma(observations, orders),
        _thresholds(observations, orders),
        _through(observations),
    ]


def _parabolas(losses: Sequence[Observation], band: str, seed: int) -> Figure:
    """Losses of batches along one direction, the parabolas through them, and these parabolas' minima."""
    import numpy as np

    from harness.measure.parabola import fit

    by_batch: dict[Condition, list[tuple[float, float]]] = {}
    for loss in losses:
        by_batch.setdefault(loss.at["batch"], []).append((float(loss.at["place"]), loss.value))
    lines, minima = [], []
    for points in by_batch.values():
        x, y = (np.array(side) for side in zip(*sorted(points), strict=True))
        fitted = fit(x[-1:], y[None])
        level, slope, curvature = (float(part[0]) for part in (fitted.level, fitted.slope, fitted.curvature))
        places = np.linspace(x[0], x[-1], _PLACES)
        parabola = level + slope * places + curvature * places**2 / 2
        lines.append(Series("parabola", f"band_{band}", places.tolist(), parabola.tolist(), style="thin"))
        lowest = float(fitted.minimum[0])
        if x[0] <= lowest <= x[-1]:
            minima.append((lowest, level + slope * lowest / 2))
    measured = [point for points in by_batch.values() for point in points]
    for label, role, marks in (("loss of a batch", "loss", measured), ("minimum of a parabola", "minimum", minima)):
        if marks:
            x_of, y_of = zip(*sorted(marks), strict=True)
            lines.append(Series(label, role, x_of, y_of, style="points"))
    return Figure(
        f"parabolas_{band}",
        f"Losses of batches along one of the {band} eigenvectors",
        f"At the end of training of initialisation {seed}: the losses of single batches, the parabola through each, "
        "and its minimum where that lies within the line. Equal parabolas that are only shifted are what the noisy "
        "quadratic supposes.",
        "place along the eigenvector",
        "loss (nats)",
        lines,
    )


def _sigma(observations: Sequence[Observation], orders: dict[int, float]) -> Figure:
    """σ of the minima against the curvature."""
    held = {
        name: {
            (observation.initialisation, observation.at["checkpoint"], observation.at["rank"]): observation.value
            for observation in observations
            if observation.quantity == name
        }
        for name in ("fitted_curvature", "minimum_sd")
    }
    lines = []
    for checkpoint, order in orders.items():
        points = sorted(
            (curvature, held["minimum_sd"][key])
            for key, curvature in held["fitted_curvature"].items()
            if key[1] == checkpoint
        )
        if points:
            x, y = zip(*points, strict=True)
            label = f"iteration {checkpoint}"
            lines.append(Series(label, f"checkpoint{checkpoint}", x, y, style="points", order=order))
    return Figure(
        "sigma",
        "Width of the distribution of minima against curvature",
        "Standard deviation over batches of the place of the minimum along an eigenvector, against the mean curvature "
        "there; all initialisations, only directions in which every batch has a minimum.",
        "curvature",
        "σ of the minima",
        lines,
        (),
        "log",
        "log",
    )


def _thresholds(observations: Sequence[Observation], orders: dict[int, float]) -> Figure:
    """The loss at the quadratic's minimum against the threshold."""
    lines = []
    for checkpoint, order in orders.items():
        at = {"checkpoint": checkpoint}
        mine = [
            observation
            for observation in observations
            if observation.quantity == "threshold_loss" and observation.at["checkpoint"] == checkpoint
        ]
        line = series.curve(
            mine, "threshold_loss", "share", at, label=f"iteration {checkpoint}", role=f"checkpoint{checkpoint}"
        )
        x, y = line.x, line.y
        lines.append(Series(line.label, line.role, x, y, line.low, line.high, order=order))
    return Figure(
        "newton_thresholds",
        "Loss at the minimum of the local quadratic",
        "Newton's step in the eigenvectors whose eigenvalue is at least so large a share of the largest: the loss "
        "where it leads. Beyond some threshold the quadratic no longer holds so far.",
        "threshold over the largest eigenvalue",
        "loss (nats)",
        lines,
        (),
        "log",
        "log",
    )


def _through(observations: Sequence[Observation]) -> Figure:
    """The loss through training, with the lowest that the local quadratic leads to."""
    names = {"loss": "training loss", "newton_loss": "at the local quadratic's minimum"}
    return Figure(
        "newton_through_training",
        "The local quadratic's minimum through training",
        "Training loss, and the lowest loss that a Newton step from there leads to: what the loss falls below that "
        "later is not explained by the quadratic.",
        "iteration",
        "loss (nats)",
        [
            series.curve(observations, name, "checkpoint", {}, label=label, role=name, dashed=name != "loss")
            for name, label in names.items()
        ],
    )
