"""How long a run will still take: at first as forecast, then by how much of the forecast's time it really took."""

from collections import deque

_BELIEVED_S = 30.0
"""A run that has been seen for as long counts as much as its forecast."""
_MEASURED_S, _MEASURED_SHARE = 5.0, 0.02
"""Seconds, and share of the work, that must have been seen where nothing was forecast."""
_LATE_S = 300.0
"""How far back is looked; what was before is no guide."""
_CORRECTED, _CORRECTED_S = 1.5, 10.0
"""An estimate that is greater than what was told last by this factor, and by these seconds, replaces it; else what is
told never grows."""
_TAKEN_UP_S = 20.0
"""How long after its start a run takes up checkpoints."""
_JUMP, _JUMP_S = 20.0, 5.0
"""Work that is done then in so much less time, and so many seconds of it more, was taken up from a checkpoint; later it
is a job of some length whose end is told."""


class TimeLeft:
    """Estimates the time left from the forecast, corrected by the run's own speed of late."""

    def __init__(self, now: float) -> None:
        """A run that starts.

        Args:
            now: a clock's seconds.
        """
        self._seen: deque[tuple[float, float]] = deque([(now, 0.0)])
        self._started, self._told = now, 0.0

    def after(self, now: float, done: float, total: float, *, forecast: bool = True) -> float | None:
        """Seconds left, or None where nothing is known.

        Args:
            now: the clock's seconds.
            done: seconds that what is done was expected to take.
            total: the same of all.
            forecast: whether they are that; else they are units of work, and only the run's own speed tells.
        """
        if total <= 0:
            return None
        then, before = self._seen[-1]
        if now - self._started < _TAKEN_UP_S and done - before > _JUMP * (now - then) + _JUMP_S:
            self._seen = deque((moment, seen + done - before) for moment, seen in self._seen)
        if now - then >= _LATE_S / 300:
            self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _LATE_S:
            self._seen.popleft()
        then, before = self._seen[0]
        believed = _BELIEVED_S if forecast else 0.0
        if not forecast and (now - then < _MEASURED_S or done - before < _MEASURED_SHARE * total):
            return None
        pace = (now - then + believed) / (max(0.0, done - before) + believed)
        left = pace * max(0.0, total - done)
        if self._told < left <= max(_CORRECTED * self._told, self._told + _CORRECTED_S) and self._told:
            left = self._told
        self._told = left
        return left
