"""What lines between copies say at single times of training, and what follows of all times together."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from harness.digits import no_more
from harness.observation import Condition, NoValue, Observation, Quantity, observed
from harness.protocols.common import pairs
from harness.protocols.common.base import Measured

_AT_TIME = ("arm", "fork", "time", "split")
_COURSE = ("arm", "fork", "split", "batch_norm")

QUANTITIES: Mapping[str, Quantity] = {
    "instability": pairs.PAIR_QUANTITIES["instability"].along("arm", "fork", "time"),
    "barrier": Quantity(
        "points",
        (*_AT_TIME, "batch_norm"),
        "highest rise of the error on the line between two copies above the straight course from the one's own error "
        "to the other's: unlike instability it is 0 where copies differ in their errors alone",
        least=0.0,
    ),
    "error": Quantity("%", _AT_TIME, "mean of the errors of two copies at a time"),
    "highest_instability": Quantity(
        "points",
        _COURSE,
        "highest instability after step k, of the times measured; pairs are averaged first",
        least=0.0,
    ),
    "highest_barrier": Quantity(
        "points", _COURSE, "highest barrier after step k, of the times measured; pairs are averaged first", least=0.0
    ),
    "highest_error": Quantity(
        "%", _COURSE, "highest error on the line after step k, of the times measured; pairs are averaged first"
    ),
    "stable_share": Quantity(
        "",
        _COURSE,
        "share of the times measured after step k at which instability, pairs averaged, is at or below "
        "settings.stable_below",
        least=0.0,
        most=1.0,
    ),
    "barrier_fall": Quantity(
        "points",
        _COURSE,
        "highest barrier after step k less that at the end of training; instability falls as training quietens, too, "
        "by what the copies' own errors differ by",
        least=0.0,
    ),
    "barrier_highest_at": Quantity(
        "",
        _COURSE,
        "share of the way from step k to the end at which the barrier is first highest",
        least=0.0,
        most=1.0,
    ),
    "half_at": Quantity(
        "",
        _COURSE,
        "share of the way from step k to the end at which instability first reaches half of its highest",
        least=0.0,
        most=1.0,
    ),
    "follows_error": Quantity(
        "",
        _COURSE,
        "correlation of instability with the mean error of the copies, over the times measured after step k: -1 where "
        "instability rises as error falls",
        least=-1.0,
        most=1.0,
    ),
}


def at_time(measured: Measured) -> Iterable[Observation]:
    """Instability, barrier and the copies' errors at a time, of a table of ``line``."""
    lines, told = pairs.lines_of(measured.table), set()
    for (mode, split), points in lines.items():
        own = pairs.own_errors(measured, lines, split)
        if len(own) < 2:
            continue
        if split not in told:
            told.add(split)
            yield measured.seen("error", statistics.fmean(own), split=split)
        rises = [error - (1 - alpha) * own[0] - alpha * own[1] for alpha, error in points[1:-1]]
        yield measured.seen("barrier", max(0.0, *rises), split=split, batch_norm=mode)
    yield from (one for one in pairs.on_line(measured) if one.quantity == "instability")


_Place = tuple[int, tuple[tuple[str, Condition], ...]]
"""Initialisation and conditions but for the time."""


def throughout(
    observations: Sequence[Observation], times: Mapping[int, Sequence[int]], threshold: float
) -> Iterable[Observation]:
    """What all times together say, initialisation by initialisation, its pairs averaged.

    Args:
        observations: of single times. Where one lacks, nothing is told.
        times: k -> the times at which copies from k are interpolated, in order; the last is the end.
        threshold: of instability, in points.
    """
    barriers, errors = _courses(observations, "barrier"), _courses(observations, "error")
    for (seed, place), course in _courses(observations, "instability").items():
        at = dict(place)
        fork = int(at["fork"])
        of_error = errors[seed, tuple(item for item in place if item[0] != "batch_norm")]
        after = times[fork]
        if course.keys() != set(after):
            continue
        values, error, barrier = ([one[time] for time in after] for one in (course, of_error, barriers[seed, place]))
        stable = statistics.fmean(no_more(value, threshold, 100.0) for value in values)
        way = [(time - fork) / (after[-1] - fork) for time in after]
        yield observed("highest_instability", at, seed, 0, max(values))
        yield observed("highest_barrier", at, seed, 0, max(barrier))
        yield observed("highest_error", at, seed, 0, max(map(sum, zip(values, error, strict=True))))
        yield observed("stable_share", at, seed, 0, stable)
        yield observed("barrier_fall", at, seed, 0, max(barrier) - barrier[-1])
        yield observed("barrier_highest_at", at, seed, 0, _first_at("the barrier", barrier, way, of_highest=1.0))
        yield observed("half_at", at, seed, 0, _first_at("instability", values, way, of_highest=0.5))
        yield observed("follows_error", at, seed, 0, _correlation(values, error))


def _first_at(what: str, values: Sequence[float], way: Sequence[float], *, of_highest: float) -> float | NoValue:
    """The first place on the way at which a course reaches a share of its highest value."""
    highest = max(values)
    if highest <= 0:
        return NoValue(f"{what} never rises")
    return next(share for share, value in zip(way, values, strict=True) if value >= of_highest * highest)


def _courses(observations: Sequence[Observation], quantity: str) -> dict[_Place, dict[int, float]]:
    """Place -> time -> the mean of a quantity over the pairs of an initialisation."""
    found: dict[_Place, dict[int, list[float]]] = {}
    for observation in observations:
        if observation.quantity == quantity:
            rest = tuple(sorted(item for item in observation.at.items() if item[0] != "time"))
            course = found.setdefault((observation.initialisation, rest), {})
            course.setdefault(int(observation.at["time"]), []).append(observation.value)
    return {
        place: {time: statistics.fmean(values) for time, values in course.items()} for place, course in found.items()
    }


def _correlation(values: Sequence[float], errors: Sequence[float]) -> float | NoValue:
    for what, numbers in (("instability", values), ("the error of copies", errors)):
        if len(set(numbers)) == 1:
            return NoValue(f"{what} is the same at all times")
    return statistics.correlation(errors, values)
