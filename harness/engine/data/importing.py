"""Brings a dataset in: a folder or an archive -> ``<root>/<name>/data.safetensors`` and its ``record.json``.

A dataset beyond ``datainfo.MEMORY_BYTES`` goes to a folder ``shards`` in place of that file. The data is renamed into
place first and the record last, so a killed import leaves no record, which is the same as no import. Nothing is
unpacked to disk, and nothing is unpickled before its checksum is verified.
"""

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace as with_fields
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from harness.datainfo import (
    DATA_FILE,
    MEMORY_BYTES,
    RECORD_FILE,
    SHARDS_FOLDER,
    DatasetFacts,
    DatasetInfo,
    Record,
    find,
    read_record,
    record_text,
)
from harness.engine.data.archives import Limits, Source, read_source
from harness.engine.data.dataset import digest, in_memory
from harness.engine.data.datasets import fault, label_counts
from harness.engine.data.formats import FORMATS, Format, Reading
from harness.engine.data.shard_folder import open_shards, write_shards
from harness.engine.data.vision import torchvision_part
from harness.errors import BrokenError, CorruptArtifact, RequestError
from harness.files import digest_of, write_new

_TORCHVISION_NAMES = {"mnist": "MNIST", "cifar10": "CIFAR10"}


def import_dataset(name: str, source: Path, root: Path, replace: bool = False) -> DatasetInfo:
    """Imports a dataset from a folder or an archive (tar, tar.gz, tar.xz, tar.bz2, zip).

    The same data again is a no-op (a damaged file is then written anew); other data needs ``replace``.

    Returns:
        The facts of what now lies under ``root``.

    Raises:
        RequestError: the name is unknown or embedded, the source is unsafe, damaged, incomplete or not this
            dataset, or other data was imported before.
        CorruptArtifact: an earlier import has an unreadable record, and ``replace`` was not asked for.
        BrokenError: the data cannot be written.
    """
    return import_known(find(name), source, root, replace)


def download_dataset(name: str, root: Path, replace: bool = False) -> DatasetInfo:
    """Downloads a dataset through torchvision and imports it.

    Raises:
        RequestError: the name is unknown or embedded, or the download failed.
        CorruptArtifact: as ``import_dataset``.
        BrokenError: as ``import_dataset``.
    """
    _formats(find(name))
    if name not in _TORCHVISION_NAMES:
        raise RequestError(f"{name} cannot be downloaded: run `harness data import {name} FOLDER_OR_ARCHIVE`")
    with tempfile.TemporaryDirectory(prefix=f"download-{name}-") as folder:
        try:
            getattr(torchvision_part("datasets"), _TORCHVISION_NAMES[name])(folder, download=True)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())  # torchvision's are several lines
            raise RequestError(
                f"{name} could not be downloaded ({reason}): where there is no network, get a copy elsewhere "
                f"and run `harness data import {name} FOLDER_OR_ARCHIVE`"
            ) from error
        return import_known(find(name), Path(folder), root, replace)


def import_known(
    known: DatasetFacts,
    path: Path,
    root: Path,
    replace: bool = False,
    limits: Limits | None = None,
    memory_bytes: int = MEMORY_BYTES,
) -> DatasetInfo:
    """``import_dataset`` for given facts, limits, and bytes of a dataset above which it is put into shards."""
    reading = _read(known, path, limits or Limits())
    tensors = {part: torch.from_numpy(np.array(array, order="C")) for part, array in reading.arrays.items()}
    problem = fault(tensors, known)
    if problem is not None:
        raise RequestError(f"{path} is not {known.info.name}: {problem}: get a complete copy")
    info = with_fields(
        known.info,
        digest=digest(tensors),
        original=reading.original,
        origin=reading.origin,
        caveat=reading.caveat,
    )
    existing = None if replace else read_record(known, root)
    if existing is not None and existing.info.digest != info.digest:
        raise RequestError(
            f"{root / info.name} already holds other data (digest {existing.info.digest[:12]}, "
            f"{existing.info.origin}; {path} has {info.digest[:12]}): pass --replace to give it up"
        )
    sharded = info.memory_bytes > memory_bytes
    if existing is not None and _intact(root / info.name, existing, known, sharded):
        return existing.info
    _commit(info, tensors, root, sharded)
    return info


