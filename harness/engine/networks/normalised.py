"""How large the images are that each batch normalisation of a network gets."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from torch import Tensor

from harness.engine.networks.build import build
from harness.engine.networks.layers import NORM_EPSILON, Tracer
from harness.jobs.job import canonical


class _Sizes(Tracer):
    """Records the pixels of what is normalised.

    Attributes:
        pixels: name of the layer -> height times width.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pixels: dict[str, int] = {}

    def batch_norm(self, x: Tensor, name: str, *, epsilon: float = NORM_EPSILON) -> Tensor:
        self.pixels[name] = x.shape[2] * x.shape[3]
        return super().batch_norm(x, name, epsilon=epsilon)


def pixels(description: Mapping[str, Any], shape: Sequence[int], classes: int) -> Mapping[str, int]:
    """Layer of batch normalisation -> pixels of an image there: each channel is normalised over so many an example.

    Args:
        description: of the network, as in a spec.
        shape: (C, H, W) of an image.
        classes: outputs.

    Raises:
        RuntimeError: the images are too small for one of the layers.
    """
    return _pixels(canonical(dict(description)), tuple(shape), classes)


@lru_cache(maxsize=64)
def _pixels(description: str, shape: tuple[int, int, int], classes: int) -> Mapping[str, int]:
    return _Sizes().trace(build(json.loads(description), shape, classes).run, shape).pixels
