"""A dataset that lies in shards, made of one in memory."""

from dataclasses import replace
from math import prod
from pathlib import Path

from torch import Tensor

from harness.datainfo import DatasetFacts, Record
from harness.engine.data.dataset import Dataset, digest
from harness.engine.data.datasets import label_counts
from harness.engine.data.shard_folder import open_shards, write_shards


def tensors_of(data: Dataset) -> dict[str, Tensor]:
    parts = {"train": data.train, "test": data.test}
    images = {f"{name}_x": split.images(slice(None)) for name, split in parts.items()}
    return images | {f"{name}_y": split.labels for name, split in parts.items()}


def sharded(data: Dataset, folder: Path, images: int = 4) -> Dataset:
    """The same dataset, so many images a shard."""
    folder.mkdir()
    info = replace(data.info, digest=digest(tensors_of(data)))
    checksum = write_shards(data, folder, images * prod(data.info.shape))
    known = DatasetFacts(info, tuple("abc"), formats=("idx",))
    opened = open_shards(folder, Record(info, *label_counts(data), checksum), known)
    assert opened.info == info
    return replace(opened, info=data.info)
