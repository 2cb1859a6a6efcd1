"""Files that readers find whole: written beside, then put in place by one rename."""

import os
from pathlib import Path

from harness.errors import BrokenError, RequestError, write_remedy


def replace_file(path: Path, text: str, what: str = "the report") -> None:
    """Writes a file in one step, so that a reader finds the whole old or the whole new one.

    Args:
        path: of the file; its folder is made where it is missing.
        text: its content, written as UTF-8.
        what: is written, for the error.

    Raises:
        BrokenError: it cannot be written; the one before is as it was.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Lone surrogates, which UTF-8 lacks, can come from file names in error messages.
            beside.write_bytes(text.encode("utf-8", errors="replace"))
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
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
