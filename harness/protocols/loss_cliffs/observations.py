"""What the tables around a cliff say."""

import math
from collections.abc import Iterable, Mapping, Sequence

from harness.digits import plain
from harness.jobs.stage_row import Table
from harness.measure.power_law import negative_mass
from harness.observation import Condition, NoValue, Observation, observed, ratio
from harness.protocols.common import curvature
from harness.protocols.common.base import Measured, Read
from harness.protocols.common.phases import drops
from harness.protocols.loss_cliffs import jobs
from harness.protocols.loss_cliffs.jobs import SUBSPACES
from harness.protocols.loss_cliffs.options import CliffSetting, offsets

EDGES = tuple(10 ** (exponent / 2) for exponent in range(-12, 1))
"""Of the bins of |eigenvalue| over the largest eigenvalue: two a decade, what is smaller in the first."""


_MASS = "the sum of the {} eigenvalues {}, as far as they are beyond their error,"


def loss(measured: Measured[CliffSetting]) -> Iterable[Observation]:
    """The loss at a checkpoint."""
    yield measured.seen("loss", measured.table["loss"][0])


def twin_loss(measured: Measured[CliffSetting]) -> Iterable[Observation]:
    """The loss of a twin."""
    yield measured.seen("twin_loss", measured.table["loss"][0])


def descended(measured: Measured[CliffSetting]) -> Iterable[Observation]:
    """The fall of the loss by descent in a subspace."""
    yield measured.seen(
        "descended", _fall(measured.table["before"][0], measured.table["after"][0], _error(measured.setting))
    )


def derived(setting: CliffSetting, observations: Sequence[Observation], read: Read) -> Iterable[Observation]:
    """What follows from several tables of an initialisation."""
    values = {
        (observation.quantity, observation.initialisation, _frozen(observation.at)): observation.value
        for observation in observations
    }
    for seed in setting.replicates.seeds:
        losses = {place: values.get(("loss", seed, _frozen({"iteration": place}))) for place in _ends(setting)}
        yield from _cliffs(setting, seed, losses)
        for observation in observations:
            if (
                observation.initialisation == seed
                and observation.quantity == "twin_loss"
                and observation.at["arm"] == "batch"
            ):
                lower = values.get(("twin_loss", seed, _frozen({**observation.at, "arm": "rate"})))
                at = {axis: condition for axis, condition in observation.at.items() if axis != "arm"}
                if lower is not None:
                    over = ratio(observation.value, lower, error=_error(setting), of="the loss with the lower rate")
                    yield observed("batch_rate_ratio", at, seed, 0, over)
        yield from _gated(setting, seed, read)


def _gated(setting: CliffSetting, seed: int, read: Read) -> Iterable[Observation]:
    """What descent in a subspace left of both parts of the spectrum."""
    before = read(jobs.gated_from(setting, seed))
    for subspace in SUBSPACES:
        after = read(jobs.gated(setting, seed, subspace))
        if before is not None and after is not None:
            (negative, positive), (still_negative, still_positive) = _masses(before), _masses(after)
            left = ratio(still_negative, negative, error=0.0, of=_MASS.format("negative", "before the descent"))
            over = _over_positive(left, still_positive, positive)
            yield observed("negative_after", {"subspace": subspace}, seed, 0, left)
            yield observed("negative_over_positive_after", {"subspace": subspace}, seed, 0, over)


def _masses(table: Table) -> tuple[float, float]:
    """The sums of the magnitudes of the negative and of the positive eigenvalues, as far as beyond their error."""
    values = table["eigenvalue"]
    error = curvature.EIGENVALUE_ERROR * max(map(abs, values))
    return negative_mass(values, error), negative_mass([-value for value in values], error)


def _frozen(at: Mapping[str, Condition]) -> tuple[tuple[str, Condition], ...]:
    return tuple(sorted(at.items()))


def _ends(setting: CliffSetting) -> list[int]:
    width = offsets(setting)[-1]
    return [place + offset for place in drops(setting.recipe).values() for offset in (-width, 0, width)]


def _cliffs(setting: CliffSetting, seed: int, losses: Mapping[int, float | None]) -> Iterable[Observation]:
    width = offsets(setting)[-1]
    for drop, place in drops(setting.recipe).items():
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


