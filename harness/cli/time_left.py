"""How long a run will still take, from how fast it was of late."""

from collections import deque

MEASURED_S = 5.0
MEASURED_SHARE = 0.02
"""Seconds, and share of the run's work, that must have been seen before anything is said."""
_LATE_S = 60.0
"""What counts as of late; a run that has been seen for as long may be told of whatever its share."""


class TimeLeft:
    """Estimates the time left from the rate of the last minute.

    The start of a run (processes, datasets, single jobs) tells nothing of its trainings, and a run that is taken up
    from checkpoints begins with work that took no time.
    """

    def __init__(self, now: float) -> None:
        """A run that starts.

        Args:
            now: a clock's seconds.
        """
        self._seen: deque[tuple[float, int]] = deque([(now, 0)])
        self._started = now

    def after(self, now: float, done: int, total: int) -> float | None:
        """Seconds left, or None where too little was seen to say.

        Args:
            now: the clock's seconds.
            done: units of work that are done.
            total: units of all.
        """
        if now - self._seen[-1][0] >= _LATE_S / 100 or len(self._seen) == 1:
            self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _LATE_S:
            self._seen.popleft()
        then, before = self._seen[0]
        seconds, units = now - then, done - before
        enough = done >= MEASURED_SHARE * total or now - self._started >= _LATE_S
        if seconds < MEASURED_S or units <= 0 or not enough:
            return None
        return seconds * max(0, total - done) / units
