"""Files that readers find whole: written beside, then put in place by one rename."""

import os
from contextlib import suppress
from pathlib import Path

from harness.errors import BrokenError, RequestError, write_remedy


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
