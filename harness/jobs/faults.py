"""What is wrong with an artifact as it lies on the disk."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from harness.jobs import artifact as files_of
from harness.jobs.artifact import Artifact, Described, Record
from harness.jobs.job import canonical
from harness.jobs.stage_row import Table
from harness.printable import shown

Judge = Callable[[Record, Artifact], str]
"""Says of a record and of its artifact, whose files are sound, what is wrong with them, or ""."""

_SHOWN = 80
"""Letters of a value that are told."""


def is_of(described: Described, key: str) -> bool:
    """Whether a description is that of the job with this key."""
    return hashlib.sha256(canonical(described.model_dump()).encode()).hexdigest() == key


def wrong_with(path: Path, judge: Judge) -> str:
    """What is wrong with an artifact's directory, or nothing."""
    name = files_of.RECORD
    tensors: Mapping[str, Tensor] = {}
    table: Table = {}
    try:
        record = files_of.read_record(path / name)
        if not is_of(record.job, path.name):
            return "record.json was written for another job"
        for name, digest in record.files.items():
            content = files_of.read_checked(path / name, digest)
            if name == files_of.TENSORS:
                tensors = files_of.decode_tensors(content)
            else:
                table = files_of.decode_table(content)
    except OSError as error:
        return f"{name} cannot be read ({error.strerror})"
    except ValueError as error:
        return f"{name} {error}"
    return judge(record, Artifact(tensors, table))


def difference(recorded: Any, wanted: Any, place: str = "") -> str:
    """Where two descriptions of jobs differ, in words.

    Args:
        recorded: plain nested values, as a record has them.
        wanted: the same as they are due.
        place: of both within the description, "" for the whole.
    """
    if isinstance(recorded, dict) and isinstance(wanted, dict):
        parts = [
            difference(recorded.get(name), wanted.get(name), f"{place}.{name}" if place else str(name))
            for name in sorted({*recorded, *wanted})
            if canonical(recorded.get(name)) != canonical(wanted.get(name))
        ]
        return "; ".join(parts)
    return f"{place} is {shown(recorded, _SHOWN)}, wanted {shown(wanted, _SHOWN)}"
