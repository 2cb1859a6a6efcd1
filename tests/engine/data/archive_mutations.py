"""Malformed archives and folders without end: ``mutated`` spoils a sound one, a function of its seed alone.

A mutation changes bytes of a packed or unpacked archive, cuts it, renames members, or gives them the kinds, headers
and neighbours that attackers and old archivers give them. Nothing written is large, deep or waits for anybody.
"""

import gzip
import io
import os
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from harness.datainfo import DatasetFacts
from tests.engine.data.dataset_samples import (
    TINY_CIFAR,
    TINY_MNIST,
    Files,
    as_folder,
    cifar_binary,
    cifar_python,
    image_files,
    mnist_files,
)

SOUND: tuple[tuple[DatasetFacts, Callable[[], Files]], ...] = (
    (TINY_MNIST, mnist_files),
    (TINY_CIFAR, cifar_binary),
    (TINY_CIFAR, cifar_python),
    (TINY_CIFAR, image_files),
    (TINY_CIFAR, lambda: image_files("jpg")),
)
_NAMES = (
    *("../x", "/x", "..\\x", "C:\\x", "\\\\s\\x", "a\nb", "a\x1b[2Jb", "", ".", "..", "d/" * 200 + "x", "x" * 300),
    *("train/cat/x.png", "train/lorry/0.png", "data_batch_1", "train-images-idx3-ubyte", "\udcff", "𝜆/x"),
)
_PAX = (
    *("GNU.sparse.size", "GNU.sparse.map", "GNU.sparse.numblocks", "GNU.sparse.major", "GNU.sparse.minor"),
    *("GNU.sparse.realsize", "size", "mtime", "uid", "path", "linkpath", "hdrcharset", "SCHILY.filetype"),
)
_VALUES = ("abc", "", "-1", "1", "0", "9" * 400, "1e999", "nan", "BINARY", "../x", "a\0b", "½")
_EXIT = b"csys\nexit\n(S'unpickled'\ntR."
"""Whoever unpickles this leaves Python."""
_KINDS = b"0123456789LKxgSVDX\0"


def known_of(seed: int) -> DatasetFacts:
    """The facts of the dataset that ``mutated(seed, ...)`` spoils."""
    return SOUND[seed % len(SOUND)][0]


def sound(seed: int, folder: Path) -> Path:
    """The folder that ``mutated(seed, ...)`` spoils, before it is spoiled."""
    return as_folder(folder / f"sound-{seed}", SOUND[seed % len(SOUND)][1]())


def mutated(seed: int, folder: Path) -> Path:
    """A spoiled archive or folder below ``folder``, the same for the same seed.

    Args:
        seed: any number that is not negative; five in a row spoil the five forms of data.
        folder: exists; the name of what is written holds the seed.
    """
    draw = random.Random(seed)
    files = SOUND[seed % len(SOUND)][1]()
    for _ in range(draw.randrange(3)):
        _spoil_files(draw, files)
    make = draw.choice((_tar, _tar, _zip, _zip, _directory))
    return make(draw, files, folder / f"mutated-{seed}")


def _spoil_files(draw: random.Random, files: Files) -> None:
    name = draw.choice(sorted(files))
    match draw.randrange(7):
        case 0:
            files[name] = _spoiled(draw, files[name])
        case 6:
            files[name] = _EXIT
        case 1:
            files[draw.choice(_NAMES)] = files[name]
        case 2:
            files[draw.choice(_NAMES)] = files.pop(name)
        case 3:
            files[name] = files[draw.choice(sorted(files))]
        case 4:
            files[f"{name}.gz"] = draw.choice((gzip.compress, bytes))(files.pop(name))
        case _:
            files[name.replace("/", "\\")] = files.pop(name)


def _spoiled(draw: random.Random, content: bytes) -> bytes:
    """Some bytes flipped, cut, doubled, inserted, or zeroed."""
    result = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5, 30))):
        place = draw.randrange(len(result) + 1)
        match draw.randrange(6):
            case 0:
                del result[place:]
            case 1:
                result[place:place] = draw.randbytes(draw.randrange(1, 9))
            case 2:
                result[place : place + 512] = bytes(min(512, len(result) - place))
            case 3:
                result[place:place] = result[place : place + 512]
            case _ if place < len(result):
                result[place] ^= 1 << draw.randrange(8)
    return bytes(result)


def _tar(draw: random.Random, files: Files, path: Path) -> Path:
    buffer = io.BytesIO()
    pax = {draw.choice(_PAX): draw.choice(_VALUES) for _ in range(draw.randrange(4))}
    chosen = draw.randrange(len(files))
    form = draw.choice((tarfile.PAX_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
    spoil_headers = draw.random() < 0.5
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as archive:
        if spoil_headers and draw.random() < 0.3:
            archive.pax_headers = pax
        for number, (name, content) in enumerate(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            if spoil_headers and number == chosen:
                entry.pax_headers = pax
                if draw.random() < 0.3:
                    entry.type = bytes([draw.choice(_KINDS)])
                    entry.linkname = draw.choice(("/etc/hostname", "../x", name))
            archive.addfile(entry, io.BytesIO(content))
    content = buffer.getvalue()
    if draw.random() < 0.4:
        content = _spoiled(draw, content)
    if draw.random() < 0.5:
        content = gzip.compress(content, 1, mtime=0)
        if draw.random() < 0.4:
            content = _spoiled(draw, content)
    path = path.with_suffix(draw.choice((".tar", ".tar.gz", ".zip")))
    path.write_bytes(content)
    return path


def _zip(draw: random.Random, files: Files, path: Path) -> Path:
    path = path.with_suffix(draw.choice((".zip", ".tar")))
    with zipfile.ZipFile(
        path, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
    ) as archive:
        for name, content in files.items():
            info = zipfile.ZipInfo(os.fsencode(name).decode("utf-8", errors="replace") or "_")
            info.external_attr = draw.choice((0, 0, 0, 0, 0o120777 << 16, 0x10))
            info.extra = draw.choice((b"", b"", b"", b"\x01\x00\x00\x00", b"\x01\x00\x10\x00" + bytes(16)))
            archive.writestr(info, content, archive.compression)
    content = path.read_bytes()
    directory = content.find(b"PK\x01\x02")
    match draw.randrange(4):
        case 0:
            content = _spoiled(draw, content)
        case 1:
            content = content[:directory] + _spoiled(draw, content[directory:])
        case 2:
            content = content[: directory + 8] + draw.randbytes(20) + content[directory + 28 :]
    path.write_bytes(content)
    return path


def _directory(draw: random.Random, files: Files, path: Path) -> Path:
    path.mkdir()
    for name, content in files.items():
        inside = path / name.replace("..", "__").replace("\0", "_").lstrip("/")[:200]
        if inside != path and not inside.exists():
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.write_bytes(content)
    below = sorted(inside for inside in path.rglob("*") if inside.is_file())
    target = draw.choice(below)
    match draw.randrange(8):
        case 0:
            target.unlink()
            os.mkfifo(target)
        case 1:
            target.unlink()
            target.symlink_to(draw.choice(("/dev/zero", "/dev/null", target.name, "nowhere", path)))
        case 2:
            target.unlink()
            target.mkdir()
        case 3:
            (target.parent / "loop").symlink_to(draw.choice((path, Path("."), Path("loop"))))
        case 4:
            target.write_bytes(_spoiled(draw, target.read_bytes()))
        case 5:
            alias = path.with_name(f"{path.name}-alias")
            alias.symlink_to(path)
            return alias
    return path
