"""At which level each look of a group-sequential plan tests, so that all looks together err as often as one test.

Error is spent by a function of the share of the planned initialisations (Lan and DeMets 1983, Biometrika 70, 659-663);
what a look could not spend is left for later ones. Both recursions are exact: of the sign test over counts, of the
t-test over normal values, where the levels of a normal statistic would err in 6 % with few of them.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.digits import ROUNDING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_BINS = 120
"""Of the statistic's law between two looks: with four times as many, levels from five initialisations on change by less
than 1e-4, those from two on by 3e-4."""
_NODES = 8
"""Of the quadrature over the spread of the values that a look adds."""
_FAR = 8.0
"""Standard deviations below which a statistic never comes back."""
_FLAT = 1e-9
"""Least size of a quadratic's leading coefficient."""


def spent(share: float, error: float) -> float:
    """How much error is spent by the time that a share of the planned initialisations is there; as Pocock's bounds do.

    Args:
        share: above 0, up to 1.
        error: of all looks together, one-sided.

    Examples:
        >>> from harness.judging.boundaries import spent
        >>> round(spent(0.25, 0.05), 4), round(spent(1.0, 0.05), 4)
        (0.0179, 0.05)
    """
    return error * math.log1p((math.e - 1) * share)


@lru_cache(maxsize=64)
def sign_levels(sizes: tuple[int, ...], error: float) -> tuple[float, ...]:
    """Levels of the sign test at each look, one-sided.

    Under "half lie there" the number of values beyond a bound grows by Bin(m, 1/2) from look to look; a look decides
    when it is below a limit. The limits are the largest whose error, over what no look before has decided, stays within
    what may be spent.

    Args:
        sizes: initialisations at each look, ascending.
        error: of all looks together.

    Returns:
        P(Bin(n, 1/2) < limit) a look, so that a test at this level has the limit; where even all values on one side
        would say too little, the error that is left, which is less.

    Examples:
        >>> from harness.judging.boundaries import sign_levels
        >>> [round(level, 4) for level in sign_levels((5, 8, 10, 15, 20), 0.05)]
        [0.0179, 0.0039, 0.0107, 0.0176, 0.0207]
    """
    levels = []
    before, done, undecided = 0, 0.0, [1.0]
    for n in sizes:
        undecided = _convolved(undecided, _binomial(n - before))
        room = spent(n / sizes[-1], error) - done
        limit, exits = 0, 0.0
        while limit < len(undecided) and exits + undecided[limit] <= room + ROUNDING:
            exits += undecided[limit]
            limit += 1
        levels.append(sum(_binomial(n)[:limit]) if limit else room)
        undecided[:limit] = [0.0] * limit
        before, done = n, done + exits
    return tuple(levels)


def _binomial(n: int) -> list[float]:
    """P(Bin(n, 1/2) = k) for each k."""
    return [math.comb(n, k) / 2**n for k in range(n + 1)]


def _convolved(left: Sequence[float], right: Sequence[float]) -> list[float]:
    import numpy as np

    return list(map(float, np.convolve(left, right)))


@lru_cache(maxsize=64)
def student_levels(sizes: tuple[int, ...], error: float) -> tuple[float, ...]:
    """Levels of Student's t-test at each look, one-sided; exact for normal values.

    The statistic is w = sum / sqrt(n sum of squares), from which t = w sqrt((n - 1) / (1 - w²)). At the boundary its
    past is independent of the sum of squares (Basu), so that w at the looks is a Markov chain, and its law among what
    is undecided is carried on by one integral a look (Jennison and Turnbull 1991, Biometrika 78, 133-141).

    Args:
        sizes: initialisations at each look, ascending. One initialisation has no test and spends nothing: level 0.
        error: of all looks together.
    """
    from scipy.optimize import brentq

    if sizes[0] == 1:
        return (0.0, *(student_levels(sizes[1:], error) if len(sizes) > 1 else ()))
    levels = [spent(sizes[0] / sizes[-1], error)]
    edges = _edges(sizes[0], levels[0])
    masses, done = _masses_of_student(edges, sizes[0]), levels[0]
    for before, n in pairwise(sizes):
        step = _Step(_middles(edges), before, n - before)
        room = spent(n / sizes[-1], error) - done
        levels.append(float(brentq(_overspent, 1e-12, 0.5, args=(step, masses, n, room), xtol=1e-12)))
        done += room
        edges = _edges(n, levels[-1])
        masses = _masses(masses @ step.above(edges))
    return tuple(levels)


