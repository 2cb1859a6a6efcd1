"""A folder of images: train/<class>/<name>.png, or .jpg, and test likewise; any dataset may come so."""

import io
import warnings
from collections import Counter
from pathlib import PurePosixPath

import numpy as np
from PIL import ExifTags, Image, features
from PIL import __version__ as pillow_version

from harness.datainfo import DatasetFacts
from harness.engine.data.archives import Source
from harness.engine.data.bounds import told_as_damage
from harness.engine.data.formats.base import Array, Format, Reading
from harness.engine.data.formats.headers import form_of, read_header
from harness.errors import RequestError

_SUFFIXES = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}


def _is_image(path: PurePosixPath) -> bool:
    hidden = path.name.startswith(".")  # such as ._0000.jpg, which one system's archiver adds
    in_part = len(path.parts) >= 3 and path.parts[-3] in ("train", "test")
    return in_part and not hidden and path.suffix.lower() in _SUFFIXES


def _lacks(source: Source, known: DatasetFacts) -> list[str]:
    present = {path.parts[-3:-1] for path in source.files}
    wanted = [(part, name) for part in ("train", "test") for name in known.class_names]
    return [f"image in {part}/{name}" for part, name in wanted if (part, name) not in present]


def _read_images(source: Source, known: DatasetFacts) -> Reading:
    arrays: dict[str, Array] = {}
    told: Counter[str] = Counter()
    _same_twice(source)
    with warnings.catch_warnings():
        for category in (UserWarning, RuntimeWarning):  # the decoder's doubts about a file are no pixels to train on
            warnings.simplefilter("error", category)
        for part in ("train", "test"):
            by_class = _by_class(source, part, known)
            labels = np.arange(len(by_class), dtype=np.int64)
            images = [_decode(source, path, known, told) for paths in by_class.values() for path in paths]
            arrays[f"{part}_x"] = np.stack(images)
            arrays[f"{part}_y"] = np.repeat(labels, [len(paths) for paths in by_class.values()])
    lossy = any(_SUFFIXES[path.suffix.lower()] == "JPEG" for path in source.files)
    caveat = "JPEG copy: other pixels than the original" if lossy else "not compared with the original"
    notes = [f"{n} {'image carries' if n == 1 else 'images carry'} {what}, not applied" for what, n in told.items()]
    # The decoder is named because another one may round a JPEG otherwise, and so give another digest.
    turbo = features.version_feature("libjpeg_turbo")
    decoder = f"Pillow {pillow_version}" + (f" (libjpeg-turbo {turbo})" if turbo and lossy else "")
    return Reading(
        arrays,
        original=False,
        origin=f"{len(source.files)} image files decoded by {decoder}, from {source.name}",
        caveat="; ".join([caveat, *notes]),
    )


def _same_twice(source: Source) -> None:
    """Raises RequestError where two folders of the source both hold an image of the same part, class and name."""
    seen: dict[tuple[str, ...], PurePosixPath] = {}
    for path in sorted(source.files):
        other = seen.setdefault(path.parts[-3:], path)
        if other != path:
            raise RequestError(f"{source.name} holds both {other} and {path}: keep one folder of images")


def _by_class(source: Source, part: str, known: DatasetFacts) -> dict[str, list[PurePosixPath]]:
    """The files of one part by class, classes in the order of their labels, files in that of their paths."""
    by_class: dict[str, list[PurePosixPath]] = {name: [] for name in known.class_names}
    for path in sorted(source.files):
        if path.parts[-3] == part:
            if path.parts[-2] not in by_class:
                raise RequestError(
                    f"{source.name}: {path} is of no known class: those of {known.info.name} are "
                    f"{', '.join(known.class_names)}"
                )
            by_class[path.parts[-2]].append(path)
    empty = [name for name, paths in by_class.items() if not paths]
    if empty:
        raise RequestError(f"{source.name} holds no image in {part}/{empty[0]}: get a complete copy")
    return by_class


def _decode(source: Source, path: PurePosixPath, known: DatasetFacts, told: Counter[str]) -> Array:
    """uint8 [C, H, W]; what the header says is read before a pixel is decoded, and what is told of it is counted."""
    channels, height, width = known.info.shape
    name, content = f"{source.name}: {path}", source.files[path]
    expected, form = _SUFFIXES[path.suffix.lower()], form_of(content)
    if form not in (None, expected):
        raise RequestError(f"{name} cannot be decoded (it is a {form} under a {expected}'s name): rename it")
    with told_as_damage(f"{name} cannot be decoded", "get a sound copy"):
        header = read_header(content)
        if header.refused:
            raise RequestError(
                f"{name} has {', '.join(header.refused)}, images of {known.info.name} have 8 bits a channel, grey or "
                "RGB and nothing else: get a sound copy, as converting this one would change its pixels"
            )
        with Image.open(io.BytesIO(content), formats=[expected]) as image:
            shape = (len(image.getbands()), image.height, image.width)
            if shape != known.info.shape or image.mode not in ("L", "RGB"):
                raise RequestError(
                    f"{name} has (channels, height, width) {shape} and mode {image.mode}, images of "
                    f"{known.info.name} have {known.info.shape}: get a sound copy"
                )
            told.update(header.told)
            if image.getexif().get(ExifTags.Base.Orientation, 1) in range(2, 9):
                told["an EXIF rotation"] += 1
            pixels = np.asarray(image, np.uint8)
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


IMAGES = Format("image files as train/<class>/<name>.jpg or .png, test likewise", _is_image, _lacks, _read_images)
