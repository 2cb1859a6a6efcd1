"""Tasks: what a network is to tell of an image, and how the image is shown; the dataset's own, or a pretext.

All is integer arithmetic, and labels are functions of an example's number and of seeds alone: the same bits on every
device, and no word about the class.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from harness import seeds
from harness.engine.data.dataset import Dataset, Pixels, Split

OWN: Mapping[str, Any] = {"labels": "true", "blur": 1, "seed": 0}
"""Parameters of the dataset's own task."""

TURNS = 4
"""Classes of rotations: quarters of a turn, counterclockwise."""

_PIECE = 1000
"""Images that are blurred at a time."""


def posed(data: Dataset, task: Mapping[str, Any]) -> Dataset:
    """The dataset as a task shows and labels it; the digest in its facts stays that of the original.

    Args:
        data: the original, left as it is.
        task: ``labels``: ``true``, those there are; ``random``, uniform over the classes; ``rotation``, by how many
            quarters the image is turned when it is not trained on, which ``turned`` does. ``blur``: see ``blurred``.
            ``seed``: of what is drawn.
    """
    info = data.info
    if task["labels"] == "rotation":
        info = replace(info, classes=TURNS)
    train, test = (_posed(split, name, task, info.classes) for name, split in _splits(data).items())
    return Dataset(info, train, test)


def _splits(data: Dataset) -> Mapping[str, Split]:
    return {"train": data.train, "test": data.test}


def _posed(split: Split, name: str, task: Mapping[str, Any], classes: int) -> Split:
    if task["blur"] > 1:
        split = Blurred(split, task["blur"])
    if task["labels"] != "true":
        index = torch.arange(len(split.labels))
        draws = seeds.bits(seeds.stream("task", task["labels"], task["seed"], name), index)
        split = split.relabelled((draws >> 33 & 0x7FFFFFFF) % classes)
    return split


def turns(keys: Tensor, index: Tensor, seed: int) -> Tensor:
    """By how many quarters training images are turned, 0 to 3, which is their label: [R, B].

    Args:
        keys: [R] streams of each replica's augmentation, one for each epoch or step.
        index: [R, B] examples.
        seed: of the task.
    """
    return seeds.bits(keys[:, None] + seeds.stream("task", "rotation", seed), index) & (TURNS - 1)


def turned(x: Tensor, quarters: Tensor) -> Tensor:
    """Square images [*S, C, N, N], each turned counterclockwise by its own number of quarters [*S].

    Examples:
        >>> import torch
        >>> from harness.engine.data.tasks import turned
        >>> turned(torch.tensor([[1, 2], [3, 4]]).reshape(1, 1, 2, 2), torch.tensor([1])).flatten().tolist()
        [2, 4, 1, 3]
    """
    quarters = quarters[..., None, None, None]
    result = x
    for count in range(1, TURNS):
        result = torch.where(quarters == count, torch.rot90(x, count, (-2, -1)), result)
    return result


def blurred(x: Tensor, factor: int) -> Tensor:
    """Images uint8 [*S, C, H, W], made smaller by a factor and larger again: means of blocks, then bilinear.

    Larger as ``interpolate`` with ``align_corners=False`` has it, the outermost pixels repeated beyond them. Weights
    are multiples of 1 / (2 factor), so all sums are of integers; one rounding, half up, ends it.

    Args:
        x: images; factor divides H and W.
        factor: a power of two, 8 at most.

    Examples:
        >>> import torch
        >>> from harness.engine.data.tasks import blurred
        >>> blurred(torch.tensor([0, 0, 16, 16], dtype=torch.uint8).expand(1, 2, 4), 2)[0, 0].tolist()
        [0, 4, 12, 16]
    """
    height, width = x.shape[-2:]
    blocks = x.unflatten(-1, (width // factor, factor)).unflatten(-3, (height // factor, factor))
    small = blocks.sum((-1, -3), dtype=torch.int32)
    sums = _larger(_larger(small, factor).transpose(-1, -2), factor).transpose(-1, -2)
    whole = 4 * factor**4
    return ((sums + whole // 2) // whole).to(torch.uint8)


def _larger(x: Tensor, factor: int) -> Tensor:
    """[..., N] to [..., N * factor], linearly between the middles of pixels, times 2 * factor."""
    outer = torch.cat([x[..., :1], x, x[..., -1:]], -1)
    places = torch.arange(factor, device=x.device)
    first = factor - 1 - 2 * places  # of the pixel before, in the first half of a pixel, in 1 / (2 factor)
    before, after = first.clamp(min=0), (-first).clamp(min=0)
    here = 2 * factor - before - after
    parts = outer[..., :-2, None] * before + x[..., None] * here + outer[..., 2:, None] * after
    return parts.flatten(-2)


@dataclass(frozen=True)
class Blurred:
    """A split whose images are blurred, see ``dataset.Split``.

    Attributes:
        split: with the sharp images.
        factor: see ``blurred``.
    """

    split: Split
    factor: int

    @property
    def labels(self) -> Tensor:
        """int64 [N]."""
        return self.split.labels

    def images(self, index: Tensor | slice) -> Tensor:
        """See ``Split``."""
        return blurred(self.split.images(index), self.factor)

    def on(self, device: torch.device) -> Pixels:
        """All of them on the device, blurred there; or read and blurred batch by batch."""
        sharp = self.split.on(device)
        if isinstance(sharp, Tensor):
            return torch.cat([blurred(piece, self.factor) for piece in sharp.split(_PIECE)])
        return BlurredPixels(sharp, self.factor)

    def gives(self, pixels: Pixels) -> bool:
        """Where they are read batch by batch."""
        return isinstance(pixels, BlurredPixels) and pixels.factor == self.factor and self.split.gives(pixels.sharp)

    def relabelled(self, labels: Tensor) -> "Blurred":
        """See ``Split``."""
        return replace(self, split=self.split.relabelled(labels))


@dataclass(frozen=True)
class BlurredPixels:
    """Images that are blurred when they are asked for, see ``dataset.Pixels``."""

    sharp: Pixels
    factor: int

    @property
    def shape(self) -> torch.Size:
        """[N, C, H, W]."""
        return self.sharp.shape

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """Images [*S, C, H, W] on the device."""
        return blurred(self.sharp[index], self.factor)
