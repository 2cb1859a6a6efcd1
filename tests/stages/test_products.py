"""A result of another form than its stage gives, its digest right: an error that names it, wherever it is read."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from harness.errors import CorruptArtifact
from harness.jobs.job import Job
from harness.jobs.store import Artifact, Store
from harness.stages import products
from harness.stages.products import product_of, wrong_with
from tests.support import Place, cli, imp_text, quadratic_text, request

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("whole"))
    assert place.verify(place.write(imp_text())).code == 0
    return place


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("walks"))
    assert place.verify(place.write(quadratic_text())).code == 0
    return place


@pytest.fixture
def place(whole: Place, tmp_path: Path) -> Place:
    shutil.copytree(whole.root, tmp_path / "copy")
    return Place(tmp_path / "copy")


def jobs_of(place: Place, stage: str) -> list[Job]:
    return [job for job in request(place.root / "tiny_imp.yaml").plan.jobs.values() if job.stage == stage]


def rewrite(place: Place, job: Job, name: str, change: Change) -> None:
    """Changes a file of an artifact, and its digest in the record."""
    folder = Store(place.store, make=False).path(job.key)
    content = (folder / name).read_bytes()
    value = json.loads(content) if name == "table.json" else load(content)
    change(value)
    content = json.dumps(value).encode() if name == "table.json" else save(value)
    (folder / name).write_bytes(content)
    record = json.loads((folder / "record.json").read_text())
    record["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / "record.json").write_text(json.dumps(record))


def texts(table: dict[str, Any]) -> None:
    table["error"] = [str(value) for value in table["error"]]


def shorter(table: dict[str, Any]) -> None:
    for column in table.values():
        column.pop()


TABLES: dict[str, tuple[Change, str]] = {
    "a column missing": (lambda table: table.pop("error"), "has no column 'error'"),
    "text for numbers": (texts, "has other values than numbers from 0 to 100 in the column 'error'"),
    "nulls for numbers": (lambda table: table.update(error=[None] * 2), "other values than numbers"),
    "flags for numbers": (lambda table: table.update(error=[True] * 2), "other values than numbers"),
    "a negative count": (lambda table: table.update(undecided=[0, -1]), "other values than numbers of 0 or more"),
    "an error below 0": (lambda table: table.update(error=[-0.5, 1.0]), "other values than numbers from 0 to 100"),
    "an error above 100": (lambda table: table.update(error=[150.0, 1.0]), "other values than numbers from 0 to 100"),
    "texts for what need not be there": (lambda table: table.update(examples=["all"] * 2), "in the column 'examples'"),
    "numbers for text": (lambda table: table.update(split=[1, 2]), "has other values than texts in the column 'split'"),
    "a row missing": (shorter, "has 1 rows in its table, where 2 are due"),
    "a split twice": (lambda table: table.update(split=["test"] * 2), "has other splits than test and train"),
}


@pytest.mark.parametrize("damage", TABLES)
def test_a_table_of_another_form_is_told_with_its_artifact(damage: str, place: Place) -> None:
    change, words = TABLES[damage]
    victim = jobs_of(place, "evaluate")[-1]
    rewrite(place, victim, "table.json", change)
    told(place, victim, words)


@pytest.mark.parametrize("stage", ["quadratic_relaxation", "quadratic_staircase", "valley_walk"])
def test_a_walk_that_lacks_its_last_row_is_told(stage: str, walks: Place) -> None:
    """A shorter one has the right columns, and another rate of decay."""
    store = Store(walks.store, make=False)
    (victim, *_) = (job for job in request(walks.root / "tiny_quadratic.yaml").plan.jobs.values() if job.stage == stage)
    before = store.path(victim.key)
    assert products.wrong_with(victim, store.read(victim)) == ""
    kept = {path.name: path.read_bytes() for path in before.iterdir()}
    rewrite(walks, victim, "table.json", shorter)
    with pytest.raises(CorruptArtifact, match=r"has \d+ rows in its table, where \d+ are due"):
        products.read(store, victim)
    for name, content in kept.items():
        (before / name).write_bytes(content)


def told(place: Place, victim: Job, words: str) -> None:
    store = Store(place.store, make=False)
    with pytest.raises(CorruptArtifact) as caught:
        products.read(store, victim)
    said = place.verify(place.root / "tiny_imp.yaml")
    assert said.code == 3
    for text in (" ".join(said.err.split()), str(caught.value)):
        assert f"artifact {victim!r} is corrupt: {store.path(victim.key)} " in text
        assert words in text
        assert f"remove the folder {store.path(victim.key)} and run again" in text


def test_the_remedy_heals_the_store(place: Place) -> None:
    victim = jobs_of(place, "evaluate")[-1]
    rewrite(place, victim, "table.json", shorter)
    assert place.verify(place.root / "tiny_imp.yaml").code == 3
    shutil.rmtree(Store(place.store, make=False).path(victim.key))
    assert place.verify(place.root / "tiny_imp.yaml").code == 0


def transposed(tensors: dict[str, Any]) -> None:
    tensors["weight:hidden1.weight"] = tensors["weight:hidden1.weight"].t().contiguous()


STATES: dict[str, tuple[Change, str]] = {
    "transposed": (transposed, "has a tensor 'weight:hidden1.weight' of torch.float32 and shape "),
    "missing": (lambda tensors: tensors.pop("weight:output.bias"), "has no tensor 'weight:output.bias'"),
    "more": (lambda tensors: tensors.update({"weight:other": torch.zeros(1)}), "has a tensor 'weight:other', which"),
    "integers": (
        lambda tensors: tensors.update({"weight:output.bias": tensors["weight:output.bias"].long()}),
        "has a tensor 'weight:output.bias' of torch.int64 and shape (10,)",
    ),
    "of half the digits": (
        lambda tensors: tensors.update({"weight:output.bias": tensors["weight:output.bias"].half()}),
        "has a tensor 'weight:output.bias' of torch.float16 and shape (10,), where torch.float32 ",
    ),
    "of more digits": (
        lambda tensors: tensors.update({"weight:output.bias": tensors["weight:output.bias"].double()}),
        "has a tensor 'weight:output.bias' of torch.float64 and shape (10,), where torch.float32 ",
    ),
    "without its step": (lambda tensors: tensors.pop("step"), "has no tensor 'step'"),
    "a step of two": (lambda tensors: tensors.update(step=torch.tensor([1, 2])), "has a tensor 'step'"),
}


@pytest.mark.parametrize("damage", STATES)
def test_a_state_of_another_form_is_told_with_its_artifact(damage: str, place: Place) -> None:
    change, words = STATES[damage]
    victim = jobs_of(place, "train")[0]
    user = next(job for job in jobs_of(place, "evaluate") if job.inputs["state"] == victim)
    rewrite(place, victim, "tensors.safetensors", change)
    shutil.rmtree(Store(place.store, make=False).path(user.key))
    told(place, victim, words)


def test_a_mask_of_another_form_is_refused(place: Place) -> None:
    victim = jobs_of(place, "prune")[0]
    rewrite(place, victim, "tensors.safetensors", lambda tensors: tensors.update({"mask:output.weight": torch.ones(3)}))
    with pytest.raises(CorruptArtifact, match=r"has a tensor 'mask:output\.weight' of torch\.float32 and shape \(3,\)"):
        products.read(Store(place.store, make=False), victim)


def test_what_the_stages_gave_is_what_they_declare(whole: Place) -> None:
    """Every commit checks it; here it is seen that there is something to check."""
    store = Store(whole.store, make=False)
    jobs = request(whole.root / "tiny_imp.yaml").plan.jobs.values()
    stages = {job.stage for job in jobs}
    assert {"init", "train", "prune", "evaluate", "line"} <= stages
    for job in jobs:
        assert wrong_with(job, store.read(job)) == ""
        assert wrong_with(job, Artifact()) != ""
        declared = product_of(job)
        assert declared.columns or declared.tensors


def test_a_corrupt_store_breaks_a_report_in_words_too(place: Place) -> None:
    victim = jobs_of(place, "line")[0]
    rewrite(place, victim, "table.json", lambda table: table.pop("alpha"))
    said = cli("report", place.root / "tiny_imp.yaml", "--store", place.store, "--report", place.reports)
    assert said.code == 3
    assert f"artifact {victim!r} is corrupt" in " ".join(said.err.split())


@pytest.mark.parametrize("columns", [["undecided"], ["examples", "undecided"]])
def test_columns_of_later_results_may_be_missing(columns: list[str], place: Place) -> None:
    victim = jobs_of(place, "evaluate")[-1]
    rewrite(place, victim, "table.json", lambda table: [table.pop(column) for column in columns])
    assert place.verify(place.root / "tiny_imp.yaml").code == 0


@pytest.mark.parametrize("number", [0, 9.0])
def test_numbers_that_nothing_can_be_made_of_are_told_in_words(number: float, place: Place) -> None:
    """Every column has its type and every row is there."""
    victim = jobs_of(place, "evaluate")[0]
    for column in ("examples", "undecided"):
        rewrite(place, victim, "table.json", lambda table, name=column: table.update({name: [number] * 2}))
    said = place.verify(place.root / "tiny_imp.yaml")
    assert said.code == 3
    assert f"of {number} examples is no number of the" in " ".join(said.err.split())
