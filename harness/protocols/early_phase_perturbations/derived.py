"""What follows from several observations: losses of accuracy, and what they have to do with the distance moved."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from harness.observation import Condition, NoValue, Observation, observed
from harness.protocols.early_phase_perturbations.jobs import NO_NOISE
from harness.protocols.early_phase_perturbations.perturbations import CONTROLS, IDENTITY, NOISE

Arm = tuple[Condition, Condition]
"""Perturbation and n."""

Place = tuple[int, Condition, Condition]
"""Initialisation, k, split."""

REFERENCES: Mapping[str, Sequence[str]] = {
    "accuracy_drop": ("full",),
    "excess_drop": ("control",),
    "drop_beyond_noise": ("control", NOISE),
}
"""Quantity -> perturbations on whose measurements it rests beside its own."""


def drops(observations: Sequence[Observation]) -> list[Observation]:
    """Losses of accuracy: ``accuracy_drop`` against the full network, ``excess_drop`` against the sparse one."""
    found = []
    for (seed, rewind, split), arms in accuracies(observations).items():
        for quantity, reference in (("accuracy_drop", "full"), ("excess_drop", "control")):
            against = arms.get((reference, NO_NOISE))
            for (name, n), accuracy in arms.items():
                if against is not None and name not in ("full", reference):
                    at = {"perturbation": name, "n": n, "rewind": rewind, "split": split}
                    found.append(Observation(quantity, at, seed, 0, against - accuracy))
    return found


def beyond_noise(observations: Sequence[Observation]) -> Iterator[Observation]:
    """Excess drops less those of noise that moves the weights as far, interpolated between the n's.

    The line of noise begins at the control: no distance, no loss. Beyond the largest noise nothing is known.
    """
    moved = distances(observations)
    for (seed, rewind, split), arms in accuracies(observations).items():
        control = arms.get(("control", NO_NOISE))
        if control is None:
            continue
        far = moved.get((seed, rewind), {})
        loss = {arm: control - accuracy for arm, accuracy in arms.items() if arm in far}
        line = sorted([(0.0, 0.0), *((far[arm], loss[arm]) for arm in loss if arm[0] == NOISE)])
        for (name, n), value in loss.items():
            if name != NOISE and len(line) > 1:
                of_noise = interpolated(line, far[name, n])
                at = {"perturbation": name, "n": n, "rewind": rewind, "split": split}
                beyond = of_noise if isinstance(of_noise, NoValue) else value - of_noise
                yield observed("drop_beyond_noise", at, seed, 0, beyond)


def interpolated(line: Sequence[tuple[float, float]], x: float) -> float | NoValue:
    """The height of a line of points at x.

    Args:
        line: points (x, y), by x.
        x: not before the first.

    Examples:
        >>> from harness.protocols.early_phase_perturbations.derived import interpolated
        >>> interpolated([(0.0, 0.0), (2.0, 1.0)], 1.0)
        0.5
    """
    for (left, low), (right, high) in pairwise(line):
        if left <= x <= right and left < right:
            return low + (high - low) * (x - left) / (right - left)
    return NoValue(f"it moves the weights by {x:.4g}, the largest noise by {line[-1][0]:.4g}")


def rank_correlations(observations: Sequence[Observation]) -> Iterator[Observation]:
    """Of accuracy and distance moved, over all perturbations that were trained, of each initialisation at each k."""
    moved = distances(observations)
    for (seed, rewind, split), arms in accuracies(observations).items():
        far = moved.get((seed, rewind), {})
        both = [(far[arm], accuracy) for arm, accuracy in arms.items() if arm in far]
        yield observed("rank_correlation", {"rewind": rewind, "split": split}, seed, 0, rank_correlation(both))


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


def distances(observations: Sequence[Observation]) -> Mapping[tuple[int, Condition], Mapping[Arm, float]]:
    """Initialisation and k -> arm -> distance moved, without what moves nothing."""
    found: dict[tuple[int, Condition], dict[Arm, float]] = {}
    for one in observations:
        if one.quantity == "moved_distance" and one.at["perturbation"] not in (*CONTROLS, IDENTITY):
            found.setdefault((one.initialisation, one.at["rewind"]), {})[one.at["perturbation"], one.at["n"]] = (
                one.value
            )
    return found


def _ranks(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) - 1) / 2 for value in values]
