"""From which step on the copies of an initialisation are stable: a time of each initialisation, judged as any value.

A crossing that is sought along means has their weakness; a median of these times has the sign test (docs/verdicts.md).
"""

import statistics
from collections.abc import Mapping, Sequence

from harness.digits import no_more
from harness.observation import Condition, NoValue, Observation, Quantity, observed

STABLE_FROM = Quantity(
    "iterations",
    ("split", "batch_norm"),
    "first step at which copies part (a fork, or a rewinding iteration) from which the instability of an "
    "initialisation stays at or below settings.stable_below at all later ones; the length of training where it does so "
    "at none",
    least=0.0,
)
"""The quantity ``stable_from``; further axes of an experiment's instability come in front, but for that of steps."""

_Place = tuple[tuple[str, Condition], ...]
"""Conditions in order, as a key."""


def stable_from(
    observations: Sequence[Observation], axis: str, steps: Sequence[int], *, threshold: float, end: int
) -> list[Observation]:
    """From which step on the instability of each initialisation, its pairs averaged, stays at or below a threshold.

    Args:
        observations: with the instabilities.
        axis: of the steps at which copies part.
        steps: all of them, in order. Where one has no instability, nothing is told.
        threshold: in points.
        end: T, which is told where not even the last one is stable: there the copies are one network.
    """
    return stays_from(observations, "instability", "stable_from", axis, steps, threshold=threshold, end=end)


def stays_from(
    observations: Sequence[Observation],
    quantity: str,
    name: str,
    axis: str,
    steps: Sequence[int],
    *,
    threshold: float,
    end: int,
) -> list[Observation]:
    """From which step on a quantity stays at or below a threshold, initialisation by initialisation.

    Args:
        observations: with those of the quantity; the repeats of an initialisation are averaged.
        quantity: in points.
        name: of the quantity that is made.
        axis: of the steps.
        steps: all of them, in order. Where one has no observation, nothing is told.
        threshold: in points.
        end: what is told where not even the last one is at or below.
    """
    by_step: dict[tuple[int, _Place], dict[Condition, list[Observation]]] = {}
    for observation in observations:
        if observation.quantity == quantity:
            place = tuple(sorted((other, value) for other, value in observation.at.items() if other != axis))
            points = by_step.setdefault((observation.initialisation, place), {})
            points.setdefault(observation.at[axis], []).append(observation)
    return [
        observed(name, dict(place), seed, 0, _first(points, steps, threshold, end))
        for (seed, place), points in by_step.items()
        if points.keys() == set(steps)
    ]


def _first(
    points: Mapping[Condition, Sequence[Observation]], steps: Sequence[int], threshold: float, end: int
) -> float | NoValue:
    """The first step from which the means of some observations stay at or below a threshold."""
    without_value = [one.why for repeats in points.values() for one in repeats if one.why]
    if without_value:
        return NoValue(without_value[0])
    first = end
    for step in reversed(steps):
        if not no_more(statistics.fmean(one.value for one in points[step]), threshold, 100.0):
            break
        first = step
    return first
