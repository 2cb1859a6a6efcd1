"""What follows from stability and matching by level of pruning (LMC section 4.4, Fig. 8): times, their lag, ranges."""

import math
import statistics
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from harness.digits import no_more
from harness.observation import NoValue, Observation, Quantity, observed
from harness.protocols.common.matching import SHARED_DEVIATION

MATCHING_LAG = Quantity(
    "",
    ("arm", "level", "split", "batch_norm"),
    "steps along the rewinding iterations of the setting from the one from which on a subnetwork is stable to the one "
    "from which on it is matching, initialisation by initialisation; negative where it matches first. At none counts "
    "as one step after the last, and where both are at none there is no lag",
    caution=f"{SHARED_DEVIATION} Where one of both is at no rewinding iteration, the lag is a bound: it may be more.",
)

MATCHING_TO = Quantity(
    "",
    ("arm", "split"),
    "sparsest of the compared levels at which an initialisation's subnetwork is matching at the rewinding iteration "
    "that is best for the others, within settings.matching_within; 0 where at none. In LMC section 4.4 range I ends "
    "with that of random pruning, range II with that of IMP",
    least=0.0,
    caution=SHARED_DEVIATION,
)

STEPS_UNTIL_STABLE = Quantity(
    "",
    ("arm", "level", "split", "batch_norm"),
    "rewinding iterations of the setting before the one from which on a subnetwork is stable, initialisation by "
    "initialisation: its place in the grid, whose iterations lie unevenly; all of them where it is stable at none",
    least=0.0,
)

FALL_AT_STABILITY = Quantity(
    "points",
    ("arm", "level", "split", "batch_norm"),
    "fall of the error at the end from the last rewinding iteration of the setting that is not stable to the next, "
    "from which on all are, less the mean fall of its other steps: 0 where error has nothing to do with stability "
    "(LMC section 4.4, range III)",
    least=-math.inf,
)

_Place = tuple[int, tuple[tuple[str, str | int], ...]]


def lags(
    stable: Sequence[Observation], matching: Sequence[Observation], rewinds: Sequence[int]
) -> Iterable[Observation]:
    """How many steps after a subnetwork is stable it is matching.

    Args:
        stable: ``stable_from`` of each initialisation, by arm, level, split and mode of batch normalisation.
        matching: ``matching_from``, by arm, level and split.
        rewinds: all rewinding iterations, in order.
    """
    times = {_place(one, "arm", "level", "split"): one for one in matching}
    for one in stable:
        other = times.get(_place(one, "arm", "level", "split"))
        if other is not None:
            yield observed("matching_lag", one.at, one.initialisation, one.repeat, _lag(one, other, rewinds))


def _lag(stable: Observation, matching: Observation, rewinds: Sequence[int]) -> int | NoValue:
    why = stable.why or matching.why
    if why is None and min(stable.value, matching.value) > rewinds[-1]:
        why = "the subnetwork is neither stable nor matching from any rewinding iteration on"
    if why is not None:
        return NoValue(why)
    return bisect_left(rewinds, matching.value) - bisect_left(rewinds, stable.value)


def falls_at_stability(
    stable: Sequence[Observation], observations: Sequence[Observation], rewinds: Sequence[int]
) -> Iterable[Observation]:
    """How much more error falls where subnetworks become stable than elsewhere, and at which step they do.

    Args:
        stable: ``stable_from`` of each initialisation, by arm, level, split and mode of batch normalisation.
        observations: with ``error`` of every copy by arm, level, rewinding iteration and split; copies are averaged.
        rewinds: all rewinding iterations, in order. Where one has no error, no fall is told.
    """
    errors: dict[_Place, dict[int, list[float]]] = {}
    for one in observations:
        if one.quantity == "error" and one.why is None:
            by_rewind = errors.setdefault(_place(one, "arm", "level", "split"), {})
            by_rewind.setdefault(int(one.at["rewind"]), []).append(one.value)
    for one in stable:
        step = NoValue(one.why) if one.why else bisect_left(rewinds, one.value)
        yield observed("steps_until_stable", one.at, one.initialisation, one.repeat, step)
        course = errors.get(_place(one, "arm", "level", "split"), {})
        if course.keys() == set(rewinds):
            means = [statistics.fmean(course[rewind]) for rewind in rewinds]
            fall = step if isinstance(step, NoValue) else _fall(means, step)
            yield observed("fall_at_stability", one.at, one.initialisation, one.repeat, fall)


def _fall(errors: Sequence[float], step: int) -> float | NoValue:
    if step == 0:
        return NoValue("the subnetwork is stable from the first rewinding iteration on, so that none comes before")
    if step == len(errors):
        return NoValue("the subnetwork is stable from no rewinding iteration on")
    falls = [before - after for before, after in pairwise(errors)]
    others = falls[: step - 1] + falls[step:]
    if not others:
        return NoValue("two rewinding iterations have one step: there are no others to hold it against")
    return falls[step - 1] - statistics.fmean(others)


def matching_to(beyond: Sequence[Observation], levels: Sequence[int], within: float) -> Iterable[Observation]:
    """Up to which level subnetworks are matching.

    Args:
        beyond: with ``best_drop_beyond_sd`` of each initialisation, by arm, level and split; trainings are averaged.
        levels: at which that is asked of every arm; the full network, level 0, is not asked. Where one of them has no
            drop, nothing is told.
        within: the margin, in points.
    """
    drops: dict[_Place, dict[int, list[Observation]]] = {}
    for one in beyond:
        if one.quantity == "best_drop_beyond_sd" and one.at["level"] in levels and one.at["level"] != 0:
            drops.setdefault(_place(one, "arm", "split"), {}).setdefault(int(one.at["level"]), []).append(one)
    for (seed, place), by_level in drops.items():
        if by_level.keys() != set(levels) - {0}:
            continue
        why = next((one.why for several in by_level.values() for one in several if one.why), None)
        matching = [
            level
            for level, several in by_level.items()
            if no_more(statistics.fmean(one.value for one in several), within)
        ]
        yield observed("matching_to", dict(place), seed, 0, max(matching, default=0) if why is None else NoValue(why))


def _place(observation: Observation, *axes: str) -> _Place:
    at: Mapping[str, str | int] = observation.at
    return observation.initialisation, tuple((axis, at[axis]) for axis in axes)
