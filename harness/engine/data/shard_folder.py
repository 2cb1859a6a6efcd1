"""A dataset in a folder of shards: written from any other, and read batch by batch without being held as a whole.

The folder has ``manifest.json``; of each split ``<split>-labels.i64``, int64 [N] little-endian, and shards
``<split>-00000.u8`` and on, each some of the images one after another, uint8 [C, H, W] in C order. Nothing of it is
unpickled, and no length is believed before it is compared with the manifest.
"""

import hashlib
from math import prod
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness import jsonfile
from harness.datainfo import MANIFEST_FILE, DatasetFacts, Record
from harness.engine.data.dataset import ContentDigest, Dataset, Split, elements
from harness.engine.data.shards import Checked, Shards, identity, told
from harness.files import open_regular, read_regular, write_new

SHARD_BYTES = 1 << 28
"""About how long a shard is."""
_LARGEST_MANIFEST = 16 << 20
_PART_BYTES = 1 << 24
_SPLITS = ("train", "test")

_Hex = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Shard(_Strict):
    """A file of images.

    Attributes:
        file: its name.
        images: how many it holds.
        sha256: of its content.
    """

    file: Annotated[str, Field(pattern=r"^(train|test)-[0-9]{5,9}\.u8$")]
    images: Annotated[int, Field(ge=1)]
    sha256: _Hex


class Part(_Strict):
    """The files of a split.

    Attributes:
        labels_sha256: of ``<split>-labels.i64``.
        shards: in the order of their images.
    """

    labels_sha256: _Hex
    shards: Annotated[list[Shard], Field(min_length=1)]


class Manifest(_Strict):
    """What a folder of shards holds.

    Attributes:
        digest: of the content, see ``dataset.ContentDigest``: that of the same dataset in memory.
        train: files of the training data.
        test: files of the test data.
    """

    digest: _Hex
    train: Part
    test: Part


def write_shards(data: Dataset, folder: Path, shard_bytes: int = SHARD_BYTES) -> str:
    """Writes a dataset as shards; of its images no more than a shard is held.

    Args:
        data: any dataset.
        folder: an empty one.
        shard_bytes: about how long a shard may be; it holds an image at least.

    Returns:
        SHA-256 (hex) of the manifest.

    Raises:
        OSError: it cannot be written.
    """
    content = ContentDigest()
    each = max(1, shard_bytes // prod(data.info.shape))
    parts = {name: _write_part(name, getattr(data, name), folder, each, content) for name in _SPLITS}
    manifest = Manifest(digest=content.hex, **parts).model_dump_json(indent=1).encode() + b"\n"
    write_new(folder / MANIFEST_FILE, manifest)
    return hashlib.sha256(manifest).hexdigest()


def _write_part(name: str, split: Split, folder: Path, each: int, content: ContentDigest) -> Part:
    count = len(split.labels)
    shards: list[Shard] = []
    for start in range(0, count, each):
        images = split.images(slice(start, min(start + each, count)))
        if start == 0:
            content.enter(f"{name}_x", "uint8", (count, *images.shape[1:]))
        written, file = elements(images), f"{name}-{len(shards):05}.u8"
        content.add(written)
        write_new(folder / file, bytes(written))
        shards.append(Shard(file=file, images=len(images), sha256=hashlib.sha256(written).hexdigest()))
    labels = elements(split.labels)
    content.enter(f"{name}_y", "int64", (count,))
    content.add(labels)
    write_new(folder / _labels_file(name), bytes(labels))
    return Part(labels_sha256=hashlib.sha256(labels).hexdigest(), shards=shards)


def open_shards(folder: Path, record: Record, known: DatasetFacts) -> Dataset:
    """The dataset in a folder of shards, every file of which is read once and compared with its checksum.

    Args:
        folder: of the shards.
        record: of the import.
        known: the dataset, for what to do about damage.

    Raises:
        CorruptArtifact: a file is missing, damaged or not what the manifest, or the record, says.
    """
    path = folder / MANIFEST_FILE
    with told(path, known):
        text = read_regular(path, _LARGEST_MANIFEST)
        sha256 = hashlib.sha256(text).hexdigest()
        if sha256 != record.file_sha256:
            raise ValueError(f"has SHA-256 {sha256}, its record says {record.file_sha256}: it was changed")
        manifest = _parsed(text)
        if manifest.digest != record.info.digest:
            raise ValueError(f"is of the digest {manifest.digest}, its record says {record.info.digest}")
        _check_counts(manifest, record)
    content = ContentDigest()
    train, test = (_open_part(name, getattr(manifest, name), folder, known, content) for name in _SPLITS)
    with told(path, known):
        if content.hex != manifest.digest:
            raise ValueError(f"is of the digest {manifest.digest}, that of its files is {content.hex}")
    return Dataset(record.info, train, test)


def _parsed(text: bytes) -> Manifest:
    try:
        jsonfile.parse(text)  # is stricter than the library's own reading
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"is no manifest of shards ({jsonfile.told(error)})") from None


def _check_counts(manifest: Manifest, record: Record) -> None:
    for name, count in (("train", record.info.n_train), ("test", record.info.n_test)):
        shards: list[Shard] = getattr(manifest, name).shards
        if sum(shard.images for shard in shards) != count:
            raise ValueError(f"has {sum(shard.images for shard in shards):,} {name} images, not {count:,}")
        files = [shard.file for shard in shards]
        if len(set(files)) != len(files) or any(not file.startswith(f"{name}-") for file in files):
            raise ValueError(f"names a shard of the {name} images twice, or one that is not of them")


def _open_part(name: str, part: Part, folder: Path, known: DatasetFacts, content: ContentDigest) -> Shards:
    count, image_bytes = sum(shard.images for shard in part.shards), prod(known.info.shape)
    content.enter(f"{name}_x", "uint8", (count, *known.info.shape))
    files = []
    for shard in part.shards:
        path = folder / shard.file
        with told(path, known), open_regular(path) as (file, size):
            if size != shard.images * image_bytes:
                raise ValueError(f"has {size:,} bytes, the manifest says {shard.images * image_bytes:,}")
            state = hashlib.sha256()
            while piece := file.read(_PART_BYTES):
                state.update(piece)
                content.add(piece)
            if state.hexdigest() != shard.sha256:
                raise ValueError(f"has SHA-256 {state.hexdigest()}, the manifest says {shard.sha256}")
            files.append(Checked(path, shard.images, identity(file)))
    path = folder / _labels_file(name)
    with told(path, known):
        text = read_regular(path, 8 * count)
        if (sha256 := hashlib.sha256(text).hexdigest()) != part.labels_sha256:
            raise ValueError(f"has SHA-256 {sha256}, the manifest says {part.labels_sha256}")
        labels = np.frombuffer(text, "<i8").astype(np.int64)
        if len(labels) != count or not ((labels >= 0) & (labels < known.info.classes)).all():
            raise ValueError(f"has other than {count:,} labels of 0 to {known.info.classes - 1}")
    content.enter(f"{name}_y", "int64", (count,))
    content.add(text)
    return Shards(tuple(files), torch.from_numpy(labels), known)


def _labels_file(split: str) -> str:
    return f"{split}-labels.i64"
