"""What follows from several observations of subnetworks: the loss of accuracy at the best rewinding iteration."""

import statistics
from collections.abc import Sequence

from harness.observation import Condition, Observation


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
