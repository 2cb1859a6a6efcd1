"""File formats a dataset may arrive in; no torch. A new one is a module here and an entry of ``FORMATS``."""

from collections.abc import Mapping

from harness.engine.data.formats.base import Format, Reading
from harness.engine.data.formats.cifar import CIFAR_BINARY, CIFAR_PYTHON
from harness.engine.data.formats.idx import IDX
from harness.engine.data.formats.images import IMAGES

__all__ = ["FORMATS", "Format", "Reading"]

FORMATS: Mapping[str, Format] = {
    "idx": IDX,
    "cifar-python": CIFAR_PYTHON,
    "cifar-binary": CIFAR_BINARY,
    "images": IMAGES,
}
