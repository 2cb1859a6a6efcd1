"""What the tables of probed trainings say of the early phase."""

import math
from collections.abc import Iterable, Sequence

from harness.observation import NoValue, Observation
from harness.protocols.common.base import Measured
from harness.protocols.common.heavy_ball import built_up
from harness.protocols.early_phase_telemetry.options import (
    LEAST_OF_A_PHASE,
    TRAVELS,
    TelemetrySetting,
    momentum_of,
    recipes,
)

AT_ONCE = (
    "gradient_norm",
    "mean_magnitude",
    "signs_changed",
    "step_length",
    "distance_from_start",
    "cosine_with_start",
)
"""Measures of a step, which are quantities of the same names."""

OF_KEPT = ("distance_to_end", "cosine_with_end")
"""Likewise, of states that are kept until the end."""

EVALUATED = ("error_on_test", "loss_on_test")


def course(measured: Measured[TelemetrySetting]) -> Iterable[Observation]:
    """What each step shows, single weights, travel without what momentum builds up, and the phases of both travels."""
    table = measured.table
    free = _momentum_free(measured)
    for row, step in enumerate(table["step"]):
        for name in AT_ONCE:
            yield measured.seen(name, table[name][row], iteration=step)
        for number in range(measured.setting.options.weights):
            yield measured.seen("weight", table[f"weight_{number}"][row], iteration=step, weight=number)
        yield measured.seen("momentum_free_travel", free[row], iteration=step)
    for travel, lengths in zip(TRAVELS, (table["step_length"], free), strict=True):
        yield from _phases(measured, travel, lengths)


def kept(measured: Measured[TelemetrySetting]) -> Iterable[Observation]:
    """How far states are from where the training ended, and what share of the first distance that is."""
    distances = measured.table["distance_to_end"]
    for step, distance in zip(measured.table["step"], distances, strict=True):
        of_none: float | NoValue = NoValue("the training ends where it began")
        yield measured.seen(
            "remaining_distance", distance / distances[0] if distances[0] > 0 else of_none, iteration=step
        )
    for row, step in enumerate(measured.table["step"]):
        for name in OF_KEPT:
            yield measured.seen(name, measured.table[name][row], iteration=step)


def evaluated(measured: Measured[TelemetrySetting]) -> Iterable[Observation]:
    """Accuracy and loss on the test set."""
    errors, losses = (measured.table[name] for name in EVALUATED)
    for step, error, loss in zip(measured.table["step"], errors, losses, strict=True):
        yield measured.seen("accuracy", 100 - error, iteration=step, split="test")
        yield measured.seen("loss", loss, iteration=step, split="test")


def _momentum_free(measured: Measured[TelemetrySetting]) -> list[float]:
    """The length of each step over what momentum builds up by then, from a training's first velocity, 0."""
    momentum = momentum_of(recipes(measured.setting)[str(measured.measurement.at["recipe"])])
    table = measured.table
    return [
        length / built_up(momentum, step + 1) for step, length in zip(table["step"], table["step_length"], strict=True)
    ]


def _phases(measured: Measured[TelemetrySetting], travel: str, lengths: Sequence[float]) -> Iterable[Observation]:
    """The rule of the phases: log travel per iteration, constant in each of K phases, by least squares.

    An iteration at which the rate is 0 (the first of a warm-up) makes no step and is in no phase.
    """
    from harness.measure import piecewise  # brings PyTorch, for which what only plans need not wait

    count, table = measured.setting.options.phases, measured.table
    moving = [row for row, length in enumerate(lengths) if length > 0]
    steps = [table["step"][row] for row in moving]
    if len(moving) < count * LEAST_OF_A_PHASE:
        yield from _no_phases(measured, travel, f"only {len(moving)} of the measured iterations make a step")
        return
    logs = [math.log(lengths[row]) for row in moving]
    found = piecewise.phases(logs, count, LEAST_OF_A_PHASE)
    for phase, (start, stop) in enumerate(zip(found.starts, [*found.starts[1:], len(moving)], strict=True)):
        gradients = [table["gradient_norm"][row] for row in moving[start:stop]]
        yield measured.seen("phase_start", steps[start], travel=travel, phase=phase)
        yield measured.seen("travel_rate", math.exp(found.levels[phase]), travel=travel, phase=phase)
        yield measured.seen("phase_gradient", _geometric_mean(gradients), travel=travel, phase=phase)
    free = piecewise.freedom(count)
    smooth = piecewise.smooth_residual([math.log1p(step) for step in steps], logs, free) if len(steps) > free else 0.0
    of_none: float | NoValue = NoValue("the smooth curve goes through all points")
    yield measured.seen("phases_over_smooth", found.residual / smooth if smooth > 0 else of_none, travel=travel)


def _no_phases(measured: Measured[TelemetrySetting], travel: str, why: str) -> Iterable[Observation]:
    for phase in range(measured.setting.options.phases):
        for name in ("phase_start", "travel_rate", "phase_gradient"):
            yield measured.seen(name, NoValue(why), travel=travel, phase=phase)
    yield measured.seen("phases_over_smooth", NoValue(why), travel=travel)


def _geometric_mean(values: Sequence[float]) -> float | NoValue:
    if min(values) <= 0:
        return NoValue("a gradient of the phase is 0")
    return math.exp(sum(map(math.log, values)) / len(values))
