"""Batches that leave batch normalisation one value a channel are refused with the field and the layer, no others."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.protocols.common.normalisation import batch_problems, epoch_problems
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.setting import TrainingSetting
from harness.steps import Duration
from tests.support import (
    Place,
    cli,
    cliffs_text,
    edge_text,
    edited,
    imp_text,
    instability_text,
    line_of,
    request,
    spectrum_text,
)

VGG = "{name: vgg, widths: [2, 2, 2, 2], convolutions: [1, 1, 1, 1], last_pooling: mean}"
"""The images of digits, 8x8 pixels, are 1x1 in its fourth stage."""
SHORTER = "{name: vgg, widths: [2, 2, 2], convolutions: [1, 1, 1], last_pooling: mean}"
LAYER = "the images of the layer stage4.conv1.bn are 1x1 pixels"


def vgg(text: str, batch: int, network: str = VGG, sampling: str = "") -> str:
    """A spec with the network, and batches of a size."""
    for old in ("{name: lenet, hidden: [16]}", "{name: resnet, widths: [4], blocks: 1, activation: gelu}"):
        text = text.replace(old, network)
    text = text.replace("      sampling: independent\n", "")
    for size in ("1210", "398"):
        text = text.replace(f"parameters: {size}", f"parameters: {180 if network == VGG else 138}")
    return edited(text, "batch: 50\n", f"batch: {batch}\n{sampling}")


INDEPENDENT = "      sampling: independent\n"
E, H, C = edge_text(), spectrum_text(), cliffs_text()
CHUNK = "chunk: 20"

REFUSED: dict[str, tuple[str, str, Sequence[str]]] = {
    "a batch of one": (
        vgg(instability_text(), 1),
        "batch: 1\n",
        ["scales.toy.training.batch: found 1: a batch has 1 example", LAYER, "choose 2 or more"],
    ),
    "a batch of one, drawn": (vgg(imp_text(), 1, sampling=INDEPENDENT), "batch: 1\n", ["found 1: a batch", LAYER]),
    "a last batch of one": (
        vgg(E, 1399),
        "batch: 1399\n",
        [
            "found 1399: the last batch of the 1,400 examples of digits, 1399 at a time, has 1 example",
            "such as 1400, or sampling: independent",
        ],
    ),
    "a last batch of one where statistics are recomputed": (
        vgg(instability_text(), 1399, sampling=INDEPENDENT),
        "batch: 1399\n",
        ["found 1399: the last batch of the 1,400", "fewer stages"],
    ),
    "a chunk of one": (
        edited(vgg(H, 50), CHUNK, "chunk: 1"),
        "chunk: 1,",
        ["settings.objective.chunk: found 1: a chunk has 1 example", LAYER, "or batch_norm: eval"],
    ),
    "a last chunk of one": (
        edited(vgg(H, 50), CHUNK, "chunk: 39"),
        "chunk: 39",
        ["settings.objective.chunk: found 39: the last chunk of 40 examples has 1 example"],
    ),
    "a last chunk of one of all examples": (
        edited(vgg(E, 50), "chunk: 15", "chunk: 1399"),
        "chunk: 1399",
        ["found 1399: the last chunk of 1,400 examples has 1 example"],
    ),
}

TAKEN = {
    "two": vgg(instability_text(), 2),
    "one, where images are larger": vgg(instability_text(), 1, network=SHORTER),
    "a last one, where every batch is drawn anew": vgg(E, 1399, sampling=INDEPENDENT),
    "a chunk of one by running statistics": edited(
        edited(vgg(H, 50), CHUNK, "chunk: 1"), "batch_norm: batch", "batch_norm: eval"
    ),
    "one, without batch normalisation": edited(instability_text(), "batch: 50", "batch: 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_single_value_is_refused(case: str, tmp_path: Path) -> None:
    text, part, words = REFUSED[case]
    place = Place(tmp_path)
    path = place.write(text)
    said = place.verify(path)
    assert said.code == 2, said.out + said.err
    shown = " ".join(said.err.split())
    for one in (f"{path.name}:{line_of(text, part)}", *words):
        assert one in shown, shown


@pytest.mark.parametrize("case", TAKEN)
def test_more_values_are_taken(case: str, tmp_path: Path) -> None:
    place = Place(tmp_path)
    path = place.write(TAKEN[case])
    said = cli("validate", path)
    assert said.code == 0, said.out + said.err


def test_so_is_a_last_batch_of_another_size_than_the_recipes(tmp_path: Path) -> None:
    """Such as that of a twin, with a multiple of the recipe's."""
    place = Place(tmp_path)
    setting = request(place.write(vgg(C, 50, sampling="      sampling: epochs\n"))).setting
    assert isinstance(setting, TrainingSetting)
    where = ("settings", "twins", "factor")
    (found,) = epoch_problems(setting.recipe, where, 3, 1399)
    assert (found.location, LAYER in found.message) == (where, True)
    assert "found 3: the last batch of the 1,400 examples of digits, 1399 at a time, has 1 example" in found.message
    assert not list(epoch_problems(setting.recipe, where, 3, 1398))


@pytest.mark.parametrize(("length", "count"), [(1, 0), (2, 1)])
def test_a_last_batch_that_training_does_not_reach_is_taken(length: int, count: int, tmp_path: Path) -> None:
    setting = request(Place(tmp_path).write(vgg(C, 50, sampling="      sampling: epochs\n"))).setting
    assert isinstance(setting, TrainingSetting)
    training = setting.recipe.training.model_copy(update={"batch": 1399, "length": Duration(length, "it")})
    assert len(list(batch_problems(Recipe(training, setting.recipe.data), ("training",), recomputed=False))) == count
