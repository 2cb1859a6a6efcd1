"""Reads a folder or an archive that nobody vouches for: into memory, within bounds, writing nothing.

Refused: paths that lead out, links and devices, members listed twice, and whatever unpacks to more than the
limits allow, however small it is when packed.
"""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from harness.errors import RequestError

Wanted = Callable[[PurePosixPath], bool]

_UNPACKERS: dict[bytes, Callable[[IO[bytes]], io.BufferedIOBase]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"BZh": bz2.BZ2File,
}
_ZIP_START = b"PK\x03\x04"
_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    OSError,
    NotImplementedError,
)


@dataclass(frozen=True)
class Limits:
    """What a source may unpack to; far above any known dataset, far below a machine's memory."""

    file_bytes: int = 256 << 20
    total_bytes: int = 1 << 30
    files: int = 200_000


@dataclass(frozen=True)
class Source:
    """The wanted files of a folder or an archive.

    Attributes:
        name: of the folder or archive, without the way to it.
        md5: of the archive file (hex); None for a folder.
        files: contents by path below the folder, or in the archive.
    """

    name: str
    md5: str | None
    files: Mapping[PurePosixPath, bytes]


def read_source(path: Path, wanted: Wanted, limits: Limits) -> Source:
    """Reads the wanted files of a folder, or of a tar (plain, gz, xz, bz2) or zip archive.

    Raises:
        RequestError: there is nothing at the path, it is no archive, it is damaged, unsafe or too large.
    """
    if path.is_dir():
        members, md5 = _folder_members(path, wanted, limits), None
    elif path.is_file():
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        members = _archive_members(path, wanted, limits)
    else:
        raise RequestError(f"{path} does not exist: give a folder or an archive (tar, tar.gz, tar.xz, zip)")
    files: dict[PurePosixPath, bytes] = {}
    try:
        for member, content in members:
            if member in files:
                raise RequestError(f"{path} lists {member} twice, so its content is ambiguous: get a sound copy")
            files[member] = content
    except _DAMAGE as error:
        raise RequestError(
            f"{path} cannot be read to its end ({type(error).__name__}: {error}): it is truncated, "
            "damaged or no tar or zip archive; get a sound copy"
        ) from error
    return Source(path.resolve().name, md5, files)


def gunzip(content: bytes, limit: int, name: str) -> bytes:
    """The unpacked bytes of a gzip file that may hold ``limit`` bytes at most.

    Raises:
        RequestError: truncated, damaged, or larger.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise RequestError(f"{name} is truncated or damaged ({error}): get a sound copy") from error
    if len(unpacked) > limit:
        raise RequestError(f"{name} unpacks to more than the {limit} bytes it may hold: get a sound copy")
    return unpacked


def _folder_members(root: Path, wanted: Wanted, limits: Limits) -> Iterator[tuple[PurePosixPath, bytes]]:
    total = 0
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            member = PurePosixPath(path.relative_to(root).as_posix())
            if not wanted(member) or not path.is_file():
                continue
            size = path.stat().st_size
            total += size
            _check_size(path, size, limits)
            _check_total(root, total, limits)
            yield member, path.read_bytes()


def _archive_members(path: Path, wanted: Wanted, limits: Limits) -> Iterator[tuple[PurePosixPath, bytes]]:
    with path.open("rb") as file:
        start = file.read(8)
        file.seek(0)
        if start.startswith(_ZIP_START):
            yield from _zip_members(path, file, wanted, limits)
            return
        for magic, unpack in _UNPACKERS.items():
            if start.startswith(magic):
                with unpack(file) as unpacked:
                    yield from _tar_members(path, unpacked, wanted, limits)
                return
        yield from _tar_members(path, file, wanted, limits)


class _Bounded:
    """A stream that refuses to give more than a total: headers and unwanted members count too."""

    def __init__(self, stream: IO[bytes] | io.BufferedIOBase, path: Path, limits: Limits) -> None:
        self._stream, self._path, self._limits = stream, path, limits
        self._total = 0

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(size)
        self._total += len(block)
        _check_total(self._path, self._total, self._limits)
        return block


def _tar_members(
    path: Path, stream: IO[bytes] | io.BufferedIOBase, wanted: Wanted, limits: Limits
) -> Iterator[tuple[PurePosixPath, bytes]]:
    bounded = _Bounded(stream, path, limits)
    with tarfile.open(fileobj=cast("IO[bytes]", bounded), mode="r|") as archive:  # as a stream: only reads
        for count, entry in enumerate(archive, start=1):
            _check_count(path, count, limits)
            member = _safe(path, entry.name)
            if entry.isdir():
                continue
            if not entry.isreg() or entry.issparse():
                raise RequestError(f"{path} holds {entry.name}, which is no plain file: links and devices are refused")
            if wanted(member):
                _check_size(f"{path}: {entry.name}", entry.size, limits)
                content = archive.extractfile(entry)
                assert content is not None  # a regular file always has a reader
                yield member, content.read()
    while bounded.read(1 << 20):  # to the end, where the compressed stream keeps its checksum
        pass


def _zip_members(path: Path, file: IO[bytes], wanted: Wanted, limits: Limits) -> Iterator[tuple[PurePosixPath, bytes]]:
    total = 0
    with zipfile.ZipFile(file) as archive:
        _check_count(path, len(archive.infolist()), limits)
        for entry in archive.infolist():
            member = _safe(path, entry.filename)
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise RequestError(f"{path} holds {entry.filename}, a link: links are refused")
            if entry.flag_bits & 1:
                raise RequestError(f"{path} holds {entry.filename}, which is encrypted: unpack it first")
            if entry.is_dir() or not wanted(member):
                continue
            with archive.open(entry) as unpacked:  # the size in the directory may lie, so count what comes
                content = unpacked.read(limits.file_bytes + 1)
            total += len(content)
            _check_size(f"{path}: {entry.filename}", len(content), limits)
            _check_total(path, total, limits)
            yield member, content


def _safe(path: Path, name: str) -> PurePosixPath:
    member = PurePosixPath(name)
    if member.is_absolute() or ".." in member.parts or "\\" in name or ":" in "".join(member.parts[:1]):
        raise RequestError(f"{path} holds {name!r}, a path that leads out of the archive: get a sound copy")
    return member


def _check_size(what: Path | str, size: int, limits: Limits) -> None:
    if size > limits.file_bytes:
        raise RequestError(f"{what} unpacks to more than {limits.file_bytes} bytes: no known dataset has such a file")


def _check_total(path: Path, total: int, limits: Limits) -> None:
    if total > limits.total_bytes:
        raise RequestError(f"{path} unpacks to more than {limits.total_bytes} bytes: no known dataset is so large")


def _check_count(path: Path, count: int, limits: Limits) -> None:
    if count > limits.files:
        raise RequestError(f"{path} holds more than {limits.files} members: no known dataset has so many")
