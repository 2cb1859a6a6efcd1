"""What of a rate's spread is the initialisations' and what the test set's, by resampling its examples. Pure.

A test set stands for all images of its kind. Let each of n initialisations give a rate on its m examples. Two numbers
are told apart beside the standard deviation s between initialisations, which a verdict is judged by:

- between initialisations: what of s an unlimited test set would leave. Where they answer differently they do so on the
  examples at hand, so that s holds the chance of these as well (Jordan, "Calibrated Chaos", ICLR 2024). Resampling
  the examples adds as much again: the mean of the variance over resampled test sets is s^2 + e, and s^2 - e is left.
  That is an estimate from n initialisations. Its interval is that of the variance of n normal numbers, by the
  chi-square law of n - 1 degrees of freedom, less e, which many examples tell well.
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
        between_low: the lower end of the 95 % interval of what is between initialisations; 0 where that is not told
            apart from 0, None for one initialisation.
        between_high: the upper end; 0 where s is smaller than the test set's part lets expect in 97.5 %.
    """

    between_initialisations: float | None
    of_test_set: float
    examples: int
    resamples: int
    between_low: float | None = None
    between_high: float | None = None


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
    of_test_set = statistics.stdev(_number(again) for again in resampled)
    if estimate.sd is None:
        return Spread(None, of_test_set, examples, len(resampled))
    visible = estimate.sd**2
    added = max(0.0, statistics.fmean((again.sd or 0.0) ** 2 for again in resampled) - visible)
    between, low, high = (
        math.sqrt(max(0.0, whole - added)) for whole in (visible, *_variance_interval(visible, estimate.n))
    )
    return Spread(between, of_test_set, examples, len(resampled), low, high)


def _variance_interval(variance: float, n: int) -> tuple[float, float]:
    """The 95 % interval of the variance of normal numbers, by that of n of them."""
    from scipy.special import chdtri

    low, high = (float((n - 1) * variance / chdtri(n - 1, tail)) for tail in (0.025, 0.975))
    return low, high


def _number(estimate: Estimate) -> float:
    assert estimate.value is not None, "an estimate of a rate has a value"
    return math.log(estimate.value) if estimate.kind == "geometric_mean" else estimate.value
