"""Stopped by the user or the machine: told in words, with how to go on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from harness.errors import Stopped

KEPT = "What was finished is kept; run the same command again to go on from there"


@contextmanager
def stoppable(kept: str = KEPT) -> Iterator[None]:
    """Makes Ctrl-C and SIGTERM inside the block an error that says what is ``kept``.

    What the signal interrupts may end in another error than KeyboardInterrupt (compiled code of PyTorch gives
    RuntimeError), so any error after the signal counts as its consequence.
    """
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except (KeyboardInterrupt, Exception):
        if asked:
            raise Stopped(f"stopped. {kept}") from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
