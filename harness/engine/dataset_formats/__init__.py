"""File formats a dataset may arrive in; no torch. A new one is a module here and an entry of ``FORMATS``."""

from collections.abc import Mapping

from harness.engine.dataset_formats.base import Format, Reading
from harness.engine.dataset_formats.cifar import CIFAR_BINARY, CIFAR_PYTHON
from harness.engine.dataset_formats.idx import IDX
from harness.engine.dataset_formats.images import IMAGES

__all__ = ["FORMATS", "Format", "Reading"]

FORMATS: Mapping[str, Format] = {
    "idx": IDX,
    "cifar-python": CIFAR_PYTHON,
    "cifar-binary": CIFAR_BINARY,
    "images": IMAGES,
}
