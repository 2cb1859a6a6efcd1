"""Walks a folder that a user gave: links are followed, loops end, nothing is passed over in silence."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from harness.engine.data.bounds import Limits, Wanted, check_count, check_path, check_total
from harness.errors import RequestError
from harness.files import read_regular

_Identity = tuple[int, int]  # device and inode


def folder_members(root: Path, wanted: Wanted, limits: Limits) -> Iterator[tuple[PurePosixPath, bytes]]:
    """The wanted files below a folder in the order of their paths, each with its content.

    Links are followed, wherever they lead: whoever gives a folder of links means what they lead to. A link to a
    folder that contains it is not entered, so every walk ends.

    Raises:
        RequestError: a folder or a wanted file cannot be read, a wanted name is no regular file, or the limits
            are exceeded.
    """
    total = 0
    for member, path in _walk(root, wanted, limits):
        try:
            content = read_regular(path, limits.file_bytes)
        except OSError as error:
            raise _unreadable(path, error) from error
        except ValueError as error:
            raise RequestError(f"{path} {error}: remove it, or put the dataset's own file there") from error
        total += len(content)
        check_total(root, total, limits)
        yield member, content


def _walk(root: Path, wanted: Wanted, limits: Limits) -> Iterator[tuple[PurePosixPath, Path]]:
    """Wanted files, depth first, without recursion; counts whatever it meets."""
    count = 0
    todo: list[tuple[PurePosixPath, frozenset[_Identity]]] = [(PurePosixPath(), frozenset())]
    while todo:
        folder, above = todo.pop()
        here = root / folder
        identity = _identity(here)
        if identity in above:
            continue  # a link back to a folder that contains it
        inner = []
        for name, is_folder in _listed(here, limits, count):
            count += 1
            member = folder / name
            is_wanted = not is_folder and wanted(member)
            check_path(root, member, is_wanted, limits)
            if is_folder:
                inner.append((member, above | {identity}))
            elif is_wanted:
                yield member, root / member
        todo.extend(reversed(inner))


def _listed(folder: Path, limits: Limits, count: int) -> list[tuple[str, bool]]:
    """The names in a folder, sorted, and whether each is a folder or a link to one."""
    names: list[tuple[str, bool]] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                check_count(folder, count + len(names) + 1, limits)
                names.append((entry.name, _is_folder(entry)))
    except OSError as error:
        raise _unreadable(folder, error) from error
    return sorted(names)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: no folder; whether it is a wanted file is asked later
        return False


def _identity(folder: Path) -> _Identity:
    try:
        state = os.stat(folder)
    except OSError as error:
        raise _unreadable(folder, error) from error
    if not stat.S_ISDIR(state.st_mode):
        raise RequestError(f"{folder} stopped being a folder while it was read: try again")
    return state.st_dev, state.st_ino


def _unreadable(path: Path, error: OSError) -> RequestError:
    what = "is a link that leads to nothing" if path.is_symlink() and not os.path.exists(path) else "cannot be read"
    return RequestError(f"{path} {what} ({error.strerror or error}): mend it, or remove it if the dataset needs it not")
