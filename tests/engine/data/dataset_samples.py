"""Small stand-ins for the published datasets, in every form they may arrive in."""

import hashlib
import io
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from harness.datainfo import KNOWN, DatasetFacts
from harness.engine.data.archives import Limits
from harness.engine.data.importing import import_known
from harness.errors import RequestError

Array = npt.NDArray[Any]
Files = dict[str, bytes]


def tiny(name: str, n_train: int, n_test: int, shape: tuple[int, int, int]) -> DatasetFacts:
    known = KNOWN[name]
    return replace(known, info=replace(known.info, n_train=n_train, n_test=n_test, shape=shape))


TINY_MNIST = tiny("mnist", 30, 10, (1, 4, 5))
TINY_CIFAR = tiny("cifar10", 50, 10, (3, 4, 5))


def pixels(*shape: int) -> Array:
    count = int(np.prod(shape))
    return (np.arange(count) * 37 % 251).astype(np.uint8).reshape(shape)


TEST_PIXELS = pixels(40, 4, 5)[30:]  # none of them is a training image


def labels(count: int) -> Array:
    return (np.arange(count) * 3 % 10).astype(np.uint8)


def idx(array: Array) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def mnist_files() -> Files:
    return {
        "train-images-idx3-ubyte": idx(pixels(30, 4, 5)),
        "train-labels-idx1-ubyte": idx(labels(30)),
        "t10k-images-idx3-ubyte": idx(TEST_PIXELS),
        "t10k-labels-idx1-ubyte": idx(labels(10)),
    }


def cifar_batches() -> dict[str, tuple[Array, Array]]:
    names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    return {name: (pixels(10, 60) + np.uint8(n), labels(10)) for n, name in enumerate(names)}


def python2_pickle(x: Array, y: Array) -> bytes:
    """A batch as Python 2 pickled it, and no Python 3 does: byte strings, old module names."""

    def text(content: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(content)) + content

    def small(*numbers: int) -> bytes:
        return b"".join(b"K" + bytes([number]) for number in numbers)

    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + small(0) + b"\x85" + text(b"b") + b"\x87R"
    dtype = b"cnumpy\ndtype\n" + text(b"u1") + small(0, 1) + b"\x87R"
    dtype += b"(" + small(3) + text(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + small(0) + b"tb"
    state = b"(" + small(1) + b"(" + small(*x.shape) + b"t" + dtype + b"\x89" + text(x.tobytes()) + b"tb"
    return (
        b"\x80\x02}(" + text(b"batch_label") + text(b"training batch 1 of 5") + text(b"data") + empty + state
        + text(b"labels") + b"](" + small(*y.tolist()) + b"eu."
    )  # fmt: skip


def cifar_python() -> Files:
    return {f"cifar-10-batches-py/{name}": python2_pickle(x, y) for name, (x, y) in cifar_batches().items()}


def cifar_binary() -> Files:
    return {
        f"cifar-10-batches-bin/{name}.bin": np.concatenate([y[:, None], x], axis=1).tobytes()
        for name, (x, y) in cifar_batches().items()
    }


def image_files(suffix: str = "png", size: tuple[int, int] = (5, 4), mode: str = "RGB") -> Files:
    files = {}
    for part, each in (("train", 5), ("test", 1)):
        for label, name in enumerate(TINY_CIFAR.class_names):
            for number in range(each):
                buffer = io.BytesIO()
                colour = (label * 20, number * 40, 7 if part == "train" else 99) if mode == "RGB" else label
                Image.new(mode, size, colour).save(buffer, "JPEG" if suffix == "jpg" else "PNG")
                files[f"{part}/{name}/{number:04}.{suffix}"] = buffer.getvalue()
    return files


def verified(known: DatasetFacts, files: Files) -> DatasetFacts:
    """The same facts with these files' checksums as the published ones."""
    published = {Path(name).name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    return replace(known, published={**known.published, **published})


def as_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def as_tar(path: Path, files: Mapping[str, bytes], *extra: tarfile.TarInfo) -> Path:
    mode = {".gz": "w:gz", ".xz": "w:xz", ".bz2": "w:bz2"}.get(path.suffix, "w")
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for entry in extra:
            archive.addfile(entry)
    return path


def as_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def changed(files: Files, **changes: bytes | None) -> Files:
    """The files with some replaced, or left out where None; keys are ends of names."""
    result = dict(files)
    for end, content in changes.items():
        (name,) = (name for name in files if name.replace("-", "_").endswith(end))
        del result[name]
        if content is not None:
            result[name] = content
    return result


TRAIN_X, TRAIN_Y = "train_images_idx3_ubyte", "train_labels_idx1_ubyte"


def nothing_left(root: Path) -> bool:
    return not root.exists() or not list(root.rglob("*"))


def refused(known: DatasetFacts, source: Path, root: Path, *, limits: Limits | None = None) -> str:
    """The message with which an import is refused, leaving nothing behind."""
    with pytest.raises(RequestError) as caught:
        import_known(known, source, root, limits=limits)
    assert nothing_left(root)
    return str(caught.value)
