"""Datasets of random images, in the shape of a recipe's."""

import torch

from harness.datainfo import DatasetInfo
from harness.engine.data.dataset import Dataset, digest, in_memory
from harness.protocols.common.recipe import Recipe


def made_up(recipe: Recipe, n_train: int, n_test: int) -> Dataset:
    """Random images and labels with the facts of the recipe's dataset."""
    generator = torch.Generator().manual_seed(0)
    facts, shape, tensors = recipe.data, recipe.shape, {}
    for part, count in (("train", n_train), ("test", n_test)):
        tensors[f"{part}_x"] = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)
        tensors[f"{part}_y"] = torch.arange(count) % facts.classes
    info = DatasetInfo(facts.name, digest(tensors), n_train, n_test, facts.classes, shape, False, "made up", None)
    return in_memory(info, tensors)
