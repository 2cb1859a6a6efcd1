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


BEST: Mapping[str, Quantity] = {
    "best_drop": Quantity(
        "points",
        ("arm", "level", "split"),
        "accuracy drop at the best rewinding iteration (LMC appendix B): the one where the mean of the other "
        "initialisations is least, so that no value is chosen by its own luck",
    ),
    "best_instability": Quantity(
        "points",
        ("arm", "level", *pairs.PAIR_QUANTITIES["instability"].axes),
        "instability at the rewinding iteration where that of the other initialisations is least, likewise",
        least=0.0,
    ),
}
"""What is told of the rewinding iteration at which a subnetwork is best."""

OF_ALL_REWINDS = {"accuracy_drop": "best_drop", "instability": "best_instability"}
"""Quantity -> its name at the best rewinding iteration."""


def at_best_rewind(observations: Sequence[Observation], quantity: str) -> list[Observation]:
    """A quantity of each arm and level, of each initialisation at the rewinding iteration that is best for the others.

    The best by their own mean would be too good: the least of several noisy means. A single initialisation has no
    others, and no interval either.

    Args:
        observations: with those of the quantity.
        quantity: one of ``OF_ALL_REWINDS``, which less is better of.
    """
    by_place: dict[_Place, dict[Condition, list[Observation]]] = {}
    axes = BEST[OF_ALL_REWINDS[quantity]].axes
    for observation in observations:
        if observation.quantity == quantity:
            rewinds = by_place.setdefault(tuple(observation.at[axis] for axis in axes), {})
            rewinds.setdefault(observation.at["rewind"], []).append(observation)
    found = []
    for place, rewinds in by_place.items():
        at = dict(zip(axes, place, strict=True))
        seeds = sorted({seen.initialisation for several in rewinds.values() for seen in several})
        for seed in seeds:
            others = {
                rewind: [seen.value for seen in several if seen.initialisation != seed or len(seeds) == 1]
                for rewind, several in rewinds.items()
            }
            best = min(
                (rewind for rewind in others if others[rewind]), key=lambda rewind: statistics.fmean(others[rewind])
            )
            found += [
                Observation(OF_ALL_REWINDS[quantity], at, seed, seen.repeat, seen.value)
                for seen in rewinds[best]
                if seen.initialisation == seed
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
