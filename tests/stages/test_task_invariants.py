"""Tasks in stages: what training and evaluation see, and falsehoods that every run must catch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from harness import seeds
from harness.datainfo import DatasetInfo
from harness.engine.data import tasks
from harness.engine.data.dataset import Dataset, InMemory
from harness.engine.data.tasks import posed, turned
from harness.engine.feed import Images
from harness.errors import InvariantBroken
from harness.protocols.common.recipe import Recipe
from harness.schema.task import Task
from harness.stages import task_invariants
from tests.engine.data.sharded import sharded
from tests.engine.oracles import TINY_LENET, dataset
from tests.stages.bench import Bench, same, setting

HERE = setting()
TASKS = [Task(labels="random"), Task(labels="rotation"), Task(blur=2), Task(labels="rotation", blur=2, seed=3)]


def trained(task: Task, bench: Bench) -> Any:
    return bench[HERE.recipe.posed(task).trunk(0, 7)]


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_a_training_on_a_task_is_one_on_a_dataset_that_was_made_so(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turned, relabelled and blurred beforehand, image by image; of turns one stream, as each epoch has another."""
    shown = posed(dataset(), task.model_dump(mode="json"))
    turns = task.labels == "rotation"
    here = setting(augment={"flip": False, "crop_padding": 0}) if turns else HERE
    monkeypatch.setattr("harness.engine.feed.turns", lambda keys, index, seed: shown.train.labels[index])
    monkeypatch.setattr("harness.stages.base.require_task", lambda *given: None)
    recipe = here.recipe.posed(task)
    made = _as_data(shown, turns=turns)
    plainly = Recipe(recipe.training.model_copy(update={"data": here.recipe.training.data}), _with_classes(recipe))
    for ours, theirs in (
        (recipe.trunk(0, 7), plainly.trunk(0, 7)),
        (recipe.evaluate(recipe.trunk(0, 7)), plainly.evaluate(plainly.trunk(0, 7))),
    ):
        one, other = Bench()[ours], Bench(made)[theirs]
        assert same(one, other)
        assert one.table == other.table


def _with_classes(recipe: Recipe) -> DatasetInfo:
    return replace(recipe.data, classes=recipe.classes)


def _as_data(shown: Dataset, *, turns: bool) -> Dataset:
    """A dataset in memory whose images are those of a task, turned by their labels."""

    def made(split: Any) -> InMemory:
        pixels = split.images(slice(None))
        return InMemory(turned(pixels, split.labels) if turns else pixels, split.labels)

    return replace(shown, train=made(shown.train), test=made(shown.test))


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_a_task_on_images_read_from_files_gives_the_same_bits(task: Task, tmp_path: Path) -> None:
    ours, theirs = trained(task, Bench()), trained(task, Bench(data=sharded(dataset(), tmp_path / "shards")))
    assert same(ours, theirs)


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_training_in_one_go_and_in_pieces_is_the_same(task: Task) -> None:
    """Turns are of the epoch and the example, wherever training was taken up again."""
    bench, recipe = Bench(), HERE.recipe.posed(task)
    whole = recipe.trunk(0, 13)
    rest = recipe.train(recipe.trunk(0, 7), 7, 13, order="trunk/0", keep_optimiser=True)
    assert same(bench[whole], bench[rest])


@pytest.mark.parametrize("labels", ["random", "rotation"])
def test_a_pretext_label_that_depends_on_the_class_is_an_error(labels: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is the class here and there."""
    real = tasks._posed

    def leaking(split: Any, *given: Any) -> Any:
        drawn = real(split, *given)
        mixed = torch.where(torch.arange(len(drawn.labels)) % 5 == 0, split.labels, drawn.labels)
        return drawn.relabelled(mixed)

    monkeypatch.setattr(tasks, "_posed", leaking)
    with pytest.raises(InvariantBroken, match=r"labels of the .* split do not follow from index and seed"):
        trained(Task(labels=labels), Bench())


def test_turns_of_training_that_depend_on_the_class_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    classes = dataset().train.labels
    monkeypatch.setattr("harness.engine.feed.turns", lambda keys, index, seed: classes[index])
    with pytest.raises(InvariantBroken, match="turns of training images do not follow from index, seed and stream"):
        trained(Task(labels="rotation"), Bench())


@pytest.mark.parametrize("other", [lambda x, quarters: turned(x, -quarters % 4), lambda x, quarters: x])
def test_images_that_are_not_turned_as_their_labels_say_are_an_error(
    other: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.engine.feed.turned", other)
    with pytest.raises(InvariantBroken, match="are not turned as their labels say"):
        trained(Task(labels="rotation"), Bench())


def test_evaluated_images_that_are_not_turned_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Images, "_posed", lambda self, x, labels: self._to_float(x))
    with pytest.raises(InvariantBroken, match="images of the train split are not turned as their labels say"):
        trained(Task(labels="rotation"), Bench())


@pytest.mark.parametrize("other", [lambda x, factor: x, lambda x, factor: x - (x > 100).to(torch.uint8)])
def test_images_that_are_blurred_otherwise_are_an_error(other: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "blurred", other)
    with pytest.raises(InvariantBroken, match="images of the train split are not those of the dataset blurred by 2"):
        trained(Task(blur=2), Bench())


def test_words_in_pythons_integers_are_those_of_the_engine() -> None:
    for key in (seeds.stream("a"), -5, 0, (1 << 63) - 1):
        due: Tensor = seeds.bits(key, torch.arange(50))
        assert task_invariants._draws(key, 50) == tuple(word % (1 << 64) for word in due.tolist())


def test_a_task_has_its_own_keys_and_the_datasets_own_has_those_of_before() -> None:
    recipe = HERE.recipe
    assert "task" not in recipe.measuring["data"]
    assert recipe.posed(Task()) == recipe
    assert recipe.posed(Task()).trunk(0, 5).key == recipe.trunk(0, 5).key
    keys = {recipe.posed(task).trunk(0, 5).key for task in (*TASKS, Task(labels="random", seed=1))}
    assert len(keys | {recipe.trunk(0, 5).key}) == len(TASKS) + 2
    rotation = recipe.posed(Task(labels="rotation"))
    assert (rotation.classes, recipe.classes) == (4, 3)
    assert rotation.training.parameters == recipe.training.parameters + 4 + 1  # a class more: 4 features and a bias


def test_the_body_of_a_fresh_network_is_one_whatever_the_head() -> None:
    """Each tensor has a stream of its own, so that arms differ in what they are pretrained on alone."""
    bench = Bench()
    one, other = bench[HERE.recipe.initial(0)], bench[HERE.recipe.posed(Task(labels="rotation")).initial(0)]
    assert one.tensors.keys() == other.tensors.keys()
    for name, value in one.tensors.items():
        assert "output" in name or torch.equal(value, other.tensors[name])


def test_a_fully_connected_network_can_be_posed_rotations() -> None:
    recipe = setting(TINY_LENET).recipe.posed(Task(labels="rotation"))
    table = Bench()[recipe.evaluate(recipe.trunk(0, 6))].table
    assert table["examples"] == [11, 23]
