"""Archives: those of other systems are read, and what no sound archive holds ends in words, whatever parsers raise."""

import gzip
import io
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from harness.engine.data.archives import Limits
from harness.engine.data.importing import import_known
from tests.engine.data.dataset_samples import (
    TINY_CIFAR,
    TINY_MNIST,
    as_folder,
    as_tar,
    as_zip,
    image_files,
    mnist_files,
    refused,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def backslashed(path: Path) -> Path:
    """A zip of the images as old archivers on Windows write it: backslashes, and entries for folders."""
    with zipfile.ZipFile(path, "w") as archive:
        for folder in ("cifar\\", "cifar\\train\\", "cifar\\train\\cat\\"):
            archive.writestr(folder, b"")
        for name, content in image_files().items():
            archive.writestr("cifar\\" + name.replace("/", "\\"), content)
    return path


def test_a_zip_made_on_windows_is_read(tmp_path: Path, root: Path) -> None:
    sound = import_known(TINY_CIFAR, as_folder(tmp_path / "in", image_files()), root / "1")
    assert import_known(TINY_CIFAR, backslashed(tmp_path / "a.zip"), root / "2").digest == sound.digest


@pytest.mark.parametrize(
    "name", ["..\\..\\x", "\\x", "C:\\x", "c:x", "\\\\server\\share\\x", "a\\..\\..\\x", "a/..\\x"]
)
def test_backslashes_lead_nowhere_either(name: str, tmp_path: Path, root: Path) -> None:
    assert "leads out" in refused(TINY_CIFAR, as_zip(tmp_path / "a.zip", image_files() | {name: b"evil"}), root)
    assert "leads out" in refused(TINY_CIFAR, as_tar(tmp_path / "a.tar", image_files() | {name: b"evil"}), root)


def test_one_path_written_both_ways_is_listed_twice(tmp_path: Path, root: Path) -> None:
    files = image_files() | {"train\\cat\\0000.png": b"other"}
    assert "twice" in refused(TINY_CIFAR, as_zip(tmp_path / "a.zip", files), root)


@pytest.mark.parametrize(
    "header",
    [
        {"GNU.sparse.size": "abc"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "abc"},
        {"GNU.sparse.map": "1,b,3"},
        {"GNU.sparse.size": "9" * 5000},
        {"size": "-1"},
        {"size": "99999999999999999999"},
    ],
)
def test_what_parsers_of_tar_stumble_over_is_damage(header: dict[str, str], tmp_path: Path, root: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number, (name, content) in enumerate(mnist_files().items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.pax_headers = header if number == 1 else {}
            archive.addfile(entry, io.BytesIO(content))
    (tmp_path / "a.tar").write_bytes(buffer.getvalue())
    assert str(tmp_path / "a.tar") in refused(TINY_MNIST, tmp_path / "a.tar", root)


def extension(kind: bytes, content: bytes) -> bytes:
    """A header block of a tar that says something of the next member, and its content."""
    entry = tarfile.TarInfo("extension")
    entry.type, entry.size = kind, len(content)
    return entry.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)


def test_headers_within_headers_end(tmp_path: Path, root: Path) -> None:
    sound = as_tar(tmp_path / "sound.tar", mnist_files()).read_bytes()
    record = b"19 comment=whatever\n"
    chain = tmp_path / "chain.tar"
    chain.write_bytes(extension(tarfile.XHDTYPE, record) * 900 + sound)
    assert str(chain) in refused(TINY_MNIST, chain, root)
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        bomb = tmp_path / "bomb.tar.gz"
        bomb.write_bytes(gzip.compress(extension(kind, b"a" * (100 << 20)) + sound, 1))
        assert "headers of more than 1048576 bytes" in refused(TINY_MNIST, bomb, root)
    flood = tmp_path / "flood.tar"
    records = b"".join(b"13 k%04d=abc\n" % number for number in range(1000))
    flood.write_bytes(extension(tarfile.XGLTYPE, records) + sound)
    assert "global headers" in refused(TINY_MNIST, flood, root)


def test_a_damaged_header_is_no_end_of_an_archive(tmp_path: Path, root: Path) -> None:
    files = mnist_files() | {"readme": b"x" * 2000, "more": b"y" * 2000}
    content = bytearray(as_tar(tmp_path / "a.tar", files).read_bytes())
    content[content.index(b"readme")] ^= 1  # behind all that is wanted
    (tmp_path / "a.tar").write_bytes(content)
    assert "belong to no member, after 4" in refused(TINY_MNIST, tmp_path / "a.tar", root)


def test_what_parsers_of_zip_stumble_over_is_damage(tmp_path: Path, root: Path) -> None:
    sound = as_zip(tmp_path / "a.zip", mnist_files()).read_bytes()
    directory = sound.index(b"PK\x01\x02")
    for change in (
        {directory + 8: b"\x00\x08", directory + 46: b"\xff\xfe"},  # a name that is no UTF-8, though said to be
        {directory + 10: b"\x63\x00"},  # an unknown compression
        {directory + 42: struct.pack("<I", 7)},  # the wrong place of the content
        {directory + 24: struct.pack("<I", 5)},  # the wrong size
        {len(sound) - 6: struct.pack("<I", 5)},  # the wrong place of the directory
    ):
        content = bytearray(sound)
        for place, value in change.items():
            content[place : place + len(value)] = value
        (tmp_path / "b.zip").write_bytes(content)
        assert str(tmp_path / "b.zip") in refused(TINY_MNIST, tmp_path / "b.zip", root)


def test_a_zip_with_a_vast_directory_is_refused_before_it_is_parsed(tmp_path: Path, root: Path) -> None:
    path = as_zip(tmp_path / "a.zip", {f"{number:0200}": b"" for number in range(6000)})
    assert "directory of more than" in refused(TINY_MNIST, path, root, limits=Limits(files=3000))
    (tmp_path / "empty.zip").write_bytes(as_zip(tmp_path / "b.zip", {}).read_bytes())
    assert "holds no mnist" in refused(TINY_MNIST, tmp_path / "empty.zip", root)


def test_a_deep_member_is_refused(tmp_path: Path, root: Path) -> None:
    files = mnist_files() | {"d/" * 2000 + "x": b""}
    for make, name in ((as_tar, "a.tar"), (as_zip, "a.zip")):
        assert "more than 64 parts" in refused(TINY_MNIST, make(tmp_path / name, files), root)


def test_an_unreadable_archive_is_named(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = as_tar(tmp_path / "a.tar", mnist_files())

    def refusing(self: Path, *arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refusing)  # root, as whom tests may run, may read everything
    assert "a.tar cannot be read (Permission denied)" in refused(TINY_MNIST, path, root)


def test_a_name_that_no_system_has_is_no_traceback(tmp_path: Path, root: Path) -> None:
    for name in ("x" * 5000, "a\0b"):
        assert "cannot be read" in refused(TINY_MNIST, tmp_path / name, root)
