"""One try of the fuzzing: what may come of it, what is a finding, and how long it may take."""

import re
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError

KINDS = ("accepted", "refused", "traceback", "slow", "wrong", "words")
SLOW_S = 2.0
"""Of computing, a case; a finding beyond."""
HANGS_S = 30.0
"""Of computing, a case; it is broken off then, and at the latest after ten times as long."""
LONGEST_WORDS = 20_000
"""Letters of an error; more is read by nobody."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        kind: of ``KINDS``: the first two, or that of a finding: ``traceback``, ``slow``, ``wrong`` (silently),
            ``words`` (an error that does not say where or what).
        words: what was said.
        seconds: of computing.
    """

    kind: str
    words: str = ""
    seconds: float = 0.0

    @property
    def found(self) -> bool:
        """Whether something is to be mended."""
        return self.kind not in ("accepted", "refused")


class Wrong(Exception):
    """A case was accepted, or left the world, as it should not."""


class Unclear(Exception):
    """A case was refused in words that help nobody."""


class _Hangs(BaseException):
    """A case is broken off."""


def tried(
    case: Callable[[], str], check_words: Callable[[str], None] = lambda words: None, *, slow_s: float = SLOW_S
) -> Outcome:
    """Runs a case.

    Args:
        case: gives words on what was accepted; raises HarnessError where it was refused, ``Wrong`` or ``Unclear``.
        check_words: raises ``Unclear`` where the words of a refusal are none.
        slow_s: seconds of computing from which on it is a finding.
    """
    began = time.process_time()
    kind, words = "accepted", ""
    try:
        with _limited():
            words = case()
    except HarnessError as error:
        kind, words = "refused", str(error)
    except Wrong as error:
        kind, words = "wrong", str(error)
    except Unclear as error:
        kind, words = "words", str(error)
    except (Exception, SystemExit, _Hangs) as error:
        kind = "slow" if isinstance(error, _Hangs) else "traceback"
        words = "".join(traceback.format_exception(error, limit=-6))
    seconds = time.process_time() - began
    if kind == "refused":
        try:
            require_words(words)
            check_words(words)
        except Unclear as error:
            kind, words = "words", str(error)
    if seconds > slow_s and kind in ("accepted", "refused"):
        kind, words = "slow", f"{seconds:.1f} s, then {kind}: {words}"
    return Outcome(kind, words, seconds)


def require_words(words: str) -> None:
    """Raises Unclear unless an error is some lines that a console can print and a reader can read."""
    if not words.strip():
        raise Unclear("no words")
    if len(words) > LONGEST_WORDS:
        raise Unclear(f"{len(words):,} letters: {words[:300]}")
    odd = [letter for letter in words if not letter.isprintable() and letter != "\n"]
    if odd:
        raise Unclear(f"the letter {odd[0]!r} in {words[:2000]!r}")
    if "bug of the harness" in words or re.search(r"\b(Key|Type|Index|Attribute|Overflow|Recursion)Error\b", words):
        raise Unclear(words)


@contextmanager
def _limited() -> Iterator[None]:
    def stop(number: int, frame: Any) -> None:
        raise _Hangs(f"no end after {HANGS_S:g} s of computing")

    before = [signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)]
    signal.setitimer(signal.ITIMER_PROF, HANGS_S)
    signal.setitimer(signal.ITIMER_REAL, 10 * HANGS_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGPROF, before[0])
        signal.signal(signal.SIGALRM, before[1])
