"""Datasets, checked against their record whenever they are loaded.

``harness.datainfo`` holds the facts and needs no torch; ``importing`` brings data in. What lies in one file is loaded
into memory; what is larger than ``datainfo.MEMORY_BYTES`` lies in a folder of shards, from which batches are read.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.datainfo import (
    DATA_FILE,
    MANIFEST_FILE,
    SHARDS_FOLDER,
    DatasetFacts,
    DatasetInfo,
    Record,
    describe,
    find,
    nominal,
    read_record,
    remedy,
)
from harness.engine.data.dataset import TENSORS, Dataset, digest, in_memory
from harness.engine.data.shard_folder import open_shards
from harness.errors import BrokenError, CorruptArtifact, DataMissing
from harness.jobs.artifact import decode_tensors, read_tensors

__all__ = ["Dataset", "DatasetInfo", "describe", "digest", "fault", "label_counts", "load", "nominal"]


def load(name: str, root: Path) -> Dataset:
    """The dataset, from ``root/<name>`` or, for an embedded one, from the library it comes with.

    Every load in a fresh process checks the SHA-256 of every file, the digest of the content, shapes, image counts,
    label range and the count of every label.

    Raises:
        RequestError: no dataset has this name.
        DataMissing: it was not imported under ``root``.
        CorruptArtifact: a file is damaged or is not what its record says.
    """
    known = find(name)
    if known.awaits:
        raise DataMissing(f"dataset {name} is not here: {known.awaits}")
    if not known.formats:
        return _load_embedded(name)
    try:
        state = _whole(known, root).stat()
    except OSError:
        return load_known(known, root)  # says what is missing
    record = read_record(known, root)
    return _load_cached(name, root.resolve(), str(record), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=4)
def _load_cached(name: str, root: Path, record: str, size: int, mtime_ns: int) -> Dataset:
    """Loads once a process; the last three arguments make it look again when the files change."""
    return load_known(find(name), root)


def load_known(known: DatasetFacts, root: Path) -> Dataset:
    """Reads and checks an imported dataset; ``load`` without the cache.

    Raises:
        DataMissing: it was not imported under ``root``.
        CorruptArtifact: the file is damaged or is not what its record says.
    """
    name = known.info.name
    record = read_record(known, root)
    if record is None:
        raise DataMissing(
            f"dataset {name} is not under {root}: run `harness data download {name}`, or "
            f"`harness data import {name} FOLDER_OR_ARCHIVE` with a copy you have"
        )
    path = _whole(known, root)
    if path.name == MANIFEST_FILE:
        data = open_shards(path.parent, record, known)
    else:
        data = in_memory(record.info, _read_tensors(path, record, known))
    if label_counts(data) != (record.train_counts, record.test_counts):
        raise CorruptArtifact(
            f"{path}: its labels count {label_counts(data)}, its record says otherwise: {remedy(known)}"
        )
    return data


def _whole(known: DatasetFacts, root: Path) -> Path:
    """The file whose checksum the record has: the manifest where there is a folder of shards, else the tensors."""
    folder = root / known.info.name
    shards = folder / SHARDS_FOLDER
    return shards / MANIFEST_FILE if shards.exists() else folder / DATA_FILE


def _read_tensors(path: Path, record: Record, known: DatasetFacts) -> dict[str, Tensor]:
    try:
        content = read_tensors(path)
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 != record.file_sha256:
            raise CorruptArtifact(
                f"{path} has SHA-256 {sha256} ({len(content)} bytes), its record says {record.file_sha256}: "
                f"it was truncated or changed; {remedy(known)}"
            )
        tensors = decode_tensors(content)
    except OSError as error:
        raise CorruptArtifact(f"{path} cannot be read ({error.strerror}): {remedy(known)}") from error
    except ValueError as error:
        raise CorruptArtifact(f"{path} {error}: {remedy(known)}") from error
    problem = fault(tensors, known)
    if problem is None and (actual := digest(tensors)) != record.info.digest:
        problem = f"its digest is {actual}, its record says {record.info.digest}"
    if problem is not None:
        raise CorruptArtifact(f"{path}: {problem}: {remedy(known)}")
    return tensors


def fault(tensors: Mapping[str, Tensor], known: DatasetFacts) -> str | None:
    """What is wrong with tensors that should be this dataset, in words.

    Returns:
        None when names, types, shapes and image counts are right, the labels are just 0 .. classes-1, and no more
        images are the same as others than in what the authors published.
    """
    info = known.info
    if sorted(tensors) != sorted(TENSORS):
        return f"it holds {', '.join(sorted(tensors))}, not {', '.join(sorted(TENSORS))}"
    for part, count in (("train", info.n_train), ("test", info.n_test)):
        for name, dtype, shape in (
            (f"{part}_x", torch.uint8, (count, *info.shape)),
            (f"{part}_y", torch.int64, (count,)),
        ):
            tensor = tensors[name]
            if tensor.dtype != dtype or tuple(tensor.shape) != shape:
                return (
                    f"{name} is {tensor.dtype} of shape {tuple(tensor.shape)}, "
                    f"of {info.name} it is {dtype} of shape {shape}"
                )
        labels = set(tensors[f"{part}_y"].tolist())
        if labels != set(range(info.classes)):
            return f"{part}_y holds the labels {sorted(labels)}, {info.name} has all of 0 to {info.classes - 1}"
    return _repeated(tensors, known)


def _repeated(tensors: Mapping[str, Tensor], known: DatasetFacts) -> str | None:
    """Which images have all pixels of another: test images among the training images measure memory, not learning."""
    rows = [row for part in ("train_x", "test_x") for row in tensors[part].flatten(1).contiguous().numpy()]
    first: dict[int, int] = {}
    pairs = []
    for index, row in enumerate(rows):
        other = first.setdefault(hash(row.tobytes()), index)  # a hash of 64 bits; equal ones are compared
        if other != index and np.array_equal(row, rows[other]):
            pairs.append((other, index))
    if len(pairs) <= known.repeats:
        return None
    n_train = known.info.n_train
    leaked = [(other, index - n_train) for other, index in pairs if other < n_train <= index]
    if leaked:
        (train, test), what = (
            leaked[0],
            f"{len(leaked)} of {known.info.n_test} test images are among the training images",
        )
        return f"{what}, pixel for pixel (test image {test} is training image {train}); {_as_published(known)}"
    part, start = ("training", 0) if pairs[0][1] < n_train else ("test", n_train)
    other, index = (number - start for number in pairs[0])
    return (
        f"{len(pairs)} images have all pixels of another of their part ({part} image {index} is {part} image {other}); "
        f"{_as_published(known)}"
    )


def _as_published(known: DatasetFacts) -> str:
    return f"in {known.info.name} as published {known.repeats or 'no'} images are the same as another"


def label_counts(data: Dataset) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Images of each label, in training and in test data."""
    train, test = (Counter(split.labels.tolist()) for split in (data.train, data.test))
    labels = range(data.info.classes)
    return tuple(train[label] for label in labels), tuple(test[label] for label in labels)


