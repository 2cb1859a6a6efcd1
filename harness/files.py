"""Files that readers find whole: written beside, then put in place by one rename; and files read within bounds."""

import hashlib
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from harness.errors import BrokenError, RequestError, write_remedy

_PART_BYTES = 1 << 24
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def kind_of(mode: int) -> str:
    """What a path leads to where it is no regular file, in words."""
    return _KINDS.get(stat.S_IFMT(mode), "something else")


@contextmanager
def open_regular(path: Path) -> Iterator[tuple[FileIO, int]]:
    """A regular file opened for reading, reached through links or not, with its size in bytes.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no regular file; the message says so in words that follow the file's name ("is a named pipe,
            not a regular file").
    """
    # Non-blocking: opening a pipe that nobody writes to would wait for ever.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        about = os.fstat(number)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError(f"is {kind_of(about.st_mode)}, not a regular file")
        with FileIO(number, closefd=False) as file:
            yield file, about.st_size
    finally:
        os.close(number)


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a regular file; nothing else is waited for or read.

    Args:
        path: of the file.
        limit: bytes; a longer file is refused, and no more than this is ever held.

    Raises:
        OSError: it cannot be opened or read.
        ValueError: it is no regular file, or longer than the limit; the message is in words that follow the file's
            name.
    """
    with open_regular(path) as (file, size):
        content = bytearray()
        # The size is looked at first, so that a huge file is not read at all; and not believed, as it may grow.
        while size <= limit and len(content) <= limit:
            part = file.read(min(limit + 1 - len(content), _PART_BYTES))
            if not part:
                return bytes(content)
            content += part
        raise ValueError(f"has more than the {limit:,} bytes that such a file may have")


def digest_of(path: Path, algorithm: str = "sha256") -> str:
    """The digest (hex) of a regular file of any length, which is never held as a whole.

    Raises:
        OSError: it cannot be opened or read.
        ValueError: it is no regular file, in words that follow its name.
    """
    state = hashlib.new(algorithm, usedforsecurity=False)
    with open_regular(path) as (file, _):
        while part := file.read(_PART_BYTES):
            state.update(part)
    return state.hexdigest()


def write_new(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Writes a file that must not be there yet, not even as a link.

    Args:
        path: of the file.
        content: of the file.
        durable: wait until the disk has it.

    Raises:
        OSError: it is there, or cannot be written.
    """
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    with os.fdopen(number, "wb") as file:
        file.write(content)
        file.flush()
        if durable:
            os.fsync(number)


def sync_folder(folder: Path) -> None:
    """Waits until the disk has the names in a folder, where the file system can tell."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def temporary(path: Path) -> Path:
    """A name beside a file, for what is to become it: ``.NAME.<32 random hex>.tmp``, which nobody can guess."""
    return path.with_name(f".{path.name}.{secrets.token_hex(16)}.tmp")


def put(path: Path, content: bytes, by: Path | None = None) -> None:
    """Writes a file in one step, so that a reader finds the whole old or the whole new one, even after a power cut.

    What is a link is replaced, never followed.

    Args:
        path: of the file.
        content: of the file.
        by: folder on the same disk in which it is put together; left out, its own.

    Raises:
        OSError: it cannot be written; the one before is as it was.
    """
    beside = temporary(path if by is None else by / path.name)
    try:
        write_new(beside, content)
        os.replace(beside, path)
    finally:
        with suppress(OSError):  # after the rename there is none, and an error of its own would hide the first
            beside.unlink()
    sync_folder(path.parent)


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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe(folder)
    except OSError as error:
        raise RequestError(
            f"the folder {folder} cannot be written ({error.strerror}): "
            f"{write_remedy(folder, error)}choose another with {option}"
        ) from error


def probe(folder: Path) -> None:
    """Raises OSError unless a file can be written in a folder, by writing one and removing it."""
    made = temporary(folder / "probe")
    write_new(made, b"")
    made.unlink()
