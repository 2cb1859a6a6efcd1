"""What must hold of a task's labels and images, by other code than makes them: a breach is an error.

Labels are computed again in Python's integers out of index and seed alone, so that none can have to do with a class.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness import seeds
from harness.engine.data.dataset import Dataset
from harness.engine.data.tasks import OWN
from harness.engine.feed import Images
from harness.errors import InvariantBroken

_LOOKED_AT = 96
"""Images that are blurred, and turned, once more."""
_KEYS = 2
_WORD = (1 << 64) - 1


def require_task(images: Images, original: Dataset, settings: Mapping[str, Any]) -> None:
    """Raises InvariantBroken unless images and labels are those of the task.

    Args:
        images: what stages see.
        original: the dataset without a task.
        settings: of the images.
    """
    task = settings.get("task", OWN)
    for broken in _breaches(images, original, task):
        raise InvariantBroken(f"dataset {original.info.name}, task {dict(task)}: {broken}")


def _breaches(images: Images, original: Dataset, task: Mapping[str, Any]) -> Iterator[str]:
    if task["labels"] != "true":
        yield from _of_drawn_labels(images, original, task)
    if task["blur"] > 1:
        yield from _of_blur(images, original, task["blur"])
    if task["labels"] == "rotation":
        yield from _of_turns(images, task["seed"])


def _of_drawn_labels(images: Images, original: Dataset, task: Mapping[str, Any]) -> Iterator[str]:
    classes = 4 if task["labels"] == "rotation" else original.info.classes
    for name, (_, labels) in images.split.items():
        key = seeds.stream("task", task["labels"], task["seed"], name)
        due = [(draw >> 33) % classes for draw in _draws(key, len(labels))]
        if labels.tolist() != due:
            yield f"labels of the {name} split do not follow from index and seed"


def _of_blur(images: Images, original: Dataset, factor: int) -> Iterator[str]:
    """In double precision, where means of blocks and lines between them are exact."""
    for name, split in (("train", original.train), ("test", original.test)):
        first = slice(0, min(_LOOKED_AT, len(split.labels)))
        sharp = split.images(first).double()
        small = F.avg_pool2d(sharp, factor)
        due = F.interpolate(small, scale_factor=factor, mode="bilinear", align_corners=False)
        if not torch.equal(images.split[name][0][first].cpu().double(), (due + 0.5).floor()):
            yield f"images of the {name} split are not those of the dataset blurred by {factor}"


def _of_turns(images: Images, seed: int) -> Iterator[str]:
    """Of made-up streams, as of any: augmented images against the same ones that are not turned."""
    _, labels = images.split["train"]
    count = min(_LOOKED_AT, len(labels))
    index = torch.arange(count, device=labels.device).expand(_KEYS, -1)
    keys = [seeds.stream("task", "look", number) for number in range(_KEYS)]
    turned, quarters = images.augmented(index, torch.tensor(keys, device=labels.device))
    due = [[draw & 3 for draw in _draws(key + seeds.stream("task", "rotation", seed), count)] for key in keys]
    if quarters.tolist() != due:
        yield "turns of training images do not follow from index, seed and stream"
    upright = images.upright()
    straight, _ = upright.augmented(index, torch.tensor(keys, device=labels.device))
    if not _are_turned(straight, turned, torch.tensor(due).t()):
        yield "training images are not turned as their labels say"
    for name, (_, standing) in images.split.items():
        place = torch.arange(min(_LOOKED_AT, len(standing)), device=standing.device)
        pairs = upright.chosen(name, place), images.chosen(name, place)
        if not _are_turned(*pairs, standing[place, None].cpu()):
            yield f"images of the {name} split are not turned as their labels say"


def _are_turned(straight: Tensor, turned: Tensor, quarters: Tensor) -> bool:
    """Whether images [B, R, C, N, N] are others, each turned by its number [B, R]."""
    pairs = zip(straight.flatten(0, 1).cpu().numpy(), turned.flatten(0, 1).cpu().numpy(), strict=True)
    counts = quarters.flatten().tolist()
    return all(
        np.array_equal(np.rot90(before, count, (1, 2)), after)
        for (before, after), count in zip(pairs, counts, strict=True)
    )


@lru_cache(maxsize=8)
def _draws(key: int, count: int) -> tuple[int, ...]:
    """Random words, unsigned, of the indices 0 to count - 1: ``seeds.bits``, in Python's integers."""
    return tuple(_mixed(_mixed((index + 1) * 0x9E3779B97F4A7C15 + key) + key) for index in range(count))


def _mixed(word: int) -> int:
    """SplitMix64's finaliser (Steele, Lea & Flood, OOPSLA 2014)."""
    word &= _WORD
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 & _WORD
    word = (word ^ word >> 27) * 0x94D049BB133111EB & _WORD
    return word ^ word >> 31
