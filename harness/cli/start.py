"""A command from its first moment: its signals and its streams.

Nothing that takes time is imported with this module, so that Ctrl-C while the libraries load is told in words too.
"""

import atexit
import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn, TextIO, cast

from harness.cli.stopping import leave
from harness.errors import BrokenError, Stopped, Unread


def command() -> NoReturn:
    """Runs the process's command, as ``main`` does, and ends the process without taking apart what it has loaded.

    Python takes PyTorch's modules apart for a third as long as it took to load them. What is to be done at the end is
    done, and a process with other threads ends as ever.
    """
    try:
        main()
    except SystemExit as ended:
        if threading.active_count() > 1 or not isinstance(ended.code, int):
            raise
        atexit._run_exitfuncs()
        with suppress(OSError):  # told where it was met (``_Stream``)
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:  # as it is where the caller closed it
                    stream.flush()
        os._exit(ended.code)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and exits with its code; errors are told in words.

    Args:
        arguments: left out, those of the process.
    """
    # Before PyTorch loads: threads that wait for one another sleep, and leave the core to whom they wait for.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is ignored, or a host's
    with _streams():
        if ours:
            signal.signal(signal.SIGINT, leave)
        from harness.cli.app import run

        if ours:
            signal.signal(signal.SIGINT, _interrupt)
        try:
            code = run(sys.argv[1:] if arguments is None else arguments)
        except KeyboardInterrupt:
            code = Stopped.exit_code
        if ours:
            signal.signal(signal.SIGINT, leave)  # Python's own handler would tell where it was on its way out
    sys.exit(code)


def _interrupt(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, leave)
    raise KeyboardInterrupt


class _Stream:
    """A standard stream of the process whose errors are ours; all else is the stream's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._told():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._told():
            self._stream.flush()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            # What is still to be written, at the process's end at the latest, would meet the same error.
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), self._stream.fileno())
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        """Standard error: where nobody listens or no room is left, nothing can be told, and nothing is wrong."""


class _Output(_Stream):
    def _tell(self, error: OSError) -> None:
        if error.errno == errno.EPIPE:
            raise Unread("the output was not read to its end") from None
        raise BrokenError(
            f"standard output cannot be written ({error.strerror}): make room there, or send it elsewhere. What was "
            "finished is kept"
        ) from None


@contextmanager
def _streams() -> Iterator[None]:
    """What a stream's encoding lacks is written with backslashes, and its errors are told in words."""
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = cast(TextIO, _Output(sys.stdout))
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = cast(TextIO, _Stream(sys.stderr))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
