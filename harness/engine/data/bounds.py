"""Bounds on what a stranger's files may make the harness read, and words for where they are exceeded or break off."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.errors import HarnessError, RequestError

Wanted = Callable[[PurePosixPath], bool]


@dataclass(frozen=True)
class Limits:
    """What a source may hold; far above any known dataset, far below a machine's memory.

    Attributes:
        file_bytes: of one file, unpacked.
        total_bytes: of all files together, unpacked; of an archive also its unwanted ones and its headers.
        files: members of an archive, or files and folders below a folder, wanted or not.
        depth: parts of a path below the folder, or in the archive.
        header_bytes: of a tar's headers between the contents of two members; a long path needs a few thousand.
    """

    file_bytes: int = 256 << 20
    total_bytes: int = 1 << 30
    files: int = 200_000
    depth: int = 64
    header_bytes: int = 1 << 20


def check_size(what: Path | str, size: int, limits: Limits) -> None:
    """Raises RequestError where one file is too large."""
    if size > limits.file_bytes:
        raise RequestError(f"{what} unpacks to more than {limits.file_bytes} bytes: no known dataset has such a file")


def check_total(path: Path, total: int, limits: Limits) -> None:
    """Raises RequestError where all files together are too large."""
    if total > limits.total_bytes:
        raise RequestError(f"{path} unpacks to more than {limits.total_bytes} bytes: no known dataset is so large")


def check_count(path: Path, count: int, limits: Limits) -> None:
    """Raises RequestError where there are too many members."""
    if count > limits.files:
        raise RequestError(
            f"{path} holds more than {limits.files} members: no known dataset has so many; "
            "give its own folder or archive"
        )


def check_path(path: Path, member: PurePosixPath, wanted: bool, limits: Limits) -> None:
    """Raises RequestError where a path is too deep, or one that is wanted cannot be shown as a line of text."""
    if len(member.parts) > limits.depth:
        raise RequestError(
            f"{path} holds a path of more than {limits.depth} parts ({str(member)[:60]!r} ...): "
            "no known dataset is so deep; give its own folder or archive"
        )
    if wanted and not str(member).isprintable():
        raise RequestError(f"{path} holds {str(member)!r}, a path with control or undecodable characters: rename it")


@contextmanager
def told_as_damage(what: str, remedy: str) -> Iterator[None]:
    """Turns whatever a library's parser raises at a stranger's bytes into a RequestError.

    Parsers of archives and pictures document a few exceptions and raise others at malformed input (ValueError,
    KeyError, RecursionError, OverflowError, struct.error, ...), so every one of them is taken as damage. Only
    calls of such parsers belong inside.
    """
    try:
        yield
    except HarnessError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise RequestError(f"{what} ({reason}): {remedy}") from error
