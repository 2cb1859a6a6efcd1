"""What of a rate's spread is the initialisations' and what the test set's, in words."""

import math

from harness.digits import plain
from harness.judging.spread import Spread
from harness.judging.statistics import Estimate
from harness.judging.verdict import Judgement
from harness.report.numbers import with_unit


def spread_words(judgement: Judgement) -> str:
    """What of a rate's spread is the initialisations' and what the test set's, and of which images the verdict speaks.

    Args:
        judgement: the claim with its verdict.

    Returns:
        Two sentences; nothing where the test set was not resampled.
    """
    told, estimate = judgement.spread, judgement.estimate
    if told is None or estimate is None:
        return ""
    unit = "points" if judgement.unit == "%" else judgement.unit
    return (
        f"{_between(told, estimate, unit)}The test set alone, its {told.examples:,} examples drawn anew "
        f"{told.resamples} times, moves the estimate with an sd of {_sd(told.of_test_set, estimate, unit)}: the "
        "verdict is about this test set, and its interval has of that only what initialisations answer differently."
    )


def _between(told: Spread, estimate: Estimate, unit: str) -> str:
    """What an unlimited test set would leave, as sure as so few initialisations tell it."""
    between, low, high = told.between_initialisations, told.between_low, told.between_high
    if between is None or low is None or high is None or estimate.sd is None:
        return ""
    visible, left, highest = (_sd(number, estimate, unit) for number in (estimate.sd, between, high))
    lowest, nothing = (_sd(number, estimate, "") for number in (low, 0.0))
    interval = f" (95 % interval {lowest} to {highest})" if high else ""
    return (
        f"Of the sd of {visible} between initialisations, an unlimited test set would leave {left}{interval}, an "
        f"estimate from {estimate.n} initialisations{'' if low else f', not told apart from {nothing}'}. "
    )


def _sd(number: float, estimate: Estimate, unit: str) -> str:
    if estimate.kind == "geometric_mean":
        return f"a factor of {plain(math.exp(min(number, 700.0)), 3)}"
    return with_unit(float(f"{number:.2g}"), unit)
