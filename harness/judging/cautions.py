"""What weakens a judgement: few or equal values, a long tail, one that stands apart, a small test set. Pure."""

import math
from collections.abc import Mapping, Sequence

from harness.digits import plain
from harness.judging import statistics
from harness.judging.estimands import Located, logarithms
from harness.observation import Quantity

ONE = ("One initialisation gives no interval.",)
"""Warnings of a sample of one."""


def cautions(located: Located) -> tuple[str, ...]:
    """What the number of initialisations, or their agreement, leaves open."""
    if located.n == 1:
        return ONE
    if located.sd == 0 and located.resolution == 0:
        return (
            f"All {located.n} initialisations agree exactly: the interval has no width, which can be the "
            "resolution of the measurement rather than certainty.",
        )
    return ()


def doubts_of_spread(
    located: Located, limits: tuple[float, float], width: float, quantity: Quantity
) -> tuple[str, ...]:
    """What the spread between initialisations makes doubtful.

    Args:
        located: an estimand of at least two initialisations.
        limits: the least and the most that a value can be.
        width: of the region of values with which the claim is true.
        quantity: of the values.
    """
    warnings, sd = [], located.sd or 0.0
    if located.estimand == "mean":
        if width < 4 * sd:
            warnings.append(f"The margin {plain(width / 2, 5)} is under 2 sd ({plain(2 * sd, 3)}): hard to show.")
        if min(located.mean - limits[0], limits[1] - located.mean) < sd:
            warnings.append(
                f"The sd {plain(sd, 3)} exceeds what lies between the mean {plain(located.mean, 5)} and the end of the "
                "range: a law with a long tail, whose mean no interval from so few initialisations bounds; a median "
                "can be judged."
            )
    warnings += _outlier(located, quantity)
    return tuple(warnings)


def _outlier(located: Located, quantity: Quantity) -> list[str]:
    sample, scale, least = located.values, located.scale, max(located.resolution, quantity.scale / 1000)
    if located.estimand == "geometric_mean":
        sample, scale, least = logarithms(sample), 1.0, math.log1p(least / located.value)
    seed = statistics.outlier(sample, scale, least)
    if seed is None:
        return []
    apart = {other: repeats for other, repeats in located.values.items() if other != seed}
    others = statistics.estimate(apart, quantity.scale)
    assert others.value is not None, "an estimate of a mean has a value"
    return [
        f"Initialisation {seed} stands apart: {plain(located.means[seed], 5)} where the others have "
        f"{plain(others.value, 5)}{' ' * bool(quantity.unit)}{quantity.unit} (sd {plain(others.sd or 0.0, 3)}). Among "
        f"normal numbers that happens in {100 * statistics.OUTLIER_RATE:g} % of samples: see whether it is sound."
    ]


def censoring(samples: Sequence[Mapping[int, Mapping[int, float]]], ends: Sequence[float | None]) -> tuple[str, ...]:
    """What values say that stand for an answer beyond all that was searched.

    Args:
        samples: initialisation -> replicate -> value.
        ends: of each sample, the value that stands for it; None where none does.

    Examples:
        >>> from harness.judging.cautions import censoring
        >>> censoring([{0: {0: 44.0}, 1: {0: 110.0}}], [800.0])
        ()
    """
    searched = [
        (value == end, end)
        for sample, end in zip(samples, ends, strict=True)
        if end is not None
        for repeats in sample.values()
        for value in repeats.values()
    ]
    beyond = [end for is_end, end in searched if is_end]
    if not beyond:
        return ()
    stand = " and ".join(plain(end) for end in dict.fromkeys(beyond))
    return (
        f"{len(beyond)} of {len(searched)} values are censored: {stand} stands for an answer at the end of what was "
        "searched or beyond it. A median is not moved by how far beyond; a mean or a difference of such values is.",
    )


def test_set_words(value: float, quantity: Quantity, examples: int | None) -> str:
    """The sampling error of a rate on a test set, which a spread between initialisations has in part at most.

    Args:
        value: of the quantity.
        quantity: of the value.
        examples: in the test set; None where the quantity is neither a rate nor a count over it.

    Returns:
        A sentence with a space in front, or nothing.
    """
    step = quantity.resolution(examples)
    if not step or examples is None or quantity.unit != "%":
        return ""  # of a difference of rates, which is told in points, the rates themselves are not known here
    share = min(max(abs(value), step) / step / examples, 1.0)
    error = 100 * math.sqrt(share * (1 - share) / examples)
    return (
        f" A single rate of {plain(100 * share, 3)} % on {examples:,} test examples has a binomial standard error of "
        f"{plain(error, 2)} points; initialisations share the test set, so that their spread has of it only what they "
        "answer differently."
    )
