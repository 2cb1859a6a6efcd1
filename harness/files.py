"""Files that readers find whole: written beside, then put in place by one rename; and files read within bounds."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from harness.errors import BrokenError, RequestError, write_remedy

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a regular file, reached through links or not; nothing else is waited for or read.

    Args:
        path: of the file.
        limit: bytes; a longer file is refused, and no more than this is ever held.

    Raises:
        OSError: it cannot be opened or read.
        ValueError: it is no regular file, or longer than the limit; the message says so in words that follow
            the file's name ("is a named pipe, not a regular file").
    """
    # Non-blocking: opening a pipe that nobody writes to would wait for ever.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        about = os.fstat(number)
        if not stat.S_ISREG(about.st_mode):
            kind = next((words for is_kind, words in _KINDS if is_kind(about.st_mode)), "something else")
            raise ValueError(f"is {kind}, not a regular file")
        content = bytearray()
        # The size is looked at first, so that a huge file is not read at all; and not believed, as it may grow.
        while about.st_size <= limit and len(content) <= limit:
            part = os.read(number, min(limit + 1 - len(content), 1 << 24))
            if not part:
                return bytes(content)
            content += part
        raise ValueError(f"has more than the {limit:,} bytes that such a file may have")
    finally:
        os.close(number)


def put(path: Path, content: bytes) -> None:
    """Writes a file in one step, so that a reader finds the whole old or the whole new one.

    Raises:
        OSError: it cannot be written; the one before is as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    finally:
        with suppress(OSError):  # after the rename there is none, and an error of its own would hide the first
            beside.unlink()


def replace_file(path: Path, text: str, what: str = "the report") -> None:
    """``put`` for a file that a user asked for, its errors in words.

    Args:
        path: of the file; its folder is made where it is missing.
        text: its content, written as UTF-8.
        what: is written, for the error.

    Raises:
        BrokenError: it cannot be written; the one before is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Lone surrogates, which UTF-8 lacks, can come from file names in error messages.
        put(path, text.encode("utf-8", errors="replace"))
    except OSError as error:
        raise BrokenError(
            f"{path}: {what} cannot be written ({error.strerror or error}); the one before is as it was. Give "
            f"{path.parent} free space and the right to write, or choose another folder, and run the command "
            "again: jobs that are finished are found in a store that is kept"
        ) from error


def require_folder(folder: Path, option: str = "--report") -> None:
    """Raises RequestError, which names the option, unless files can be written there; makes the folder."""
    probe = folder / f".{os.getpid()}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RequestError(
            f"the folder {folder} cannot be written ({error.strerror}): "
            f"{write_remedy(folder, error)}choose another with {option}"
        ) from error
