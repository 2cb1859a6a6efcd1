"""Stopped by the user or the machine: told in words, with how to go on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from harness.errors import Stopped

KEPT = "What was finished is kept; run the same command again to go on from there"


@contextmanager
def stoppable(kept: str = KEPT) -> Iterator[None]:
    """Makes Ctrl-C and SIGTERM inside the block an error that says what is ``kept``."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(f"stopped. {kept}") from None


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
