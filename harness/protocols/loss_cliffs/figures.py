"""Figures of loss cliffs: the falls, the displacement by eigenvalue, the valleys with the path, the twins."""

import math
from collections.abc import Sequence

from harness.figure import Figure, Reference, Series, Surface
from harness.observation import Condition, Observation
from harness.protocols.common import series
from harness.protocols.common.base import Claims
from harness.protocols.common.phases import drops
from harness.protocols.loss_cliffs.observations import EDGES
from harness.protocols.loss_cliffs.options import CliffSetting, offsets


def figures(setting: CliffSetting, observations: Sequence[Observation], claims: Claims) -> Sequence[Figure]:
    """All of them; a valley for each chosen cliff, of the first initialisation."""
    options = setting.options
    return [
        _cliffs(setting, observations),
        _displacement(setting, observations),
        *(_valley(setting, observations, drop) for drop in options.cliffs),
        _twins(setting, observations),
    ]


def _cliffs(setting: CliffSetting, observations: Sequence[Observation]) -> Figure:
    lines = []
    for drop, place in drops(setting.recipe).items():
        places: dict[Condition, float] = {place + offset: float(offset) for offset in offsets(setting)}
        near = [
            observation
            for observation in observations
            if observation.quantity == "loss" and observation.at["iteration"] in places
        ]
        lines.append(
            series.curve(near, "loss", "iteration", {}, label=f"drop {drop}", role=f"drop{drop}", places=places)
        )
    return Figure(
        "cliffs",
        "Loss around each drop of the learning rate",
        "Training loss from W iterations before each drop to W after it (Ciuca, Puzzling Features of the Training "
        "graph).",
        "iterations after the drop",
        "training loss (nats)",
        lines,
        (Reference("learning rate drops", 0.0, "x", "event"),),
    )


def _displacement(setting: CliffSetting, observations: Sequence[Observation]) -> Figure:
    options = setting.options
    lines = []
    for drop in options.cliffs:
        for quantity, label in (("binned_share", "displacement"), ("binned_null", "random displacement")):
            places: dict[Condition, float] = dict(enumerate(EDGES[:-1]))
            line = series.curve(
                observations,
                quantity,
                "bin",
                {"drop": drop},
                label=f"{label}, drop {drop}",
                role=f"drop{drop}",
                dashed=quantity == "binned_null",
                places=places,
            )
            lines.append(_as_steps(line))
    return Figure(
        "displacement",
        "Displacement over a cliff by eigenvalue",
        "Share of the squared displacement over a cliff in the eigenvectors of the Hessian just before it, in bins of "
        "|eigenvalue| over the largest; dashed, that of a displacement in a random direction (Ciuca, Zooming in on the "
        "cliff drops).",
        "|eigenvalue| over the largest",
        "share (%)",
        lines,
        (Reference("low below", options.low_below, "x", "threshold"),),
        x_scale="log",
    )


def _as_steps(line: Series) -> Series:
    """The line of bins, the last value held to its right edge."""
    if not line.x:
        return line
    x, y, low, high = ([*values, *values[-1:]] for values in (line.x, line.y, line.low, line.high))
    x[-1] = EDGES[-1]
    return Series(line.label, line.role, x, y, low, high, dashed=line.dashed, style="steps")


def _valley(setting: CliffSetting, observations: Sequence[Observation], drop: int) -> Figure:
    from harness.measure.plane import sides

    options = setting.options
    seed = setting.replicates.first_seed
    mine = [
        observation
        for observation in observations
        if observation.initialisation == seed and observation.at.get("drop") == drop
    ]
    cells = {
        (int(observation.at["row"]), int(observation.at["column"])): observation.value
        for observation in mine
        if observation.quantity == "loss_in_plane"
    }
    x, y = sides(options.plane.points, options.plane.margin)
    z = [[cells.get((row, column), math.nan) for column in range(len(x))] for row in range(len(y))]
    along, across = (
        {int(observation.at["iteration"]): observation.value for observation in mine if observation.quantity == name}
        for name in ("path_along", "path_across")
    )
    path = sorted((along[time], across[time], time) for time in along)
    place = drops(setting.recipe)[drop]
    before = [point for point in path if point[2] <= place]
    after = [point for point in path if point[2] > place]
    groups = (("before the drop", "before", before), ("after the cliff", "after", after))
    return Figure(
        f"valley{drop}",
        f"The valley at drop {drop}",
        f"Loss in the plane through the mean of the checkpoints before drop {drop} (at 0, 0), the last of them (height "
        "1) and the one after the cliff (at 1, 0), of one initialisation; points are the checkpoints, projected "
        "(Ciuca, Zooming in on the cliff drops).",
        "along the valley (after the cliff: 1)",
        "across it (last before the drop: 1)",
        [
            Series(label, role, [point[0] for point in points], [point[1] for point in points], style="points")
            for label, role, points in groups
        ],
        surface=Surface(x, y, z, "training loss (nats)") if cells else None,
    )


def _twins(setting: CliffSetting, observations: Sequence[Observation]) -> Figure:
    options = setting.options
    words = {"batch": f"batch x{options.twins.factor}", "rate": f"rate ÷{options.twins.factor}"}
    lines = [
        series.curve(
            observations,
            "twin_loss",
            "after",
            {"drop": drop, "arm": arm},
            label=f"drop {drop}, {words[arm]}",
            role=f"drop{drop}",
            dashed=arm == "rate",
        )
        for drop in options.cliffs
        for arm in words
    ]
    return Figure(
        "twins",
        "Larger batch against lower rate",
        "Training loss of twins that go on from just before a drop, the optimiser's state carried: one with a larger "
        "batch at the old rate, one with a lower rate and the old batch.",
        "iterations after the twins part",
        "training loss (nats)",
        lines,
    )
