"""Pictures are taken as they are: what a decoder would convert or leave out is refused, by name, or told."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from harness.engine.data.datasets import load_known
from harness.engine.data.formats.headers import HeaderDamaged, read_header
from harness.engine.data.importing import import_known
from tests.engine.data.dataset_samples import TINY_CIFAR, as_folder, image_files, nothing_left, refused, tiny

TINY_GREY = tiny("cifar10", 50, 10, (1, 4, 5))
PLACE = "train/cat/0001.png"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(bits: int, colour: int, row: bytes, *extra: bytes) -> bytes:
    """A PNG of 5 by 4 pixels, each row the same, with more chunks before its pixels."""
    head = chunk(b"IHDR", struct.pack(">2I5B", 5, 4, bits, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress((b"\0" + row) * 4))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + pixels + chunk(b"IEND", b"")


def saved(form: str, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (5, 4)).save(buffer, form, **options)
    return buffer.getvalue()


def rotated(form: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.new("RGB", (5, 4), (1, 2, 3)).save(buffer, form, exif=exif)
    return buffer.getvalue()


def twelve_bits() -> bytes:
    content = bytearray(saved("JPEG"))
    content[content.index(b"\xff\xc0") + 4] = 12
    return bytes(content)


COLOUR_KEY = chunk(b"tRNS", bytes(6))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (png(16, 2, struct.pack(">H", 200) * 15), "16 bits a channel"),
        (png(16, 6, bytes(40)), "16 bits a channel, RGB with an alpha channel"),
        (png(8, 6, bytes(20)), "an alpha channel"),
        (png(8, 3, bytes(5), chunk(b"PLTE", bytes(range(30)))), "a palette"),
        (png(8, 2, bytes(15), COLOUR_KEY), "a transparent colour"),
        (png(8, 2, bytes(15), chunk(b"acTL", struct.pack(">2I", 2, 0))), "an animation"),
        (png(8, 2, bytes(15))[:-30] + b"?" + png(8, 2, bytes(15))[-29:], "does not have its checksum"),
        (png(8, 2, bytes(15))[:-12], "truncated"),
        (png(8, 2, bytes(14)), "cannot be decoded"),
    ],
)
def test_a_png_that_would_be_converted_is_refused(content: bytes, words: str, tmp_path: Path, root: Path) -> None:
    message = refused(TINY_CIFAR, as_folder(tmp_path / "in", image_files() | {PLACE: content}), root)
    assert PLACE in message
    assert words in message


@pytest.mark.parametrize(("bits", "row"), [(1, 1), (2, 2), (4, 3), (16, 10)])
def test_a_grey_png_of_other_than_eight_bits_is_refused(bits: int, row: int, tmp_path: Path, root: Path) -> None:
    files = image_files(mode="L") | {PLACE: png(bits, 0, bytes(row))}
    assert f"{bits} bits a channel" in refused(TINY_GREY, as_folder(tmp_path / "in", files), root)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (saved("JPEG", "CMYK"), "CMYK"),
        (twelve_bits(), "12 bits"),
        (saved("MPO", save_all=True, append_images=[Image.new("RGB", (5, 4))]), "several pictures"),
        (saved("PNG"), "it is a PNG under a JPEG's name"),
        (b"\xff\xd8\xff", "truncated"),
        (saved("JPEG")[:40], "truncated"),
    ],
)
def test_a_jpeg_that_would_be_converted_is_refused(content: bytes, words: str, tmp_path: Path, root: Path) -> None:
    files = image_files("jpg") | {"train/cat/0001.jpg": content}
    assert words in refused(TINY_CIFAR, as_folder(tmp_path / "in", files), root)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_rotations_that_are_not_applied_are_told(form: str, tmp_path: Path, root: Path) -> None:
    suffix = "png" if form == "PNG" else "jpg"
    files = image_files(suffix)
    files[f"train/cat/0001.{suffix}"] = rotated(form, 1)  # which says: upright
    assert "EXIF" not in str(import_known(TINY_CIFAR, as_folder(tmp_path / "a", files), root / "a").caveat)
    files[f"train/cat/0001.{suffix}"] = rotated(form, 3)
    info = import_known(TINY_CIFAR, as_folder(tmp_path / "b", files), root / "b")
    assert str(info.caveat).endswith("; 1 image carries an EXIF rotation, not applied")
    assert load_known(TINY_CIFAR, root / "b").info.caveat == info.caveat


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        (chunk(b"gAMA", struct.pack(">I", 100_000)), "a gamma of 1, not applied"),
        (chunk(b"iCCP", b"name\0\0" + zlib.compress(b"profile")), "an ICC colour profile, not applied"),
        (chunk(b"gAMA", struct.pack(">I", 45_455)) + chunk(b"sRGB", b"\0"), None),
    ],
)
def test_colour_spaces_that_are_not_applied_are_told(
    extra: bytes, words: str | None, tmp_path: Path, root: Path
) -> None:
    files = image_files() | {PLACE: png(8, 2, b"\1\2\3" * 5, extra)}
    info = import_known(TINY_CIFAR, as_folder(tmp_path / "in", files), root)
    assert str(info.caveat) == "not compared with the original" + (f"; 1 image carries {words}" if words else "")


def test_an_icc_profile_in_a_jpeg_is_told(tmp_path: Path, root: Path) -> None:
    files = image_files("jpg")
    files["test/dog/0000.jpg"] = saved("JPEG", icc_profile=b"p" * 200)
    assert "1 image carries an ICC" in str(import_known(TINY_CIFAR, as_folder(tmp_path / "in", files), root).caveat)


def interlaced(row: bytes) -> bytes:
    """The PNG of ``png(8, 2, row)`` in Adam7's seven passes: www.w3.org/TR/png-3, section 8.1."""
    image = np.frombuffer(row * 4, np.uint8).reshape(4, 5, 3)
    starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
    passes = [image[y::dy, x::dx] for y, x, dy, dx in starts]
    data = b"".join(b"\0" + line.tobytes() for part in passes if part.size for line in part)
    head = chunk(b"IHDR", struct.pack(">2I5B", 5, 4, 8, 2, 0, 0, 1))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def test_an_interlaced_png_has_its_pixels(tmp_path: Path, root: Path) -> None:
    row = bytes(range(100, 115))
    import_known(TINY_CIFAR, as_folder(tmp_path / "in", image_files() | {PLACE: interlaced(row)}), root)
    found = load_known(TINY_CIFAR, root).train.images(torch.tensor(16)).numpy()  # class 3, number 1
    assert np.array_equal(found.transpose(1, 2, 0).reshape(4, 15), [list(row)] * 4)


def test_whatever_a_decoder_raises_is_told_as_damage(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumbling(*arguments: object, **options: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(Image, "open", stumbling)
    folder = as_folder(tmp_path / "in", image_files())
    assert "cannot be decoded (RecursionError: too deep)" in refused(TINY_CIFAR, folder, root)


@pytest.mark.parametrize("make", [lambda: png(8, 2, bytes(15)), lambda: saved("JPEG")])
def test_every_cut_header_is_damaged(make: Callable[[], bytes], root: Path) -> None:
    content = make()
    whole = len(content) if content[:1] == b"\x89" else content.index(b"\xff\xda")
    for length in range(whole):
        with pytest.raises(HeaderDamaged):
            read_header(content[:length])
    assert read_header(content).refused == ()
    assert nothing_left(root)
