"""What follows from several observations of subnetworks: the best rewinding iteration, copies beside those of IMP."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from harness.observation import Condition, Observation, Quantity
from harness.protocols.common import pairs, relations

RELATIVE_DISTANCE = Quantity(
    "",
    ("rewind", "level"),
    "L2 distance between copies of the IMP subnetwork over the way that the one rewound to 0 travels in all (LMC "
    "appendix C)",
    least=0.0,
)

OVER_IMP: Mapping[str, Quantity] = {
    f"{name}_over_imp": Quantity(
        "times",
        ("arm", "rewind", "level", *pairs.PAIR_QUANTITIES[name].axes),
        f"{pairs.PAIR_QUANTITIES[name].meaning}, of an arm over the mean of IMP's",
    )
    for name in relations.DISTANCES
}
"""What is told of the copies of a baseline beside those of the subnetwork that it is a baseline of; of IMP, 1."""

_Place = tuple[Condition, ...]


def best_drops(observations: Sequence[Observation]) -> list[Observation]:
    """IMP's drops at each level, of each initialisation at the rewinding iteration that is best for the others.

    The best by their own mean would be too good: the least of several noisy means. A single initialisation has no
    others, and no interval either.
    """
    by_place: dict[tuple[Condition, Condition], dict[Condition, list[Observation]]] = {}
    for observation in observations:
        if observation.quantity == "accuracy_drop" and observation.at["arm"] == "imp":
            place = by_place.setdefault((observation.at["level"], observation.at["split"]), {})
            place.setdefault(observation.at["rewind"], []).append(observation)
    found = []
    for (level, split), rewinds in by_place.items():
        at = {"level": level, "split": split}
        seeds = sorted({drop.initialisation for drops in rewinds.values() for drop in drops})
        for seed in seeds:
            others = {
                rewind: [drop.value for drop in drops if drop.initialisation != seed or len(seeds) == 1]
                for rewind, drops in rewinds.items()
            }
            best = min(
                (rewind for rewind in others if others[rewind]), key=lambda rewind: statistics.fmean(others[rewind])
            )
            found += [
                Observation("best_drop", at, seed, drop.repeat, drop.value)
                for drop in rewinds[best]
                if drop.initialisation == seed
            ]
    return found


def relative_distances(observations: Sequence[Observation]) -> Iterable[Observation]:
    """Distances between copies of IMP's subnetworks over the mean way that those rewound to 0 travel."""
    ways: dict[_Place, list[float]] = {}
    for observation in observations:
        if observation.quantity == "travel_after" and observation.at["rewind"] == 0:
            ways.setdefault((observation.initialisation, observation.at["level"]), []).append(observation.value)
    for observation in observations:
        if observation.quantity == "l2_distance" and observation.at["arm"] == "imp":
            mine = ways.get((observation.initialisation, observation.at["level"]))
            if mine:
                at = {axis: observation.at[axis] for axis in RELATIVE_DISTANCE.axes}
                yield relations.over(observation, mine, "relative_distance", at, relations.WHOLE_WAY)


def over_imp(observations: Sequence[Observation]) -> Iterable[Observation]:
    """What is told of the copies of an arm over the mean of IMP's, initialisation by initialisation."""
    of_imp: dict[tuple[str, _Place], list[float]] = {}
    for observation in observations:
        if observation.quantity in relations.DISTANCES and observation.at["arm"] == "imp":
            of_imp.setdefault((observation.quantity, _beside(observation)), []).append(observation.value)
    for observation in observations:
        if observation.quantity in relations.DISTANCES:
            mine = of_imp.get((observation.quantity, _beside(observation)))
            if mine:
                name = f"{observation.quantity}_over_imp"
                yield relations.over(observation, mine, name, observation.at, "the same of IMP's copies")


def _beside(observation: Observation) -> _Place:
    """What an observation shares with IMP's of the same subnetwork."""
    at = observation.at
    return observation.initialisation, at["rewind"], at["level"], at.get("split", "")
