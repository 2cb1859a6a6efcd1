"""What the tables of probed trainings say of the early phase."""

import math
from collections.abc import Iterable, Sequence

from harness.observation import NoValue, Observation
from harness.protocols.common.base import Measured
from harness.protocols.early_phase_telemetry.options import LEAST_OF_A_PHASE, TelemetrySetting

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
    """What each step shows, single weights, and the phases of the course."""
    table = measured.table
    for row, step in enumerate(table["step"]):
        for name in AT_ONCE:
            yield measured.seen(name, table[name][row], iteration=step)
        for number in range(measured.setting.options.weights):
            yield measured.seen("weight", table[f"weight_{number}"][row], iteration=step, weight=number)
    yield from _phases(measured)


def kept(measured: Measured[TelemetrySetting]) -> Iterable[Observation]:
    """How far states are from where the training ended."""
    for row, step in enumerate(measured.table["step"]):
        for name in OF_KEPT:
            yield measured.seen(name, measured.table[name][row], iteration=step)


def evaluated(measured: Measured[TelemetrySetting]) -> Iterable[Observation]:
    """Accuracy and loss on the test set."""
    errors, losses = (measured.table[name] for name in EVALUATED)
    for step, error, loss in zip(measured.table["step"], errors, losses, strict=True):
        yield measured.seen("accuracy", 100 - error, iteration=step, split="test")
        yield measured.seen("loss", loss, iteration=step, split="test")


def _phases(measured: Measured[TelemetrySetting]) -> Iterable[Observation]:
    """The rule of the phases: log travel per iteration, constant in each of K phases, by least squares.

    An iteration at which the rate is 0 (the first of a warm-up) makes no step and is in no phase.
    """
    from harness.measure import piecewise  # brings PyTorch, for which what only plans need not wait

    count, table = measured.setting.options.phases, measured.table
    moving = [row for row, length in enumerate(table["step_length"]) if length > 0]
    steps = [table["step"][row] for row in moving]
    if len(moving) < count * LEAST_OF_A_PHASE:
        yield from _no_phases(measured, f"only {len(moving)} of the measured iterations make a step")
        return
    travel = [math.log(table["step_length"][row]) for row in moving]
    found = piecewise.phases(travel, count, LEAST_OF_A_PHASE)
    for phase, (start, stop) in enumerate(zip(found.starts, [*found.starts[1:], len(moving)], strict=True)):
        gradients = [table["gradient_norm"][row] for row in moving[start:stop]]
        yield measured.seen("phase_start", steps[start], phase=phase)
        yield measured.seen("travel_rate", math.exp(found.levels[phase]), phase=phase)
        yield measured.seen("phase_gradient", _geometric_mean(gradients), phase=phase)
    free = piecewise.freedom(count)
    smooth = piecewise.smooth_residual([math.log1p(step) for step in steps], travel, free) if len(steps) > free else 0.0
    of_none: float | NoValue = NoValue("the smooth curve goes through all points")
    yield measured.seen("phases_over_smooth", found.residual / smooth if smooth > 0 else of_none)


def _no_phases(measured: Measured[TelemetrySetting], why: str) -> Iterable[Observation]:
    for phase in range(measured.setting.options.phases):
        for name in ("phase_start", "travel_rate", "phase_gradient"):
            yield measured.seen(name, NoValue(why), phase=phase)
    yield measured.seen("phases_over_smooth", NoValue(why))


def _geometric_mean(values: Sequence[float]) -> float | NoValue:
    if min(values) <= 0:
        return NoValue("a gradient of the phase is 0")
    return math.exp(sum(map(math.log, values)) / len(values))