def _error(setting: CliffSetting) -> float:
    return curvature.loss_error(setting.options.objective)


def _over_random(measured: Measured[CliffSetting], along: float, across: float) -> Iterable[Observation]:
    """Both curvatures of the plane over that of a random direction, the mean of all eigenvalues before the cliff."""
    setting, seed = measured.setting, measured.measurement.initialisation
    place = drops(setting.recipe)[int(measured.measurement.at["drop"])]
    table = measured.read(jobs.displacement(setting, seed, place))
    if table is None:
        return
    values = table["eigenvalue"]
    mean = sum(values) / len(values)
    error = curvature.EIGENVALUE_ERROR * max(map(abs, values))
    none = NoValue(f"the mean eigenvalue is {plain(mean)}, so that a random direction has no curvature to compare with")
    for name, value in (("along_over_random", along), ("across_over_random", across)):
        yield measured.seen(name, none if mean <= error else value / mean)


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


def displaced(measured: Measured[CliffSetting]) -> Iterable[Observation]:
    """The shares of the displacement over a cliff."""
    from harness.measure import displacement

    table, options = measured.table, measured.setting.options
    values, shares = table["eigenvalue"], table["share"]
    low = displacement.low(values, options.low_below)
    top = [rank < options.top_directions for rank in range(len(values))]
    share, null = displacement.total(shares, low), displacement.of_random(low)
    error = curvature.EIGENVALUE_ERROR * max(map(abs, values))
    without = None
    if values[0] <= error:
        without = NoValue(f"the largest eigenvalue is {plain(values[0])}, so that no share of it is low")
    yield measured.seen("low_share", without or share)
    mine, by_chance = displacement.total(shares, top), displacement.of_random(top)
    yield measured.seen("top_share", mine)
    over_chance = ratio(mine, by_chance, error=0.0, of="the share of the top directions")
    yield measured.seen("top_share_over_null", over_chance)
    yield measured.seen("transverse_low_share", without or displacement.total(table["transverse"], low))
    yield measured.seen("along_weights", table["along_weights"][0])
    over = ratio(share, null, error=0.0, of=f"the share of directions below {options.low_below:g} of the largest")
    yield measured.seen("low_share_over_null", without or over)
    for number, chosen in enumerate([] if without else displacement.binned(values, EDGES)):
        yield measured.seen("binned_share", displacement.total(shares, chosen), bin=number)
        yield measured.seen("binned_null", displacement.of_random(chosen), bin=number)


def in_plane(measured: Measured[CliffSetting]) -> Iterable[Observation]:
    """The valley's curvatures, the losses on its grid, and the path of the checkpoints."""
    from harness.measure import plane

    table, setting = measured.table, measured.setting
    rows = list(zip(table["kind"], table["x"], table["y"], table["loss"], strict=True))
    points = [row for row in rows if row[0] == "grid"]
    side = math.isqrt(len(points))
    along, across = plane.curvatures(*([row[column] for row in points] for column in (1, 2, 3)))
    along, across = along / table["length_along"][0] ** 2, across / table["length_across"][0] ** 2
    rounding = _error(setting) * max(1.0, *(row[3] for row in points))
    error = rounding / table["length_along"][0] ** 2
    over = ratio(across, abs(along), error=error, of="the curvature of the loss along the valley")
    yield measured.seen("across_over_along", over)
    yield from _over_random(measured, along, across)
    both = abs(across) + abs(along)
    error += rounding / table["length_across"][0] ** 2
    yield measured.seen(
        "valley_contrast", ratio(across - abs(along), both, error=error, of="the sum of both curvatures")
    )
    for number, (_, _, _, height) in enumerate(points):
        yield measured.seen("loss_in_plane", height, row=number // side, column=number % side)
    place = drops(setting.recipe)[int(measured.measurement.at["drop"])]
    times = [*(offset for offset in offsets(setting) if offset <= 0), offsets(setting)[-1]]
    for offset, (_, x, y, _) in zip(times, rows[len(points) :], strict=True):
        yield measured.seen("path_along", x, iteration=place + offset)
        yield measured.seen("path_across", y, iteration=place + offset)
