"""Tasks: labels that know of no class, images that are turned and blurred, against loops over single pixels."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness import seeds
from harness.engine.data.dataset import Dataset
from harness.engine.data.tasks import OWN, TURNS, Blurred, blurred, posed, turned, turns
from harness.engine.feed import Images
from harness.schema.task import Task
from tests.engine.data.sharded import sharded
from tests.engine.oracles import NO_AUGMENTATION, SCALE, dataset

LARGE = dataset(6000, 3000, (1, 1, 1))
AUGMENTED = {"flip": True, "crop_padding": 1}


def task(**given: Any) -> dict[str, Any]:
    return Task(**given).model_dump(mode="json")


def images(data: Dataset, asked: dict[str, Any], augment: dict[str, Any] = NO_AUGMENTATION) -> Images:
    settings = {"normalise": SCALE, "augment": augment, "task": asked}
    return Images(posed(data, asked), settings, device=torch.device("cpu"), dtype=torch.float64)


def test_the_datasets_own_task_is_the_default_of_specs_and_changes_nothing() -> None:
    assert dict(OWN) == task()
    shown = posed(LARGE, OWN)
    assert shown.info == LARGE.info
    assert shown.train is LARGE.train
    assert shown.test is LARGE.test


@pytest.mark.parametrize("labels", ["random", "rotation"])
def test_drawn_labels_are_uniform_on_both_splits_whatever_the_class(labels: str) -> None:
    shown = posed(LARGE, task(labels=labels))
    classes = 3 if labels == "random" else TURNS
    assert shown.info.classes == Task(labels=labels).classes(3) == classes  # type: ignore[arg-type]
    for split, original in ((shown.train, LARGE.train), (shown.test, LARGE.test)):
        for own in range(3):
            mine = split.labels[original.labels == own]
            counts = torch.bincount(mine, minlength=classes)
            error = (len(mine) * (1 / classes) * (1 - 1 / classes)) ** 0.5
            assert (counts - len(mine) / classes).abs().max() < 4 * error


@pytest.mark.parametrize("labels", ["random", "rotation"])
def test_drawn_labels_follow_from_index_and_seed_alone(labels: str) -> None:
    """Of a dataset with other images and other classes they are the same; of another seed or split others."""
    first, other = (posed(dataset(200, 200, seed=seed), task(labels=labels)) for seed in (0, 1))
    assert torch.equal(first.train.labels, other.train.labels)
    assert torch.equal(first.test.labels, other.test.labels)
    assert not torch.equal(first.train.labels, first.test.labels)
    reseeded = posed(dataset(200, 200), task(labels=labels, seed=1))
    assert not torch.equal(first.train.labels, reseeded.train.labels)
    fewer = posed(dataset(50, 50), task(labels=labels))
    assert torch.equal(fewer.train.labels, first.train.labels[:50])


def test_turns_are_those_of_numpy() -> None:
    x = torch.arange(4 * 2 * 3 * 3).reshape(4, 2, 3, 3)
    quarters = torch.tensor([2, 0, 3, 1])
    for before, count, after in zip(x, quarters, turned(x, quarters), strict=True):
        assert np.array_equal(np.rot90(before.numpy(), int(count), (1, 2)), after.numpy())


def test_turns_are_of_seed_stream_and_index() -> None:
    keys, index = torch.tensor([3, -9]), torch.arange(5000).expand(2, -1)
    drawn = turns(keys, index, 0)
    assert drawn.shape == (2, 5000)
    counts = torch.stack([torch.bincount(row, minlength=TURNS) for row in drawn])
    assert (counts - 1250).abs().max() < 4 * (5000 * 3 / 16) ** 0.5
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn, turns(keys, index, 1))
    assert torch.equal(turns(keys[1:], index[1:, 40:50], 0), drawn[1:, 40:50])


def test_turns_do_not_follow_from_flips_and_crops() -> None:
    """They are drawn of another stream, so that no look gives the turn away."""
    keys, index = torch.tensor([3]), torch.arange(8000)[None]
    flipped = seeds.bits(keys[:, None], index) & 1
    drawn = turns(keys, index, 0)
    for quarter in range(TURNS):
        mine = flipped[drawn == quarter]
        assert abs(float(mine.double().mean()) - 0.5) < 4 * 0.5 / len(mine) ** 0.5


@pytest.mark.parametrize("augment", [NO_AUGMENTATION, AUGMENTED])
def test_training_images_are_turned_after_their_augmentation(augment: dict[str, Any]) -> None:
    data = dataset(shape=(3, 6, 6))
    index, keys = torch.tensor([[0, 22, 5, 5], [9, 1, 0, 3]]), torch.tensor([17, -4])
    straight, _ = images(data, task(), augment).augmented(index, keys)
    seen, labels = images(data, task(labels="rotation", seed=7), augment).augmented(index, keys)
    assert torch.equal(labels, turns(keys, index, 7))
    for replica in range(2):
        for place in range(4):
            due = np.rot90(straight[place, replica].numpy(), int(labels[replica, place]), (1, 2))
            assert np.array_equal(due, seen[place, replica].numpy())


@pytest.mark.parametrize("split", ["train", "test"])
def test_images_without_augmentation_are_turned_in_one_way_for_good(split: str) -> None:
    data = dataset(shape=(1, 6, 6))
    source = images(data, task(labels="rotation"))
    x, labels = source.plain(split, 2, 9)
    straight, _ = images(data, task()).plain(split, 2, 9)
    assert torch.equal(labels, source.split[split][1][2:9])
    assert torch.equal(turned(straight, labels[:, None]), x)
    assert torch.equal(source.chosen(split, torch.tensor([4, 3])), x[[2, 1]])
    assert torch.equal(source.upright().chosen(split, torch.tensor([4, 3])), straight[[2, 1]])
    assert len(set(source.split[split][1].tolist())) > 1


def naive_blur(image: Tensor, factor: int) -> list[list[list[int]]]:
    """One image, with exact fractions."""
    channels, height, width = image.shape
    out = []
    for channel in range(channels):
        small = [
            [
                Fraction(int(image[channel, y : y + factor, x : x + factor].sum()), factor**2)
                for x in range(0, width, factor)
            ]
            for y in range(0, height, factor)
        ]
        out.append([[_between(small, y, x, factor) for x in range(width)] for y in range(height)])
    return out


def _between(small: list[list[Fraction]], y: int, x: int, factor: int) -> int:
    value = Fraction(0)
    for row, of_row in _neighbours(y, factor, len(small)):
        for column, of_column in _neighbours(x, factor, len(small[0])):
            value += of_row * of_column * small[row][column]
    return int(value + Fraction(1, 2))


def _neighbours(place: int, factor: int, count: int) -> list[tuple[int, Fraction]]:
    """The two pixels around a place, with their weights; those beyond the edge are the outermost."""
    centre = (Fraction(2 * place + 1, 2) / factor) - Fraction(1, 2)
    left = centre.__floor__()
    share = centre - left
    return [(min(max(left + step, 0), count - 1), weight) for step, weight in ((0, 1 - share), (1, share))]


@pytest.mark.parametrize(("factor", "shape"), [(2, (1, 8, 8)), (2, (3, 6, 4)), (4, (2, 8, 12)), (8, (1, 8, 16))])
def test_blurred_images_are_those_of_exact_fractions(factor: int, shape: tuple[int, int, int]) -> None:
    x = dataset(5, shape=shape).train.images(slice(None))
    seen = blurred(x, factor)
    assert seen.dtype == torch.uint8
    assert seen.tolist() == [naive_blur(image, factor) for image in x]


def test_extremes_do_not_overflow_and_even_images_stay() -> None:
    for value in (0, 255):
        flat = torch.full((1, 1, 16, 16), value, dtype=torch.uint8)
        assert torch.equal(blurred(flat, 8), flat)


@pytest.mark.parametrize("labels", ["true", "rotation"])
def test_a_blurred_dataset_has_the_same_bits_in_memory_and_read_from_files(labels: str, tmp_path: Path) -> None:
    data, asked = dataset(shape=(3, 6, 6)), task(labels=labels, blur=2)
    memory, files = (images(each, asked, AUGMENTED) for each in (data, sharded(data, tmp_path / "shards")))
    index, keys = torch.tensor([[0, 22, 5, 5], [9, 1, 0, 3]]), torch.tensor([17, -4])
    for one, other in zip(memory.augmented(index, keys), files.augmented(index, keys), strict=True):
        assert torch.equal(one, other)
    for one, other in zip(memory.plain("test", 3, 9), files.plain("test", 3, 9), strict=True):
        assert torch.equal(one, other)
    shown = posed(data, asked).train
    assert isinstance(shown, Blurred)
    assert torch.equal(shown.images(slice(None)), memory.split["train"][0][:])
    assert not torch.equal(shown.images(slice(None)), data.train.images(slice(None)))
    assert files.split["train"][0].shape == (23, 3, 6, 6)


def test_images_that_are_read_batch_by_batch_are_told_from_others(tmp_path: Path) -> None:
    opened = sharded(dataset(), tmp_path / "shards").train
    shown, cpu = Blurred(opened, 2), torch.device("cpu")
    assert shown.gives(shown.on(cpu))
    assert not shown.gives(Blurred(opened, 3).on(cpu))
    assert not shown.gives(opened.on(cpu))
    assert not shown.gives(Blurred(dataset().train, 2).on(cpu))