def _formats(known: DatasetFacts) -> tuple[str, ...]:
    if known.awaits:
        raise RequestError(f"{known.info.name} cannot be imported yet: {known.awaits}")
    if not known.formats:
        raise RequestError(f"{known.info.name} comes with a library and needs no import: it is ready to use")
    return known.formats


def _read(known: DatasetFacts, path: Path, limits: Limits) -> Reading:
    """Reads the source in the first of the dataset's formats that it holds all files of, and tells what else it has."""
    formats = [FORMATS[name] for name in _formats(known)]
    source = read_source(path, lambda member: any(form.wants(member) for form in formats), limits)
    present = {}
    for form in formats:
        files = {member: content for member, content in source.files.items() if form.wants(member)}
        if files:
            present[form] = Source(source.name, source.md5, files)
    if not present:
        looks = "; or ".join(form.looks for form in formats)
        raise RequestError(f"{path} holds no {known.info.name}: expected {looks}")
    lacking = {form: form.lacks(part, known) for form, part in present.items()}
    chosen = next((form for form in present if not lacking[form]), None)
    if chosen is None:
        raise RequestError(_incomplete(path, known, lacking))
    reading = chosen.read(present[chosen], known)
    rest = [f"{_some(list(map(str, part.files)))} of {form.looks}" for form, part in present.items() if form != chosen]
    return with_fields(reading, origin="; ignored beside it: ".join([reading.origin, *rest]))


def _incomplete(path: Path, known: DatasetFacts, lacking: Mapping[Format, list[str]]) -> str:
    if len(lacking) == 1:
        (names,) = lacking.values()
        return f"{path} holds no {_some(names)}: get a complete copy"
    forms = "; ".join(f"of {form.looks} it has no {_some(names)}" for form, names in lacking.items())
    return (
        f"{path} holds parts of several forms of {known.info.name} and none is complete: {forms}: complete one of them"
    )


def _some(names: Sequence[str]) -> str:
    """The first few names, and how many more."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _intact(folder: Path, record: Record, known: DatasetFacts, sharded: bool) -> bool:
    """Whether an import in this form lies here undamaged."""
    try:
        if sharded:
            open_shards(folder / SHARDS_FOLDER, record, known)
            return True
        return not (folder / SHARDS_FOLDER).exists() and digest_of(folder / DATA_FILE) == record.file_sha256
    except (OSError, ValueError, CorruptArtifact):
        return False


def _commit(info: DatasetInfo, tensors: dict[str, Tensor], root: Path, sharded: bool) -> None:
    folder = root / info.name
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".import-", dir=folder))
        try:
            _put_in_place(folder, staging, *_stage(info, tensors, staging, sharded))
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise BrokenError(
            f"{folder} cannot be written ({error}): free the disk or choose another data folder"
        ) from error


def _stage(info: DatasetInfo, tensors: dict[str, Tensor], staging: Path, sharded: bool) -> tuple[str, str]:
    """Writes data and record beside their places; names of what is to stay and of what the other form would have."""
    data = in_memory(info, tensors)
    if sharded:
        (staging / SHARDS_FOLDER).mkdir()
        checksum = write_shards(data, staging / SHARDS_FOLDER)
    else:
        content = save_tensors(tensors)
        checksum = hashlib.sha256(content).hexdigest()
        write_new(staging / DATA_FILE, content)
    record = Record(info, *label_counts(data), checksum)
    write_new(staging / RECORD_FILE, record_text(record).encode())
    return (SHARDS_FOLDER, DATA_FILE) if sharded else (DATA_FILE, SHARDS_FOLDER)


def _put_in_place(folder: Path, staging: Path, kept: str, other: str) -> None:
    (folder / RECORD_FILE).unlink(missing_ok=True)  # from here on there is no import, until the last rename
    for name in (kept, other) if kept == SHARDS_FOLDER else (other,):
        if (folder / name).exists():  # one step, so that a kill leaves the whole of it in the staging folder, or none
            (folder / name).rename(staging / f"old-{name}")
    (staging / kept).replace(folder / kept)
    (staging / RECORD_FILE).replace(folder / RECORD_FILE)
