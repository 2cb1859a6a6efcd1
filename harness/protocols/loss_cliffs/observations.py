"""What the tables around a cliff say."""

import math
from collections.abc import Iterable, Mapping, Sequence

from harness.digits import plain
from harness.jobs.store import Table
from harness.measure import displacement, plane
from harness.measure.power_law import negative_mass
from harness.observation import Condition, NoValue, Observation, observed, ratio
from harness.protocols.common import curvature
from harness.protocols.common.base import Measurement
from harness.protocols.common.phases import drops
from harness.protocols.common.setting import TrainingSetting
from harness.protocols.loss_cliffs.options import CliffOptions, offsets

EDGES = tuple(10 ** (exponent / 2) for exponent in range(-12, 1))
"""Of the bins of |eigenvalue| over the largest eigenvalue: two a decade, what is smaller in the first."""


_MASS = "the sum of the {} eigenvalues {}, as far as they are beyond their error,"


def observe_table(setting: TrainingSetting, one: Measurement, table: Table) -> list[Observation]:
    """The observations of one table; ``before`` and ``gated`` are of use together only (see ``derived``)."""
    if one.kind in ("loss", "twin_loss"):
        return [Observation(one.kind, one.at, one.initialisation, 0, table["loss"][0])]
    if one.kind == "displacement":
        return list(_displaced(setting.options, one, table))
    if one.kind == "plane":
        return list(_in_plane(setting, one, table))
    if one.kind == "descended":
        fall = _fall(table["before"][0], table["after"][0], _error(setting))
        return [observed(one.kind, one.at, one.initialisation, 0, fall)]
    values = table["eigenvalue"]
    error = curvature.EIGENVALUE_ERROR * max(map(abs, values))
    masses = {
        one.kind: negative_mass(values, error),
        f"{one.kind}_positive": negative_mass([-value for value in values], error),
    }
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
            if one.quantity == "gated" and before is not None:
                left = ratio(one.value, before, error=0.0, of=_MASS.format("negative", "before the descent"))
                more.append(observed("negative_after", one.at, seed, 0, left))
                other = value("gated_positive", seed, **one.at)
                if positive is not None and other is not None:
                    over = _over_positive(left, other, positive)
                    more.append(observed("negative_over_positive_after", one.at, seed, 0, over))
            if one.quantity == "twin_loss" and one.at["arm"] == "batch":
                lower = value("twin_loss", seed, **{**one.at, "arm": "rate"})
                at = {axis: condition for axis, condition in one.at.items() if axis != "arm"}
                if lower is not None:
                    over = ratio(one.value, lower, error=_error(setting), of="the loss with the lower rate")
                    more.append(observed("batch_rate_ratio", at, seed, 0, over))
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
        falls = [
            None if start is None or stop is None else _fall(start, stop, _error(setting))
            for start, stop in ((before, here), (here, after))
        ]
        for name, fall in zip(("fall_before", "fall_after"), falls, strict=True):
            if fall is not None:
                yield observed(name, at, seed, 0, fall)
        first, second = falls
        if first is not None and second is not None:
            without = first if isinstance(first, NoValue) else second
            cliff = without if isinstance(first, NoValue) or isinstance(second, NoValue) else second - first
            yield observed("cliff", at, seed, 0, cliff)


def _error(setting: TrainingSetting) -> float:
    options: CliffOptions = setting.options
    return curvature.loss_error(options.objective)


def _fall(before: float, after: float, error: float) -> float | NoValue:
    """In percent."""
    share = ratio(before - after, before, error=error, of="the loss before")
    return share if isinstance(share, NoValue) else 100 * share


def _over_positive(left: float | NoValue, after: float, before: float) -> float | NoValue:
    """What is left of the negative mass over what is left of the positive one."""
    kept = ratio(after, before, error=0.0, of=_MASS.format("positive", "before the descent"))
    if isinstance(left, NoValue) or isinstance(kept, NoValue):
        return left if isinstance(left, NoValue) else kept
    return ratio(left, kept, error=0.0, of=_MASS.format("positive", "after the descent"))


def _displaced(options: CliffOptions, one: Measurement, table: Table) -> Iterable[Observation]:
    values, shares = table["eigenvalue"], table["share"]
    low = displacement.low(values, options.low_below)
    top = [rank < options.top_directions for rank in range(len(values))]
    share, null = displacement.total(shares, low), displacement.of_random(low)
    error = curvature.EIGENVALUE_ERROR * max(map(abs, values))
    without = None
    if values[0] <= error:
        without = NoValue(f"the largest eigenvalue is {plain(values[0])}, so that no share of it is low")

    def seen(quantity: str, value: float | NoValue, **more: Condition) -> Observation:
        return observed(quantity, {**one.at, **more}, one.initialisation, 0, value)

    yield seen("low_share", without or share)
    yield seen("top_share", displacement.total(shares, top))
    yield seen("transverse_low_share", without or displacement.total(table["transverse"], low))
    yield seen("along_weights", table["along_weights"][0])
    over = ratio(share, null, error=0.0, of=f"the share of directions below {options.low_below:g} of the largest")
    yield seen("low_share_over_null", without or over)
    for number, chosen in enumerate([] if without else displacement.binned(values, EDGES)):
        yield seen("binned_share", displacement.total(shares, chosen), bin=number)
        yield seen("binned_null", displacement.of_random(chosen), bin=number)


def _in_plane(setting: TrainingSetting, one: Measurement, table: Table) -> Iterable[Observation]:
    rows = list(zip(table["kind"], table["x"], table["y"], table["loss"], strict=True))
    points = [row for row in rows if row[0] == "grid"]
    side = math.isqrt(len(points))
    along, across = plane.curvatures(*([row[column] for row in points] for column in (1, 2, 3)))
    along, across = along / table["length_along"][0] ** 2, across / table["length_across"][0] ** 2
    rounding = _error(setting) * max(1.0, *(row[3] for row in points))
    error = rounding / table["length_along"][0] ** 2
    over = ratio(across, abs(along), error=error, of="the curvature of the loss along the valley")
    yield observed("across_over_along", one.at, one.initialisation, 0, over)
    both = abs(across) + abs(along)
    error += rounding / table["length_across"][0] ** 2
    contrast = ratio(across - abs(along), both, error=error, of="the sum of both curvatures")
    yield observed("valley_contrast", one.at, one.initialisation, 0, contrast)
    for number, (_, _, _, loss) in enumerate(points):
        at: dict[str, Condition] = {**one.at, "row": number // side, "column": number % side}
        yield Observation("loss_in_plane", at, one.initialisation, 0, loss)
    place = drops(setting)[int(one.at["drop"])]
    times = [*(offset for offset in offsets(setting) if offset <= 0), offsets(setting)[-1]]
    for offset, (_, x, y, _) in zip(times, rows[len(points) :], strict=True):
        at = {**one.at, "iteration": place + offset}
        yield Observation("path_along", at, one.initialisation, 0, x)
        yield Observation("path_across", at, one.initialisation, 0, y)
