"""Observations to the lines of figures."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.digits import plain
from harness.figure import Figure, Reference, Series, Surface
from harness.judging import statistics
from harness.observation import Condition, Observation
from harness.protocols.common.base import Claims
from harness.schema.claims import Check, FirstWithin, LastWithin


def pick(observations: Sequence[Observation], quantity: str, at: Mapping[str, Condition]) -> dict[int, list[float]]:
    """Initialisation -> values of a quantity under the given conditions; what has no value is left out."""
    values: dict[int, list[float]] = {}
    for observation in observations:
        if observation.why or observation.quantity != quantity:
            continue
        if all(observation.at.get(axis) == value for axis, value in at.items()):
            values.setdefault(observation.initialisation, []).append(observation.value)
    return values


def curve(
    observations: Sequence[Observation],
    quantity: str,
    axis: str,
    at: Mapping[str, Condition],
    *,
    label: str,
    role: str,
    dashed: bool = False,
    places: Mapping[Condition, float] | None = None,
    panel: int = 0,
) -> Series:
    """A quantity's mean and 95 % interval against an axis; no interval goes beyond what the quantity can be.

    A point at which an initialisation has no value is left out: a mean over the others would be of another kind.

    Args:
        observations: all there are.
        quantity: its name.
        axis: runs along x.
        at: the other conditions.
        label: for the legend.
        role: for the look.
        dashed: for the look.
        places: condition on the axis -> x, where that is not the condition itself.
        panel: of the figure.
    """
    mine = [
        observation
        for observation in observations
        if observation.quantity == quantity
        and axis in observation.at
        and all(observation.at.get(name) == value for name, value in at.items())
    ]
    without_value = {observation.at[axis] for observation in mine if observation.why}
    conditions = {observation.at[axis] for observation in mine} - without_value
    least, most = mine[0].limits if mine else (-math.inf, math.inf)
    points = []
    for condition in conditions:
        estimate = statistics.estimate(pick(mine, quantity, {**at, axis: condition}))
        x = float(condition) if places is None else places[condition]
        if estimate.value is not None:
            points.append((x, float(estimate.value), estimate.low, estimate.high))
    points.sort()
    with_interval = all(low is not None and high is not None for _, _, low, high in points)
    return Series(
        label=label,
        role=role,
        x=[x for x, _, _, _ in points],
        y=[y for _, y, _, _ in points],
        low=[max(float(low), least) for _, _, low, _ in points if low is not None] if with_interval else (),
        high=[min(float(high), most) for _, _, _, high in points if high is not None] if with_interval else (),
        dashed=dashed,
        panel=panel,
    )


@dataclass(frozen=True)
class Side:
    """What runs along a side of a map.

    Attributes:
        axis: of the quantity.
        conditions: on the axis, in order.
        names: of the conditions, in place of themselves.
        places: of the conditions, where cells are not to stand one beside the other.
    """

    axis: str
    conditions: Sequence[Condition]
    names: Sequence[str] = ()
    places: Sequence[float] = ()


def heat_map(
    observations: Sequence[Observation],
    quantity: str,
    at: Mapping[str, Condition],
    *,
    across: Side,
    up: Side,
    label: str,
    z_scale: Literal["linear", "log"] = "linear",
) -> Surface | None:
    """A quantity's means over two axes, a cell for each pair of conditions; None where nothing was observed.

    A cell at which an initialisation has no value is missing: a mean over the others would be of another kind.

    Args:
        observations: all there are.
        quantity: its name.
        at: the other conditions.
        across: runs along x.
        up: runs along y.
        label: what is drawn, with its unit.
        z_scale: of the colours.
    """
    cells: dict[tuple[Condition, Condition], list[Observation]] = {}
    for observation in observations:
        if observation.quantity == quantity and at.items() <= observation.at.items():
            cells.setdefault((observation.at[up.axis], observation.at[across.axis]), []).append(observation)
    if not cells:
        return None
    means = [[_mean(cells.get((row, column), ())) for column in across.conditions] for row in up.conditions]
    x, y = (side.places or range(len(side.conditions)) for side in (across, up))
    x_names, y_names = (side.names or [str(condition) for condition in side.conditions] for side in (across, up))
    return Surface(x, y, means, label, "heat", z_scale, x_names, y_names)


def _mean(observations: Sequence[Observation]) -> float:
    """Over initialisations, each of which is averaged first; NaN where there is none, or one has no value."""
    if not observations or any(observation.why for observation in observations):
        return math.nan
    values: dict[int, list[float]] = {}
    for observation in observations:
        values.setdefault(observation.initialisation, []).append(observation.value)
    return math.fsum(statistics.means_of(values).values()) / len(values)


def line_figure(
    observations: Sequence[Observation],
    axis: str,
    conditions: Sequence[Condition],
    mode: str,
    at: Mapping[str, Condition] | None = None,
) -> Figure:
    """Error along the line between copies for several forks or rewinding iterations (LMC Fig. 2 and 18)."""
    lines = [
        curve(
            observations,
            "error_on_line",
            "alpha",
            {**(at or {}), axis: condition, "split": split, "batch_norm": mode},
            label=f"k = {condition}, {split}",
            role=f"{axis}{number}",
            dashed=split == "train",
        )
        for number, condition in enumerate(conditions)
        for split in ("test", "train")
    ]
    return Figure(
        "line",
        "Error along the line",
        "Error on the straight line between two trained copies; flat means linearly connected (LMC Fig. 2 and 18).",
        "position on the line",
        "error (%)",
        lines,
    )


def paper_references(
    claims: Claims,
    quantity: str,
    axis: str,
    at: Mapping[str, Condition],
    name_of: Callable[[Check], str] = lambda check: "",
) -> list[Reference]:
    """The paper's values for a figure of a quantity against an axis.

    Args:
        claims: that hold the values.
        quantity: along y.
        axis: along x; a crossing on it is marked there.
        at: conditions that the whole figure shares; a claim with others is left out.
        name_of: a check -> what it is about, where the figure has several lines.
    """
    marks: dict[tuple[str, float], Reference] = {}
    for claim, check in claims:
        if claim.quantity != quantity or claim.paper_value is None:
            continue
        if any(check.at.get(name, value) != value for name, value in at.items()):
            continue
        searched = check.expect.axis if isinstance(check.expect, FirstWithin | LastWithin) else None
        if searched not in (None, axis):
            continue
        side: Literal["x", "y"] = "x" if searched else "y"
        name = "" if searched else name_of(check)
        label = f"paper{', ' * bool(name)}{name}: {plain(claim.paper_value)}"
        marks[side, claim.paper_value] = Reference(label, claim.paper_value, side, "paper")
    return list(marks.values())
