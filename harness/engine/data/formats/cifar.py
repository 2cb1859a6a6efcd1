"""The batches of CIFAR-10: www.cs.toronto.edu/~kriz/cifar.html, "Dataset layout" and "Binary version"."""

import io
import pickle
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from harness.datainfo import DatasetFacts
from harness.engine.data.archives import Source
from harness.engine.data.formats.base import Array, Format, Reading, all_distinct, md5, only
from harness.errors import RequestError

_TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST_BATCH = "test_batch"
_BATCHES = (*_TRAIN_BATCHES, _TEST_BATCH)
_BINARY = tuple(f"{batch}.bin" for batch in _BATCHES)
_BINARY_ARCHIVE = "cifar-10-binary.tar.gz"


_RECONSTRUCT = np.empty(0).__reduce__()[0]  # wherever this numpy keeps it


class _ArraysOnly(pickle.Unpickler):
    """Builds arrays and plain containers only: a second guard, behind the checksums."""

    def find_class(self, module: str, name: str) -> object:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _RECONSTRUCT
        if (module, name) in {("numpy", "ndarray"), ("numpy", "dtype")}:
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a batch of images")


def _named(source: Source, name: str) -> bytes:
    return only(source, name, {path: content for path, content in source.files.items() if path.name == name})


def _lacking(names: Sequence[str]) -> Callable[[Source, DatasetFacts], list[str]]:
    def lacks(source: Source, known: DatasetFacts) -> list[str]:
        present = {path.name for path in source.files}
        return [name for name in names if name not in present]

    return lacks


def _read_cifar_python(source: Source, known: DatasetFacts) -> Reading:
    contents = {batch: _named(source, batch) for batch in _BATCHES}
    for batch, content in contents.items():  # all of them before the first is unpickled
        if md5(content) != known.published[batch]:
            raise RequestError(
                f"{source.name}: {batch} has MD5 {md5(content)}, published is {known.published[batch]}; an "
                "unverified pickle can run code, so it is not opened: get the official "
                "cifar-10-python.tar.gz, or the binary version, or image files"
            )
    batches = {}
    for batch, content in contents.items():
        fields = _ArraysOnly(io.BytesIO(content), encoding="bytes").load()
        batches[batch] = (np.asarray(fields[b"data"]), np.asarray(fields[b"labels"], np.int64))
    origin = f"the official Python version, every batch compared with its published MD5, from {source.name}"
    return Reading(_joined(batches, known), original=True, origin=origin, caveat=None)


def _read_cifar_binary(source: Source, known: DatasetFacts) -> Reading:
    size = 1 + int(np.prod(known.info.shape))  # one label byte, then the pixels
    contents = {name: _named(source, name) for name in _BINARY}
    all_distinct(source, contents)
    batches = {}
    for name, content in contents.items():
        if len(content) % size:
            raise RequestError(
                f"{source.name}: {name} has {len(content)} bytes, not a whole number of {size}-byte records: "
                "get a sound copy"
            )
        records = np.frombuffer(content, np.uint8).reshape(-1, size)
        batches[name.removesuffix(".bin")] = (records[:, 1:], records[:, 0].astype(np.int64))
    original = source.md5 is not None and source.md5 == known.published.get(_BINARY_ARCHIVE)
    caveat = f"binary batches, not compared with a published checksum (only {_BINARY_ARCHIVE} has one)"
    origin = f"the binary version, from {source.name}"
    return Reading(_joined(batches, known), original, origin, None if original else caveat)


def _joined(batches: Mapping[str, tuple[Array, Array]], known: DatasetFacts) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for part, names in (("train", _TRAIN_BATCHES), ("test", (_TEST_BATCH,))):
        images = np.concatenate([batches[name][0] for name in names])
        arrays[f"{part}_x"] = images.reshape(-1, *known.info.shape)
        arrays[f"{part}_y"] = np.concatenate([batches[name][1] for name in names])
    return arrays


CIFAR_PYTHON = Format(
    "the official cifar-10-python.tar.gz or its folder (data_batch_1 and so on)",
    lambda path: path.name in _BATCHES,
    _lacking(_BATCHES),
    _read_cifar_python,
)
CIFAR_BINARY = Format(
    "the binary version (data_batch_1.bin and so on)",
    lambda path: path.name in _BINARY,
    _lacking(_BINARY),
    _read_cifar_binary,
)
