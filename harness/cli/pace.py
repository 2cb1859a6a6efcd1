"""How fast a run trains of late."""

from collections import deque
from itertools import pairwise
from statistics import median

_LATE_S = 10.0
"""What counts as of late."""
_APART_S = 0.5
"""Between two moments that are compared."""
_FEWEST = 4
"""Comparisons, before anything is said."""


class Pace:
    """Estimates iterations a second, all trainings together: the median over the last moments.

    The median, as what a run takes up from a checkpoint counts at once, and takes no time.
    """

    def __init__(self, now: float) -> None:
        """A run that starts.

        Args:
            now: a clock's seconds.
        """
        self._seen: deque[tuple[float, int]] = deque([(now, 0)])

    def after(self, now: float, iterations: int) -> float | None:
        """Iterations a second, or None where too little was seen to say, or nothing trains.

        Args:
            now: the clock's seconds.
            iterations: made since the run started.
        """
        if now - self._seen[-1][0] >= _APART_S:
            self._seen.append((now, iterations))
        while len(self._seen) > 1 and now - self._seen[0][0] > _LATE_S:
            self._seen.popleft()
        rates = [(more - before) / (later - then) for (then, before), (later, more) in pairwise(self._seen)]
        if len(rates) < _FEWEST:
            return None
        rate = median(rates)
        return rate if rate > 0 else None