def _overspent(level: float, step: "_Step", masses: "Array", n: int, room: float) -> float:
    """How much more error a look spends at a level than it may."""
    import numpy as np
    from scipy.special import stdtrit

    limit = _w(np.array([-stdtrit(n - 1, level)]), n)
    return float(masses @ step.above(limit)[:, 0]) - room


def _edges(n: int, level: float) -> "Array":
    """Ends of bins of w below the limit of a level, evenly spaced as normal scores are."""
    import numpy as np
    from scipy.special import ndtr, ndtri, stdtrit

    scores = np.linspace(-_FAR, -ndtri(level), _BINS + 1)
    return _w(stdtrit(n - 1, ndtr(scores)), n)


def _w(t: "Array", n: int) -> "Array":
    import numpy as np

    return np.asarray(t / np.sqrt(n - 1 + t**2))


def _middles(edges: "Array") -> "Array":
    return (edges[1:] + edges[:-1]) / 2


def _masses(above: "Array") -> "Array":
    """Probabilities of bins from those of being above their ends."""
    return above[:-1] - above[1:]


def _masses_of_student(edges: "Array", n: int) -> "Array":
    """Probabilities of bins of w after the first look."""
    import numpy as np
    from scipy.special import stdtr

    return _masses(stdtr(n - 1, -edges * np.sqrt((n - 1) / np.maximum(1 - edges**2, np.finfo(float).tiny))))


class _Step:
    """From a look to the next: the law of w, given what it was.

    With the sum of squares so far as unit, the m values that are added are a multivariate t of n degrees of freedom:
    their sum is sqrt(m) z, and given their sum of squares about their mean, r, z is a t of n + m - 1 degrees times
    sqrt((1 + r) / (n + m - 1)). That w ends above c is then a quadratic inequality in z.
    """

    def __init__(self, points: "Array", n: int, m: int) -> None:
        """From w after n values to w after m more.

        Args:
            points: values of w, [I].
            n: values so far.
            m: values that are added.
        """
        import numpy as np
        from scipy.special import roots_jacobi

        share, weights = np.zeros(1), np.ones(1)  # of r: r / (1 + r)
        if m > 1:
            nodes, weights = roots_jacobi(_NODES, n / 2 - 1, (m - 3) / 2)
            share, weights = (1 + nodes) / 2, weights / weights.sum()
        self._starts = points[:, None, None] * np.sqrt(n * (1 - share))
        self._weights, self._n, self._m = weights, n, m

    def above(self, ends: "Array") -> "Array":
        """P(w > end), [I, J], for ends [J]."""
        import numpy as np
        from scipy.special import stdtr

        m, freedom = self._m, self._n + self._m - 1
        mirrored = np.where(ends < 0, -1.0, 1.0)
        start = self._starts * mirrored[:, None]
        limit = (np.abs(ends) * math.sqrt(self._n + m))[:, None]
        leading = m - limit**2
        leading = np.where(np.abs(leading) < _FLAT, _FLAT, leading)
        discriminant = start**2 + leading
        roots = limit * np.sqrt(np.maximum(discriminant, 0.0))
        first, second = ((-start * math.sqrt(m) + side * roots) / leading for side in (1, -1))
        above_first, above_second = (stdtr(freedom, -root * math.sqrt(freedom)) for root in (first, second))
        between = np.where((discriminant > 0) & (start > 0), above_first - above_second, 0.0)
        chances = (np.where(leading > 0, above_first, between) * self._weights).sum(axis=-1)
        return np.asarray(np.where(ends < 0, 1 - chances, chances))
