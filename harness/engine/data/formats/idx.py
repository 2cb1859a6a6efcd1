"""The idx files of MNIST: yann.lecun.com/exdb/mnist, "The IDX file format"."""

import struct
from pathlib import PurePosixPath

import numpy as np

from harness.datainfo import DatasetFacts
from harness.engine.data.archives import GZIP_START, Source, gunzip
from harness.engine.data.formats.base import Array, Format, Reading, md5, only
from harness.errors import RequestError

_IDX = {
    "train_x": "train-images-idx3-ubyte",
    "train_y": "train-labels-idx1-ubyte",
    "test_x": "t10k-images-idx3-ubyte",
    "test_y": "t10k-labels-idx1-ubyte",
}


def _plain(name: str) -> str:
    """The name without .gz; some mirrors write train-images.idx3-ubyte."""
    return name.removesuffix(".gz").replace(".idx", "-idx")


def _read_idx(source: Source, known: DatasetFacts) -> Reading:
    info = known.info
    limit = 16 + max(info.n_train, info.n_test) * int(np.prod(info.shape))

    def unpack(path: PurePosixPath) -> bytes:
        content = source.files[path]
        return gunzip(content, limit, f"{source.name}: {path}") if _is_packed(content) else content

    contents = {}
    for name in _IDX.values():
        copies = {path: unpack(path) for path in source.files if _plain(path.name) == name}
        contents[name] = only(source, name, copies)
    other = [name for name, content in contents.items() if md5(content) != known.published.get(name)]
    arrays: dict[str, Array] = {}
    for part, name in _IDX.items():
        array = _parse_idx(contents[name], f"{source.name}: {name}")
        arrays[part] = array.astype(np.int64) if array.ndim == 1 else array[:, None]
    return Reading(
        arrays,
        original=not other,
        origin=f"the four idx files, from {source.name}{_misnamed(source)}",
        caveat=f"other bytes than the published files: {', '.join(other)}" if other else None,
    )


def _is_packed(content: bytes) -> bool:
    """By its first bytes, which differ from those of every idx file: names get lost when files are moved."""
    return content.startswith(GZIP_START)


def _misnamed(source: Source) -> str:
    """Files whose names say the opposite of what they are, in words."""
    wrong = [path for path, content in sorted(source.files.items()) if (path.suffix == ".gz") != _is_packed(content)]
    words = [f"{path} is {'named .gz and not packed' if path.suffix == '.gz' else 'packed by gzip'}" for path in wrong]
    return "".join(f"; {word}" for word in words)


def _lacks(source: Source, known: DatasetFacts) -> list[str]:
    present = {_plain(path.name) for path in source.files}
    return [name for name in _IDX.values() if name not in present]


def _parse_idx(content: bytes, name: str) -> Array:
    """An array of bytes: two zeros, type 8 (unsigned byte), number of axes, their lengths, the data."""
    axes = content[3] if len(content) > 3 else 0
    head = 4 + 4 * axes
    if content[:3] != b"\x00\x00\x08" or axes not in (1, 3) or len(content) < head:
        raise RequestError(f"{name} starts with {content[:4].hex()}, not as an idx file of bytes: get a sound copy")
    shape = struct.unpack(f">{axes}I", content[4:head])
    expected = int(np.prod(shape, dtype=object))
    if len(content) - head != expected:
        raise RequestError(f"{name} announces {expected} bytes and holds {len(content) - head}: get a sound copy")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)


IDX = Format(
    "four idx files (train-images-idx3-ubyte and so on, .gz or not)",
    lambda path: _plain(path.name) in _IDX.values(),
    _lacks,
    _read_idx,
)
