"""What of a rate's spread is the initialisations' and what the test set's, by resampling its examples. Pure.

A test set stands for all images of its kind. Let each of n initialisations give a rate on its m examples. Two numbers
are told apart beside the standard deviation s between initialisations, which a verdict is judged by:

- between initialisations: what of s an unlimited test set would leave. Where they answer differently they do so on the
  examples at hand, so that s holds the chance of these as well (Jordan, "Calibrated Chaos", ICLR 2024). Resampling
  the examples adds as much again: the mean of the variance over resampled test sets is s^2 + e, and s^2 - e is left.
- of the test set: the standard deviation, over resampled test sets, of the estimate itself with the initialisations as
  they are. What the examples do to all initialisations alike is in no spread between them, as they have one test set;
  what they do to each differently is in s^2 / n as well.

To first order these are the components of a two-way layout of initialisations and examples; for a maximum over a line,
or a median, they are what the bootstrap says (Efron and Tibshirani 1993). Of a mean, sqrt(between^2 / n + test_set^2)
is the standard error for new images and fresh initialisations: it counts each component once, which s^2 / n +
test_set^2 does not. Of a median it is none: those of normal values scatter by a quarter more than their mean.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.judging.statistics import Estimate


@dataclass(frozen=True)
class Spread:
    """Of an estimate of a rate; of natural logarithms for a geometric mean, as its sd.

    Attributes:
        between_initialisations: the sd between initialisations that an unlimited test set would leave; 0 where all of
            it is the test set's; None for one initialisation.
        of_test_set: the sd of the estimate over resampled test sets.
        examples: of the test set.
        resamples: how many test sets were drawn.
    """

    between_initialisations: float | None
    of_test_set: float
    examples: int
    resamples: int


def spread(estimate: Estimate, resampled: Sequence[Estimate], examples: int) -> Spread | None:
    """The two parts of an estimate's spread.

    Args:
        estimate: on the test set itself.
        resampled: the same on test sets that were drawn from it with replacement, two at least.
        examples: of the test set.

    Returns:
        None for a crossing, which is no rate; and where no test set moves anything, as then the estimate rests on none
        whose examples are known, or on one that is answered alike by all: neither says that the test set plays no part.

    Examples:
        Initialisations whose spread doubles (in variance) when examples are drawn have none of their own.

        >>> from harness.judging.spread import spread
        >>> from harness.judging.statistics import Estimate
        >>> on_set = Estimate(10.0, 5, 1.0, None, None)
        >>> drawn = [Estimate(value, 5, 2**0.5, None, None) for value in (9.0, 11.0)]
        >>> told = spread(on_set, drawn, 100)
        >>> round(told.between_initialisations, 6), round(told.of_test_set, 6)
        (0.0, 1.414214)
    """
    moved = any((again.value, again.sd) != (estimate.value, estimate.sd) for again in resampled)
    if estimate.kind == "crossing" or not moved:
        return None
    between = None
    if estimate.sd is not None:
        added = statistics.fmean((again.sd or 0.0) ** 2 for again in resampled) - estimate.sd**2
        between = math.sqrt(max(0.0, estimate.sd**2 - max(0.0, added)))
    values = [_number(again) for again in resampled]
    return Spread(between, statistics.stdev(values), examples, len(resampled))


def _number(estimate: Estimate) -> float:
    assert estimate.value is not None, "an estimate of a rate has a value"
    return math.log(estimate.value) if estimate.kind == "geometric_mean" else estimate.value
