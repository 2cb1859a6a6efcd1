"""What a job gives, as the bytes of files and back: nothing read is taken for what its record says unlooked at."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from harness import jsonfile
from harness.errors import CorruptArtifact
from harness.files import open_regular, read_regular
from harness.jobs.job import canonical
from harness.jobs.stage_row import Table

TENSORS, TABLE, RECORD = "tensors.safetensors", "table.json", "record.json"

LARGEST_TENSORS = 1 << 38
"""Bytes of a file of tensors: the eigenvectors of 262,144 parameters."""

_LARGEST = {RECORD: 16 << 20, TABLE: 1 << 30}
_UNASKED = 1 << 28
"""Bytes up to which a file of tensors is read before its header is asked how long it ought to be."""
_LARGEST_HEADER = 100_000_000
"""Bytes of a header, as the format's own library has it."""
_SCALARS = {int, float, str, bool, type(None)}

Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Artifact:
    """What a job gives: named tensors, a table of plain columns, or both.

    Attributes:
        tensors: by name.
        table: columns by name.
        witness: what the making of it showed, kept with the provenance; none where it is read again.
    """

    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    table: Table = field(default_factory=dict)
    witness: Mapping[str, str] = field(default_factory=dict)


class Columns(dict[str, list[Any]]):
    """A table as read. A column that it lacks is the artifact's fault, and told so."""

    def __init__(self, columns: Mapping[str, list[Any]], corrupt: Callable[[str], CorruptArtifact]) -> None:
        """Takes the columns, and what makes an error of words on what is wrong with the table."""
        super().__init__(columns)
        self._corrupt = corrupt

    def __missing__(self, name: str) -> list[Any]:
        """Raises CorruptArtifact."""
        raise self._corrupt(f"has no column {name!r}")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Described(_Strict):
    """A job's description, see ``Job.description``."""

    stage: str
    version: int
    params: dict[str, Any]
    inputs: dict[str, Hex]


class Record(_Strict):
    """The commit record of an artifact.

    Attributes:
        job: description of the job.
        files: name -> SHA-256 (hex) of the content.
        provenance: how the result came about.
    """

    job: Described
    files: Annotated[dict[Literal["tensors.safetensors", "table.json"], Hex], Field(min_length=1)]
    provenance: dict[str, Any]


def encode(artifact: Artifact) -> dict[str, bytes]:
    """Name -> content of an artifact's files, without the record.

    Raises:
        ValueError: a number of the table is not finite.
    """
    files: dict[str, bytes] = {}
    if artifact.tensors:
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(artifact.tensors.items())}
        files[TENSORS] = save_tensors(plain)
    if artifact.table:
        files[TABLE] = canonical(dict(artifact.table)).encode()
    return files


def read_record(path: Path) -> Record:
    """A record.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none; in words that follow the file's name.
    """
    value = jsonfile.read(path, _LARGEST[RECORD])
    try:
        return Record.model_validate(value)
    except ValidationError as error:
        raise ValueError(f"is no record ({jsonfile.told(error)})") from None


def read_checked(path: Path, digest: str) -> bytes:
    """The content of a table or a file of tensors, as its record says that it is.

    Raises:
        ValueError: it cannot be read or is another one; in words that follow the file's name.
    """
    try:
        content = read_tensors(path) if path.name == TENSORS else read_regular(path, _LARGEST[path.name])
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != digest:
        raise ValueError(f"has sha256 {actual[:12]}, its record says {digest[:12]}")
    return content


def read_tensors(path: Path, beyond: int = 0) -> bytes:
    """The content of a file of tensors, not yet decoded; a large one only if its header accounts for its length.

    Args:
        path: of the file.
        beyond: bytes that follow the tensors.

    Raises:
        OSError: it cannot be opened or read.
        ValueError: it is no such file; in words that follow the file's name.
    """
    limit = _UNASKED
    with open_regular(path) as (file, size):
        if size > _UNASKED:
            header = int.from_bytes(file.read(8), "little")
            limit = 8 + header + _end_of_last(file.read(min(header, _LARGEST_HEADER))) + beyond
            if limit != size or size > LARGEST_TENSORS:
                raise ValueError(f"has {size:,} bytes, where its header has {limit:,}")
    return read_regular(path, limit)


def _end_of_last(header: bytes) -> int:
    try:
        places = jsonfile.parse(header).items()
        return max(int(place["data_offsets"][1]) for name, place in places if name != "__metadata__")
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError("is too large for a file without a header of tensors") from error


def decode_tensors(content: bytes) -> dict[str, Tensor]:
    """Name -> tensor, in the order of their names: the library gives them in another order at every load.

    Raises:
        ValueError: these are no tensors; in words that follow the file's name.
    """
    try:
        return dict(sorted(load_tensors(content).items()))
    except (SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OverflowError) as error:
        raise ValueError(f"holds no tensors ({error})") from error


def decode_table(content: bytes) -> dict[str, list[Any]]:
    """The columns of a table, equally long, of numbers, texts, flags and None.

    Raises:
        ValueError: it is none; in words that follow the file's name.
    """
    columns = jsonfile.parse(content)
    if not isinstance(columns, dict) or not columns:
        raise ValueError("is no table: columns by their names are due")
    lengths = {}
    for name, column in columns.items():
        if not isinstance(column, list):
            raise ValueError(f"is no table: its column {name!r} is no list")
        if not set(map(type, column)) <= _SCALARS:
            raise ValueError(f"is no table: its column {name!r} holds lists or objects")
        lengths[len(column)] = name
    if len(lengths) > 1:
        (one, first), (other, second), *_ = lengths.items()
        raise ValueError(f"is no table: its column {first!r} has {one} rows, {second!r} has {other}")
    return columns
