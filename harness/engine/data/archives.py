"""Reads a folder or an archive that nobody vouches for: into memory, within bounds, writing nothing.

Refused of archives: paths that lead out, links and devices, members listed twice, and whatever unpacks to more
than the limits allow, however small it is when packed. Of folders: see ``folders``.
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

from harness.engine.data.bounds import (
    Limits,
    Wanted,
    check_count,
    check_path,
    check_size,
    check_total,
    told_as_damage,
)
from harness.engine.data.folders import folder_members
from harness.errors import RequestError
from harness.files import kind_of

__all__ = ["GZIP_START", "Limits", "Source", "gunzip", "read_source"]

GZIP_START = b"\x1f\x8b"
_UNPACKERS: dict[bytes, Callable[[IO[bytes]], io.BufferedIOBase]] = {
    GZIP_START: lambda file: gzip.GzipFile(fileobj=file),
    b"\xfd7zXZ\x00": lzma.LZMAFile,
    b"BZh": bz2.BZ2File,
}
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")  # a first member, or none
_ZIP_ENTRY_BYTES = 256  # of a zip's directory for each member: 46, its path, and what some archivers add
_GLOBAL_HEADERS = 64
_BLOCK = 1 << 20
_SOUND_COPY = "it is truncated, damaged or no tar or zip archive; get a sound copy"


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
    mode = _mode(path)
    if stat.S_ISDIR(mode):
        members, md5 = folder_members(path, wanted, limits), None
    elif stat.S_ISREG(mode):
        md5 = _md5(path, limits)
        members = _archive_members(path, wanted, limits)
    else:
        raise RequestError(f"{path} is {kind_of(mode)}: give a folder or an archive (tar, tar.gz, tar.xz, zip)")
    files: dict[PurePosixPath, bytes] = {}
    for member, content in members:
        if member in files:
            raise RequestError(f"{path} lists {member} twice, so its content is ambiguous: get a sound copy")
        files[member] = content
    return Source(path.resolve().name, md5, files)


def _mode(path: Path) -> int:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError as error:
        what = "is a link that leads to nothing" if path.is_symlink() else "does not exist"
        raise RequestError(f"{path} {what}: give a folder or an archive (tar, tar.gz, tar.xz, zip)") from error
    except (OSError, ValueError) as error:
        raise RequestError(f"{path} cannot be read ({error}): give a folder or an archive") from error


def _md5(path: Path, limits: Limits) -> str:
    """MD5 (hex) of an archive, which is never larger than what it may unpack to."""
    try:
        if path.stat().st_size > limits.total_bytes:
            raise RequestError(f"{path} has more than {limits.total_bytes} bytes: no known dataset is so large")
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError as error:
        raise RequestError(f"{path} cannot be read ({error.strerror or error}): make it readable") from error


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


def _archive_members(path: Path, wanted: Wanted, limits: Limits) -> Iterator[tuple[PurePosixPath, bytes]]:
    with told_as_damage(f"{path} cannot be read to its end", _SOUND_COPY), path.open("rb") as file:
        start = file.read(8)
        file.seek(0)
        if start.startswith(_ZIP_STARTS):
            yield from _zip_members(path, file, wanted, limits)
            return
        for magic, unpack in _UNPACKERS.items():
            if start.startswith(magic):
                with unpack(file) as unpacked:
                    yield from _tar_members(path, unpacked, wanted, limits)
                return
        yield from _tar_members(path, file, wanted, limits)


class _Bounded:
    """A stream that gives no more than allowed: headers and unwanted members count too."""

    def __init__(self, stream: IO[bytes] | io.BufferedIOBase, path: Path, limits: Limits) -> None:
        self._stream, self._path, self._limits = stream, path, limits
        self._total = 0
        self._headers_from: int | None = None

    def read(self, size: int, /) -> bytes:
        block = self._stream.read(size)
        self._total += len(block)
        check_total(self._path, self._total, self._limits)
        if self._headers_from is not None and self._total > self._headers_from + self._limits.header_bytes:
            raise RequestError(
                f"{self._path} has headers of more than {self._limits.header_bytes} bytes before one member: "
                "no known dataset has such; get a sound copy"
            )
        return block

    def expect_headers(self, start: int | None) -> None:
        """From this position on only headers are expected; None: contents."""
        self._headers_from = start


def _tar_members(
    path: Path, stream: IO[bytes] | io.BufferedIOBase, wanted: Wanted, limits: Limits
) -> Iterator[tuple[PurePosixPath, bytes]]:
    bounded = _Bounded(stream, path, limits)
    bounded.expect_headers(0)
    with tarfile.open(fileobj=cast("IO[bytes]", bounded), mode="r|") as archive:  # as a stream: only reads
        count = 0
        while (entry := archive.next()) is not None:
            bounded.expect_headers(None)
            count += 1
            check_count(path, count, limits)
            if len(archive.pax_headers) > _GLOBAL_HEADERS:  # each is applied to every member
                raise RequestError(f"{path} has more than {_GLOBAL_HEADERS} global headers: get a sound copy")
            member = _safe(path, entry.name)
            if not entry.isdir():
                if not entry.isreg() or entry.issparse():
                    raise RequestError(
                        f"{path} holds {entry.name!r}, which is no plain file: links and devices are refused"
                    )
                is_wanted = wanted(member)
                check_path(path, member, is_wanted, limits)
                if is_wanted:
                    check_size(f"{path}: {member}", entry.size, limits)
                    content = archive.extractfile(entry)
                    assert content is not None  # a regular file always has a reader
                    yield member, content.read()
            bounded.expect_headers(entry.offset_data + entry.size)
        bounded.expect_headers(None)
        rest = cast("IO[bytes]", archive.fileobj)
        while block := rest.read(_BLOCK):  # to the end, where the compressed stream keeps its checksum
            if block.strip(b"\0"):
                raise RequestError(f"{path} holds bytes that belong to no member, after {count} of them: {_SOUND_COPY}")


def _zip_members(path: Path, file: IO[bytes], wanted: Wanted, limits: Limits) -> Iterator[tuple[PurePosixPath, bytes]]:
    total = 0
    with zipfile.ZipFile(cast("IO[bytes]", _ZipFile(path, file, limits))) as archive:
        check_count(path, len(archive.infolist()), limits)
        for entry in archive.infolist():
            member = _safe(path, entry.filename)
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise RequestError(f"{path} holds {entry.filename!r}, a link: links are refused")
            if entry.flag_bits & 1:
                raise RequestError(f"{path} holds {entry.filename!r}, which is encrypted: unpack it first")
            is_folder = entry.filename.endswith(("/", "\\"))
            is_wanted = not is_folder and wanted(member)
            check_path(path, member, is_wanted, limits)
            if is_wanted:
                content = _unzipped(path, archive, entry, limits)
                total += len(content)
                check_total(path, total, limits)
                yield member, content


class _ZipFile:
    """A zip's file for a parser that reads the whole directory at once, however large it says that it is."""

    def __init__(self, path: Path, file: IO[bytes], limits: Limits) -> None:
        self._path, self._file, self._limits = path, file, limits
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1, /) -> bytes:
        most = max(_BLOCK, self._limits.files * _ZIP_ENTRY_BYTES)
        content = self._file.read(most + 1 if size < 0 else min(size, most + 1))
        if len(content) > most:
            raise RequestError(f"{self._path} has a directory of more than {most} bytes: no known dataset has such")
        return content


def _unzipped(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits) -> bytes:
    """A member's content, in blocks: the size in the directory may lie, so what comes is counted."""
    content = bytearray()
    with archive.open(entry) as unpacked:
        while block := unpacked.read(_BLOCK):
            content += block
            check_size(f"{path}: {entry.filename!r}", len(content), limits)
    return bytes(content)


def _safe(path: Path, name: str) -> PurePosixPath:
    """The member's path, also where its parts are separated as on Windows; never one that leads out."""
    member = PurePosixPath(name.replace("\\", "/"))
    if member.is_absolute() or ".." in member.parts or ":" in "".join(member.parts[:1]):
        raise RequestError(f"{path} holds {name!r}, a path that leads out of the archive: get a sound copy")
    return member
