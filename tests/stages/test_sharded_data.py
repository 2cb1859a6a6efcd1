"""A dataset that is read from files gives the bits of the same one in memory: training, evaluation, line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.engine.feed import Images
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
