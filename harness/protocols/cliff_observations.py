"""What the tables around a cliff say."""

import math
from collections.abc import Iterable, Mapping, Sequence

from harness.measure import displacement, plane
from harness.measure.power_law import negative_mass
from harness.observation import Condition, Observation
from harness.protocols.base import Measurement
from harness.protocols.cliff_options import CliffOptions, offsets
from harness.protocols.phases import drops
from harness.protocols.setting import TrainingSetting
from harness.store import Table

EDGES = tuple(10 ** (exponent / 2) for exponent in range(-12, 1))
"""Of the bins of |eigenvalue| over the largest eigenvalue: two a decade, what is smaller in the first."""


def observe_table(setting: TrainingSetting, one: Measurement, table: Table) -> list[Observation]:
    """The observations of one table; ``before`` and ``gated`` are of use together only (see ``derived``)."""
    if one.kind in ("loss", "twin_loss"):
        return [Observation(one.kind, one.at, one.initialisation, 0, table["loss"][0])]
    if one.kind == "displacement":
        return list(_displaced(setting.options, one, table))
    if one.kind == "plane":
        return list(_in_plane(setting, one, table))
    if one.kind == "descended":
        fall = 100 * (table["before"][0] - table["after"][0]) / table["before"][0]
        return [Observation(one.kind, one.at, one.initialisation, 0, fall)]
    values = table["eigenvalue"]
    masses = {one.kind: negative_mass(values), f"{one.kind}_positive": sum(value for value in values if value > 0)}
    return [Observation(name, one.at, one.initialisation, 0, mass) for name, mass in masses.items()]


def derived(setting: TrainingSetting, found: Sequence[Observation]) -> list[Observation]:
    """What follows from several tables of an initialisation."""
    values = {(one.quantity, one.initialisation, _frozen(one.at)): one.value for one in found}

    def value(quantity: str, seed: int, **at: Condition) -> float | None:
        return values.get((quantity, seed, _frozen(at)))

    more: list[Observation] = []
    for seed in setting.replicates.seeds:
        losses = {place: value("loss", seed, iteration=place) for place in _ends(setting)}
        more += _cliffs(setting, seed, losses)
        before, positive = value("before", seed), value("before_positive", seed)
        for one in found:
            if one.initialisation != seed:
                continue
            if one.quantity == "gated" and before:
                more.append(Observation("negative_after", one.at, seed, 0, one.value / before))
                other = value("gated_positive", seed, **one.at)
                if positive and other:
                    ratio = one.value / before / (other / positive)
                    more.append(Observation("negative_over_positive_after", one.at, seed, 0, ratio))
            if one.quantity == "twin_loss" and one.at["arm"] == "batch":
                lower = value("twin_loss", seed, **{**one.at, "arm": "rate"})
                at = {axis: condition for axis, condition in one.at.items() if axis != "arm"}
                if lower is not None:
                    more.append(Observation("batch_rate_ratio", at, seed, 0, one.value / lower))
    return more


def _frozen(at: Mapping[str, Condition]) -> tuple[tuple[str, Condition], ...]:
    return tuple(sorted(at.items()))


def _ends(setting: TrainingSetting) -> list[int]:
    width = offsets(setting)[-1]
    return [place + offset for place in drops(setting).values() for offset in (-width, 0, width)]


def _cliffs(setting: TrainingSetting, seed: int, losses: Mapping[int, float | None]) -> Iterable[Observation]:
    width = offsets(setting)[-1]
    for drop, place in drops(setting).items():
        before, here, after = (losses[place + offset] for offset in (-width, 0, width))
        at = {"drop": drop}
        falls = [_fall(before, here), _fall(here, after)]
        for name, fall in zip(("fall_before", "fall_after"), falls, strict=True):
            if fall is not None:
                yield Observation(name, at, seed, 0, fall)
        if falls[0] is not None and falls[1] is not None:
            yield Observation("cliff", at, seed, 0, falls[1] - falls[0])


def _fall(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else 100 * (before - after) / before


def _displaced(options: CliffOptions, one: Measurement, table: Table) -> Iterable[Observation]:
    values, shares = table["eigenvalue"], table["share"]
    low = displacement.low(values, options.low_below)
    top = [rank < options.top_directions for rank in range(len(values))]
    share, null = displacement.total(shares, low), displacement.of_random(low)

    def seen(quantity: str, value: float, **more: Condition) -> Observation:
        return Observation(quantity, {**one.at, **more}, one.initialisation, 0, value)

    yield seen("low_share", share)
    yield seen("top_share", displacement.total(shares, top))
    yield seen("transverse_low_share", displacement.total(table["transverse"], low))
    yield seen("along_weights", table["along_weights"][0])
    if null > 0:
        yield seen("low_share_over_null", share / null)
    for number, chosen in enumerate(displacement.binned(values, EDGES)):
        yield seen("binned_share", displacement.total(shares, chosen), bin=number)
        yield seen("binned_null", displacement.of_random(chosen), bin=number)


def _in_plane(setting: TrainingSetting, one: Measurement, table: Table) -> Iterable[Observation]:
    rows = list(zip(table["kind"], table["x"], table["y"], table["loss"], strict=True))
    points = [row for row in rows if row[0] == "grid"]
    side = math.isqrt(len(points))
    along, across = plane.curvatures(*([row[column] for row in points] for column in (1, 2, 3)))
    along, across = along / table["length_along"][0] ** 2, across / table["length_across"][0] ** 2
    if along != 0:
        yield Observation("across_over_along", one.at, one.initialisation, 0, across / abs(along))
        contrast = (across - abs(along)) / (abs(across) + abs(along))
        yield Observation("valley_contrast", one.at, one.initialisation, 0, contrast)
    for number, (_, _, _, loss) in enumerate(points):
        at: dict[str, Condition] = {**one.at, "row": number // side, "column": number % side}
        yield Observation("loss_in_plane", at, one.initialisation, 0, loss)
    place = drops(setting)[int(one.at["drop"])]
    times = [*(offset for offset in offsets(setting) if offset <= 0), offsets(setting)[-1]]
    for offset, (_, x, y, _) in zip(times, rows[len(points) :], strict=True):
        at = {**one.at, "iteration": place + offset}
        yield Observation("path_along", at, one.initialisation, 0, x)
        yield Observation("path_across", at, one.initialisation, 0, y)
