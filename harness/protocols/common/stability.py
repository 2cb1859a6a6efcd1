"""From which step on the copies of an initialisation are stable: a time of each initialisation, judged as any value.

A crossing that is sought along means has their weakness; a median of these times has the sign test (docs/verdicts.md).
"""

import statistics
from collections.abc import Sequence
from dataclasses import replace

from harness.digits import no_more
from harness.observation import Condition, Observation, Quantity

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
    by_step: dict[tuple[int, _Place], dict[Condition, list[Observation]]] = {}
    for observation in observations:
        if observation.quantity == "instability":
            place = tuple(sorted((name, value) for name, value in observation.at.items() if name != axis))
            points = by_step.setdefault((observation.initialisation, place), {})
            points.setdefault(observation.at[axis], []).append(observation)
    stable = []
    for (seed, place), points in by_step.items():
        if points.keys() != set(steps):
            continue
        first = end
        for step in reversed(steps):
            if not no_more(statistics.fmean(pair.value for pair in points[step]), threshold, 100.0):
                break
            first = step
        pair = points[steps[0]][0]
        stable.append(replace(pair, quantity="stable_from", at=dict(place), initialisation=seed, repeat=0, value=first))
    return stable
