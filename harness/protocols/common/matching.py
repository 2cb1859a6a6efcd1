"""What is said of pruned networks beside full ones: losses of accuracy, and these beyond one standard deviation."""

import math
import statistics
from collections.abc import Mapping, Sequence

from harness.observation import Condition, NoValue, Observation, Quantity, observed
from harness.protocols.common.stability import stays_from

SHARED_DEVIATION = (
    "One standard deviation of the full network, estimated from the same run, is taken off every initialisation: their "
    "values move together, so that the test is not exact here and errs in more than 5 % the more the initialisation "
    "itself decides (docs/verdicts.md)."
)
"""The caution of quantities that are beyond one standard deviation."""


MATCHING_FROM = Quantity(
    "iterations",
    ("level", "split"),
    "first rewinding iteration from which an initialisation's drop beyond one standard deviation stays at or below "
    "settings.matching_within at all later ones; the length of training where it does so at none",
    least=0.0,
    caution=SHARED_DEVIATION,
)
"""The quantity ``matching_from``; further axes of an experiment's subnetworks come in front."""


def matching_from(
    beyond: Sequence[Observation], rewinds: Sequence[int], *, within: float, end: int
) -> list[Observation]:
    """From which rewinding iteration on each initialisation's subnetworks are matching.

    Args:
        beyond: with the drops beyond one standard deviation; trainings of an initialisation are averaged.
        rewinds: all rewinding iterations, in order. Where one has no drop, nothing is told.
        within: the margin, in points.
        end: T, which is told where not even the last one is matching.
    """
    return stays_from(beyond, "drop_beyond_sd", "matching_from", "rewind", rewinds, threshold=within, end=end)


def drops(observations: Sequence[Observation]) -> list[Observation]:
    """Accuracy drops against the mean of all full trainings (level 0) of the same initialisation."""
    full = {
        (split, seed): values
        for split, seeds in full_accuracies(observations).items()
        for seed, values in seeds.items()
    }
    found = []
    for observation in observations:
        reference = full.get((observation.at.get("split", ""), observation.initialisation))
        if observation.quantity == "accuracy" and reference:
            drop = statistics.fmean(reference) - observation.value
            found.append(
                Observation("accuracy_drop", observation.at, observation.initialisation, observation.repeat, drop)
            )
    return found


def beyond_sd(observations: Sequence[Observation], some: Sequence[Observation]) -> list[Observation]:
    """Drops less one standard deviation of the full network's accuracy: ``drop_beyond_sd``, ``best_drop_beyond_sd``.

    Args:
        observations: with the accuracies of the full networks.
        some: drops.
    """
    deviations = {split: deviation(list(seeds.values())) for split, seeds in full_accuracies(observations).items()}
    found = []
    for drop in some:
        sd = deviations[drop.at["split"]]
        value = sd if isinstance(sd, NoValue) else drop.value - sd
        name = drop.quantity.replace("accuracy_drop", "drop") + "_beyond_sd"
        found.append(observed(name, drop.at, drop.initialisation, drop.repeat, value))
    return found


def deviation(runs: Sequence[Sequence[float]]) -> float | NoValue:
    """Standard deviation of a single training, which has its own initialisation and its own order.

    The variance of the initialisations' means holds 1/m of the variance inside one, where it has m trainings; the rest
    is added.

    Args:
        runs: an accuracy a training, by initialisation.

    Examples:
        One training each; and two, the same whatever the initialisation.

        >>> from harness.protocols.common.matching import deviation
        >>> deviation([[90.0], [91.0], [92.0]])
        1.0
        >>> round(deviation([[90.0, 92.0], [90.0, 92.0]]) ** 2, 6)
        1.0
    """
    if len(runs) < 2:
        return NoValue("a single initialisation tells no standard deviation of the full network")
    between = statistics.variance(map(statistics.fmean, runs))
    rest = [statistics.variance(values) * (1 - 1 / len(values)) for values in runs if len(values) > 1]
    return math.sqrt(between + (statistics.fmean(rest) if rest else 0.0))


def full_accuracies(observations: Sequence[Observation]) -> Mapping[Condition, Mapping[int, list[float]]]:
    """Split -> initialisation -> accuracies of the full networks."""
    full: dict[Condition, dict[int, list[float]]] = {}
    for observation in observations:
        if observation.quantity == "accuracy" and observation.at["level"] == 0:
            full.setdefault(observation.at["split"], {}).setdefault(observation.initialisation, []).append(
                observation.value
            )
    return full