@lru_cache(maxsize=1)
def _load_embedded(name: str) -> Dataset:
    """The one dataset that comes with a library: scikit-learn's digits, checked against the pinned digest."""
    known = find(name)
    tensors = _digits(known.info.n_train)
    problem = fault(tensors, known)
    if problem is None and (actual := digest(tensors)) != known.info.digest:
        problem = f"their digest is {actual}, pinned is {known.info.digest}"
    if problem is not None:
        raise BrokenError(f"scikit-learn's digits are not those known: {problem}: install the pinned scikit-learn")
    return in_memory(known.info, tensors)


def _digits(n_train: int) -> dict[str, Tensor]:
    rows = _rows_of_digits()
    pixels = rows.astype(np.uint8)
    if not np.array_equal(pixels, rows):
        raise BrokenError("scikit-learn's digits are not whole numbers of 0 to 255: install the pinned scikit-learn")
    order = np.asarray(digits_order(len(rows)))
    x = torch.from_numpy(pixels[order, :-1].reshape(-1, 1, 8, 8))
    y = torch.from_numpy(pixels[order, -1].astype(np.int64))
    return {"train_x": x[:n_train], "train_y": y[:n_train], "test_x": x[n_train:], "test_y": y[n_train:]}


def _rows_of_digits() -> NDArray[np.float64]:
    """scikit-learn's file of the digits: 64 pixels and the label of each.

    Read without the library, whose import, with most of SciPy, takes longer than many a toy run.
    """
    place = find_spec("sklearn")
    folders = (place and place.submodule_search_locations) or []
    for path in (Path(folder, "datasets", "data", "digits.csv.gz") for folder in folders):
        if path.is_file():
            rows = np.loadtxt(path, delimiter=",", ndmin=2)
            if rows.shape[1] != 65:
                raise BrokenError(f"{path} has {rows.shape[1]} columns, not 65: install the pinned scikit-learn")
            return rows
    looked = f"no datasets/data/digits.csv.gz in {', '.join(folders)}" if folders else "there is no scikit-learn"
    raise BrokenError(f"scikit-learn's digits are not here, {looked}: install the pinned scikit-learn")


def digits_order(count: int) -> list[int]:
    """The fixed order in which the digits are split: indices sorted by SHA-256 of ``digits/<index>``.

    A pure function of the count, so that no library's generator can move an image between the parts.
    """
    return sorted(range(count), key=lambda index: hashlib.sha256(f"digits/{index}".encode()).digest())
