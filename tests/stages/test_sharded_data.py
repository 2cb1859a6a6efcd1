"""A dataset that is read from files gives the bits of the same one in memory: training, evaluation, line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.engine.data.shards import Shards
from harness.engine.feed import Images
from harness.errors import InvariantBroken
from tests.engine.data.sharded import sharded
from tests.engine.oracles import SCALE, TINY_LENET, dataset
from tests.stages.bench import Bench, same, setting
from tests.stages.test_stages import LINE, copies_of


@pytest.mark.parametrize("augment", [{"flip": True, "crop_padding": 1}, {"flip": False, "crop_padding": 0}])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_training_an_evaluation_and_a_line_have_the_same_bits(
    augment: Mapping[str, Any], noise: float, tmp_path: Path
) -> None:
    here = setting(TINY_LENET, augment=augment, label_noise=noise)
    memory, files = Bench(), Bench(data=sharded(dataset(), tmp_path / "shards"))
    ends = copies_of(here)
    for job in (*ends, here.recipe.evaluate(ends[0]), here.recipe.line(*ends, LINE)):
        one, other = memory[job], files[job]
        assert same(one, other)
        assert one.table == other.table
        assert one.witness == other.witness


@pytest.mark.parametrize("augment", [{"flip": True, "crop_padding": 2}, {"flip": True, "crop_padding": 0}])
def test_augmented_batches_of_several_replicas_have_the_same_bits(augment: Mapping[str, Any], tmp_path: Path) -> None:
    data = dataset(shape=(3, 6, 4))
    settings = {"normalise": SCALE, "augment": augment}
    memory, files = (
        Images(each, settings, device=torch.device("cpu")) for each in (data, sharded(data, tmp_path / "shards"))
    )
    index, keys = torch.tensor([[0, 22, 5, 5], [9, 1, 0, 3]]), torch.tensor([17, -4])
    for one, other in zip(memory.augmented(index, keys), files.augmented(index, keys), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(memory.chosen("train", index), files.chosen("train", index))
    for one, other in zip(memory.plain("train", 3, 20), files.plain("train", 3, 20), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_only_images_that_are_used_are_read(noise: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three groups, each of which opens the dataset anew; there is no copy to compare with the files."""
    here = setting(label_noise=noise, augment={"flip": False, "crop_padding": 0})
    count, read = here.recipe.training.batch, list[int]()
    files = Bench(data=sharded(dataset(), tmp_path / "shards"))
    images = Shards.images

    def counted(self: Shards, index: Tensor | slice) -> Tensor:
        found = images(self, index)
        read.append(found.shape[:-3].numel())
        return found

    monkeypatch.setattr(Shards, "images", counted)
    for stop in (1, 2, 3):
        start = here.recipe.initial(0)
        files[here.recipe.train(start, 0, stop, order="trunk/0")]
        assert sum(read) == count * stop
        read.clear()


@pytest.mark.parametrize("form", ["in memory", "in shards"])
@pytest.mark.parametrize("split", ["train", "test"])
def test_images_that_are_not_those_of_the_digest_stop_the_run(
    form: str, split: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Changing(Images):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            x, y = self.split[split]
            self.split[split] = x[torch.arange(len(y) - 1, -1, -1)], y

    here = setting()
    bench = Bench(data=dataset() if form == "in memory" else sharded(dataset(), tmp_path / "shards"))
    monkeypatch.setattr("harness.stages.base.Images", Changing)
    with pytest.raises(InvariantBroken, match=f"the images of the {split} split are not those with the digest"):
        bench[copies_of(here)[0]]


@pytest.mark.parametrize("form", ["in memory", "in shards"])
def test_a_split_tells_its_own_pixels_from_a_copy(form: str, tmp_path: Path) -> None:
    data = dataset() if form == "in memory" else sharded(dataset(), tmp_path / "shards")
    pixels = data.train.on(torch.device("cpu"))
    other = data.train.relabelled(torch.zeros_like(data.train.labels))
    assert data.train.gives(pixels)
    assert other.gives(pixels)
    assert not data.train.gives(data.train.images(slice(None)).clone())
    assert not data.train.gives(data.train.on(torch.device("meta"))) or form == "in shards"
    assert not data.train.gives(data.test.on(torch.device("cpu")))
