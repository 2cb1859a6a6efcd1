"""What the command lines of all benchmarks share."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import HarnessError


@contextmanager
def told() -> Iterator[None]:
    """Ends with a message, and no trace, where what was asked for cannot be."""
    try:
        yield
    except HarnessError as error:
        raise SystemExit(f"error: {error}") from None


def positive(text: str) -> int:
    """An option's number, 1 or more."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"found {text!r}, allowed are whole numbers from 1 on")
    return int(text)
