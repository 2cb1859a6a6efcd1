"""Torchvision, imported even where its compiled operators do not match the torch build."""

import importlib
import sys
from functools import cache
from types import ModuleType

import torch

# Where torchvision's C++ library is absent or foreign (a CPU build of torch beside the default torchvision),
# its import fails at the first Python-side registration for an operator without a schema. With the schemas
# declared, datasets, transforms.v2 and models import and work; ops.nms and io.read_image do not.
_SYMPTOM = "operator torchvision::nms does not exist"
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def torchvision_part(name: str) -> ModuleType:
    """A part of torchvision, e.g. ``torchvision_part("models")`` or ``"transforms.v2"``.

    The plain import comes first; only where it fails for the missing operators are their schemas declared.

    Raises:
        RuntimeError: torchvision cannot be imported for another reason.
        ImportError: torchvision has no such part, or is not installed.
    """
    try:
        return importlib.import_module(f"torchvision.{name}")
    except RuntimeError as error:
        if _SYMPTOM not in str(error):
            raise
    for module in [m for m in sys.modules if m == "torchvision" or m.startswith("torchvision.")]:
        del sys.modules[module]  # half-imported: the second try must start afresh
    _declared_schemas()
    return importlib.import_module(f"torchvision.{name}")


@cache  # the declarations live as long as the library object is referenced
def _declared_schemas() -> torch.library.Library:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(operator + _SCHEMA)
    return library
