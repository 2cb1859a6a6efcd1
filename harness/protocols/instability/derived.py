"""What follows from several tables of instability analysis: ways in all, and how distances fall with k."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

from harness.observation import NoValue, Observation, Quantity, observed
from harness.protocols.common import relations

TREND_AXES: Mapping[str, Sequence[str]] = {"distance": ("l2", "cosine"), "against": ("log_k", "k")}
"""Axes of ``distance_trend``, their defaults first."""

FEWEST = 3
"""Steps of which a correlation says more than whether two values rise or fall."""

DISTANCE_TREND = Quantity(
    "",
    tuple(TREND_AXES),
    "correlation of the distance between copies of an initialisation with the logarithm of the step k at which they "
    "part, or with k itself, over the k beyond 0 at which the rate has not dropped yet: -1 is a straight fall (LMC "
    "appendix H)",
    least=-1.0,
    most=1.0,
)


def relative_distances(
    observations: Sequence[Observation], ways: Mapping[int, Sequence[float]]
) -> Iterable[Observation]:
    """Distances between copies over the way that the copies from 0 travel.

    Args:
        observations: with the distances.
        ways: of an initialisation, the lengths of these ways; none where they are not known.
    """
    for observation in observations:
        if observation.quantity == "l2_distance" and (mine := ways[observation.initialisation]):
            yield relations.over(observation, mine, "relative_distance", observation.at, relations.WHOLE_WAY)


def trends(observations: Sequence[Observation], forks: Sequence[int]) -> Iterable[Observation]:
    """How straight distances fall with the logarithm of k, and with k, initialisation by initialisation.

    Args:
        observations: with the distances; the pairs of an initialisation are averaged.
        forks: the k that count. Where one has no distance, or where they are fewer than three, nothing is told.
    """
    scales = {"log_k": [math.log(fork) for fork in forks], "k": [float(fork) for fork in forks]}
    for distance in TREND_AXES["distance"]:
        by_seed: dict[int, dict[int, list[float]]] = {}
        for observation in observations:
            fork = observation.at.get("fork")
            if observation.quantity == f"{distance}_distance" and isinstance(fork, int) and fork in forks:
                by_seed.setdefault(observation.initialisation, {}).setdefault(fork, []).append(observation.value)
        for seed, values in by_seed.items():
            if len(forks) >= FEWEST and values.keys() == set(forks):
                means = [statistics.fmean(values[fork]) for fork in forks]
                for against, steps in scales.items():
                    at = {"distance": distance, "against": against}
                    yield observed("distance_trend", at, seed, 0, _correlation(steps, means))


def _correlation(steps: Sequence[float], values: Sequence[float]) -> float | NoValue:
    if not all(map(math.isfinite, values)):
        return NoValue("a distance between copies has no value")
    if len(set(values)) == 1:
        return NoValue("the distances between copies are all equal")
    return statistics.correlation(steps, values)
