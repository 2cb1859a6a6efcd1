"""A folder of images: train/<class>/<name>.png, or .jpg, and test likewise; any dataset may come so."""

import io
from pathlib import PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError, features
from PIL import __version__ as pillow_version

from harness.datainfo import Known
from harness.engine.archives import Source
from harness.engine.dataset_formats.base import Array, Format, Reading
from harness.errors import RequestError

_UNDECODABLE = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    OSError,
    SyntaxError,
    ValueError,
)
_SUFFIXES = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}


def _is_image(path: PurePosixPath) -> bool:
    hidden = path.name.startswith(".")  # such as ._0000.jpg, which one system's archiver adds
    in_part = len(path.parts) >= 3 and path.parts[-3] in ("train", "test")
    return in_part and not hidden and path.suffix.lower() in _SUFFIXES


def _read_images(source: Source, known: Known) -> Reading:
    arrays: dict[str, Array] = {}
    for part in ("train", "test"):
        by_class = _by_class(source, part, known)
        labels = np.arange(len(by_class), dtype=np.int64)
        images = [_decode(source, path, known) for paths in by_class.values() for path in paths]
        arrays[f"{part}_x"] = np.stack(images)
        arrays[f"{part}_y"] = np.repeat(labels, [len(paths) for paths in by_class.values()])
    lossy = any(_SUFFIXES[path.suffix.lower()] == "JPEG" for path in source.files)
    caveat = "JPEG copy: other pixels than the original" if lossy else "not compared with the original"
    # The decoder is named because another one may round a JPEG otherwise, and so give another digest.
    turbo = features.version_feature("libjpeg_turbo")
    decoder = f"Pillow {pillow_version}" + (f" (libjpeg-turbo {turbo})" if turbo and lossy else "")
    return Reading(
        arrays,
        original=False,
        origin=f"{len(source.files)} image files decoded by {decoder}, from {source.name}",
        caveat=caveat,
    )


def _by_class(source: Source, part: str, known: Known) -> dict[str, list[PurePosixPath]]:
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


def _decode(source: Source, path: PurePosixPath, known: Known) -> Array:
    """uint8 [C, H, W]; the size is read from the header before a pixel is decoded."""
    channels, height, width = known.info.shape
    name = f"{source.name}: {path}"
    try:
        with Image.open(io.BytesIO(source.files[path]), formats=[_SUFFIXES[path.suffix.lower()]]) as image:
            found = (len(image.getbands()), image.height, image.width)
            if found != known.info.shape or image.mode not in ("L", "RGB"):
                raise RequestError(
                    f"{name} has (channels, height, width) {found} and mode {image.mode}, images of "
                    f"{known.info.name} have {known.info.shape}: get a sound copy"
                )
            pixels = np.asarray(image, np.uint8)
    except _UNDECODABLE as error:
        raise RequestError(f"{name} cannot be decoded ({error}): get a sound copy") from error
    return pixels.reshape(height, width, channels).transpose(2, 0, 1)


IMAGES = Format("image files as train/<class>/<name>.jpg or .png, test likewise", _is_image, _read_images)
