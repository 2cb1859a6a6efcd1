"""What follows from several observations: losses of accuracy, and what they have to do with the distance moved."""

import statistics
from collections.abc import Iterator, Mapping, Sequence

from harness.observation import Condition, NoValue, Observation, observed
from harness.protocols.early_phase_perturbations.jobs import NO_NOISE
from harness.protocols.early_phase_perturbations.perturbations import CONTROLS, IDENTITY, NOISE, PERTURBATIONS

UNRANKED = (*CONTROLS, IDENTITY, NOISE)
"""What has no part in the rank correlation."""

GROUPS = tuple(
    {name for name, perturbation in PERTURBATIONS.items() if perturbation.keeps_signs is kept} for kept in (True, False)
)
"""Perturbations that keep signs, and those that do not: a rank correlation is within each."""

Arm = tuple[Condition, Condition]
"""Perturbation and n."""

Place = tuple[int, Condition, Condition]
"""Initialisation, k, split."""

REFERENCES: Mapping[str, str] = {"accuracy_drop": "full", "excess_drop": "control"}
"""Drop -> what it is against."""


def drops(observations: Sequence[Observation]) -> list[Observation]:
    """Losses of accuracy: ``accuracy_drop`` against the full network, ``excess_drop`` against the sparse one."""
    found = []
    for (seed, rewind, split), arms in accuracies(observations).items():
        for quantity, reference in REFERENCES.items():
            against = arms.get((reference, NO_NOISE))
            for (name, n), accuracy in arms.items():
                if against is not None and name not in ("full", reference):
                    at = {"perturbation": name, "n": n, "rewind": rewind, "split": split}
                    found.append(Observation(quantity, at, seed, 0, against - accuracy))
    return found


def rank_correlations(observations: Sequence[Observation]) -> Iterator[Observation]:
    """Of accuracy and distance moved, within the perturbations that keep signs and within the others, their mean.

    Of each initialisation at each k, over what was trained. What keeps signs mostly moves less and loses less, so that
    over both together a correlation would be near -.75 without any order within either. Without noise: its sizes are
    one perturbation, and would count as many.
    """
    moved = distances(observations)
    for (seed, rewind, split), arms in accuracies(observations).items():
        far = moved.get((seed, rewind), {})
        within = [
            rank_correlation(
                [(far[name], accuracy) for (name, _), accuracy in arms.items() if name in far.keys() & group]
            )
            for group in GROUPS
        ]
        yield observed("rank_correlation", {"rewind": rewind, "split": split}, seed, 0, _mean(within))


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float | NoValue:
    """Spearman's correlation: that of ranks, equal values sharing the mean of theirs.

    Examples:
        >>> from harness.protocols.early_phase_perturbations.derived import rank_correlation
        >>> rank_correlation([(1.0, 90.0), (2.0, 80.0), (9.0, 79.0)])
        -1.0
    """
    if len(pairs) < 3:
        return NoValue(f"there are {len(pairs)} perturbations, of which no order is to be told")
    ranks = [_ranks(values) for values in zip(*pairs, strict=True)]
    if any(len(set(values)) == 1 for values in ranks):
        return NoValue("all perturbations have one accuracy, or one distance")
    return max(-1.0, min(1.0, round(statistics.correlation(*ranks), 12)))


def accuracies(observations: Sequence[Observation]) -> Mapping[Place, Mapping[Arm, float]]:
    """Place -> arm -> accuracy."""
    found: dict[Place, dict[Arm, float]] = {}
    for one in observations:
        if one.quantity == "accuracy":
            place = one.initialisation, one.at["rewind"], one.at["split"]
            found.setdefault(place, {})[one.at["perturbation"], one.at["n"]] = one.value
    return found


def distances(observations: Sequence[Observation]) -> Mapping[tuple[int, Condition], Mapping[Condition, float]]:
    """Initialisation and k -> perturbation -> distance moved, without noise and what moves nothing."""
    found: dict[tuple[int, Condition], dict[Condition, float]] = {}
    for one in observations:
        if one.quantity == "moved_distance" and one.at["perturbation"] not in UNRANKED:
            found.setdefault((one.initialisation, one.at["rewind"]), {})[one.at["perturbation"]] = one.value
    return found


def _mean(values: Sequence[float | NoValue]) -> float | NoValue:
    """The mean; the first reason why there is none."""
    for value in values:
        if isinstance(value, NoValue):
            return value
    return statistics.fmean(value for value in values if not isinstance(value, NoValue))


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]
