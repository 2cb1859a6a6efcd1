"""Stopped by the user or the machine: told in words, with how to go on."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from harness.errors import Stopped

KEPT = "What was finished is kept; run the same command again to go on from there"


def leave(number: int = 0, frame: FrameType | None = None) -> NoReturn:
    """Ends the process at once, whatever it is doing; a handler of signals."""
    with suppress(OSError):
        os.write(2, b"error: stopped at once\n")
    os._exit(Stopped.exit_code)


@contextmanager
def stoppable(kept: str = KEPT) -> Iterator[None]:
    """Makes Ctrl-C and SIGTERM inside the block an error that says what is ``kept``; a second one ends the process.

    What the signal interrupts may end in another error than KeyboardInterrupt (compiled code of PyTorch gives
    RuntimeError), so any error after the signal counts as its consequence.
    """
    asked = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            leave()
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
