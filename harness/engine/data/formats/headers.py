"""What a picture's own header says of its pixels, before a decoder turns them into something else.

PNG: www.w3.org/TR/png-3, "Chunk specifications". JPEG: ITU-T T.81, annex B; Adobe's and Apple's markers as Pillow
reads them. A decoder asked for eight bits a channel gives them, whatever the file holds: what it would convert or
leave out is refused here, by name; what it leaves to the viewer (a rotation, a colour space) is told.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_PNG_START = b"\x89PNG\r\n\x1a\n"
_JPEG_START = b"\xff\xd8"
_GREY, _RGB = 0, 2
_OTHER_COLOURS = {3: "a palette", 4: "grey with an alpha channel", 6: "RGB with an alpha channel"}
_SRGB_GAMMA = 45_455  # of gAMA, in 1/100000: what sRGB's curve is near, so that nothing is to be converted
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_BARE = frozenset([0x01, *range(0xD0, 0xD8)])  # markers without a length


class HeaderDamaged(ValueError):
    """The bytes are not a whole PNG, or not a JPEG up to its first scan."""


@dataclass(frozen=True)
class Header:
    """What the header says.

    Attributes:
        refused: what a decoder would convert or leave out, in words.
        told: what it leaves to whoever shows the picture, in words that go on "N images carry".
    """

    refused: tuple[str, ...]
    told: tuple[str, ...]


def form_of(content: bytes) -> str | None:
    """The form by the first bytes, "PNG" or "JPEG"; None for any other."""
    if content.startswith(_PNG_START):
        return "PNG"
    return "JPEG" if content.startswith(_JPEG_START) else None


def read_header(content: bytes) -> Header:
    """The header of a PNG or JPEG.

    Raises:
        HeaderDamaged: it is neither, or damaged; every checksum of a PNG is compared.
    """
    form = form_of(content)
    if form is None:
        raise HeaderDamaged("it does not start as a PNG or JPEG")
    return _png(content) if form == "PNG" else _jpeg(content)


def _png(content: bytes) -> Header:
    chunks = list(_chunks(content))
    names = [name for name, _ in chunks]
    if names[:1] != [b"IHDR"] or len(chunks[0][1]) != 13:
        raise HeaderDamaged("its first chunk is no IHDR of 13 bytes")
    bits, colour = chunks[0][1][8:10]
    refused, told = [], []
    if bits != 8:
        refused.append(f"{bits} bits a channel")
    if colour not in (_GREY, _RGB):
        refused.append(_OTHER_COLOURS.get(colour, f"the unknown colour type {colour}"))
    if b"tRNS" in names:
        refused.append("a transparent colour (tRNS)")
    if b"acTL" in names:
        refused.append("an animation (acTL)")
    gammas = [struct.unpack(">I", data)[0] for name, data in chunks if name == b"gAMA" and len(data) == 4]
    if gammas and gammas[0] != _SRGB_GAMMA and b"sRGB" not in names:
        told.append(f"a gamma of {gammas[0] / 100_000:g}")
    if b"iCCP" in names:
        told.append("an ICC colour profile")
    return Header(tuple(refused), tuple(told))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """A PNG's chunks up to its end, each compared with its checksum, which decoders omit for pixels."""
    place = len(_PNG_START)
    name = b""
    while name != b"IEND":
        head = content[place : place + 8]
        length = int.from_bytes(head[:4], "big")
        end = place + 12 + length
        if len(head) < 8 or end > len(content):
            raise HeaderDamaged("it is truncated")
        name, data = head[4:], content[place + 8 : place + 8 + length]
        if zlib.crc32(content[place + 4 : end - 4]) != int.from_bytes(content[end - 4 : end], "big"):
            raise HeaderDamaged(f"its chunk {name!r} does not have its checksum")
        yield name, data
        place = end


def _jpeg(content: bytes) -> Header:
    frame: bytes | None = None
    refused, told = [], []
    for marker, data in _segments(content):
        if marker in _START_OF_FRAME:
            frame = data
        elif marker == 0xE2 and data.startswith(b"ICC_PROFILE\0"):
            told.append("an ICC colour profile")
        elif marker == 0xE2 and data.startswith(b"MPF\0"):
            refused.append("several pictures (MPF)")
    if frame is None or len(frame) < 6:
        raise HeaderDamaged("it has no frame before its first scan")
    bits, components = frame[0], frame[5]
    if components not in (1, 3):
        refused.append("four channels (CMYK)" if components == 4 else f"{components} channels")
    if bits != 8:
        refused.append(f"{bits} bits a channel")
    return Header(tuple(refused), tuple(dict.fromkeys(told)))


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """A JPEG's marker segments before its first scan."""
    place = len(_JPEG_START)
    while True:
        if content[place : place + 1] != b"\xff":
            raise HeaderDamaged("it is truncated, or no marker follows a segment")
        while content[place : place + 1] == b"\xff":  # any number of them may fill up
            place += 1
        if place >= len(content):
            raise HeaderDamaged("it is truncated")
        marker = content[place]
        place += 1
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return
        if marker in _BARE:
            continue
        length = int.from_bytes(content[place : place + 2], "big")
        if length < 2 or place + length > len(content):
            raise HeaderDamaged("it is truncated")
        yield marker, content[place + 2 : place + length]
        place += length
