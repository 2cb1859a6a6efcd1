"""What follows from stability and matching by level of pruning (LMC section 4.4, Fig. 8): times, their lag, ranges."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from harness.observation import NoValue, Observation, Quantity, observed
from harness.protocols.common.matching import SHARED_DEVIATION

MATCHING_LAG = Quantity(
    "",
    ("arm", "level", "split", "batch_norm"),
    "steps along the rewinding iterations of the setting from the one from which on a subnetwork is stable to the one "
    "from which on it is matching, initialisation by initialisation; negative where it matches first. At none counts "
    "as one step after the last",
    caution=SHARED_DEVIATION,
)

MATCHING_TO = Quantity(
    "levels",
    ("arm", "split"),
    "sparsest level at which an initialisation's subnetwork is matching from some rewinding iteration on; 0 where at "
    "none. Of a baseline it is among the compared levels. In LMC section 4.4 range I ends with that of random pruning, "
    "range II with that of IMP",
    least=0.0,
    caution=SHARED_DEVIATION,
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
            why = one.why or other.why
            lag = bisect_left(rewinds, other.value) - bisect_left(rewinds, one.value) if why is None else NoValue(why)
            yield observed("matching_lag", one.at, one.initialisation, one.repeat, lag)


def matching_to(matching: Sequence[Observation], end: int) -> Iterable[Observation]:
    """Up to which level subnetworks are matching.

    Args:
        matching: ``matching_from`` of each initialisation, by arm, level and split.
        end: T, which stands for "from none on".
    """
    by_place: dict[_Place, list[Observation]] = {}
    for one in matching:
        by_place.setdefault(_place(one, "arm", "split"), []).append(one)
    for (seed, place), mine in by_place.items():
        why = next((one.why for one in mine if one.why), None)
        levels = [int(one.at["level"]) for one in mine if one.value < end]
        yield observed("matching_to", dict(place), seed, 0, max(levels, default=0) if why is None else NoValue(why))


def _place(observation: Observation, *axes: str) -> _Place:
    at: Mapping[str, str | int] = observation.at
    return observation.initialisation, tuple((axis, at[axis]) for axis in axes)
