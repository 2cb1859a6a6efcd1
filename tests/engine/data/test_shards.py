"""Datasets in shards: the same content as in memory, by any numbers; damage is named; imports in either form."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.datainfo import KNOWN
from harness.engine.data.dataset import Dataset, digest
from harness.engine.data.datasets import load, load_known
from harness.engine.data.importing import import_known
from harness.errors import BrokenError, CorruptArtifact, DataMissing
from tests.engine.data.dataset_samples import TINY_MNIST, as_folder, mnist_files
from tests.engine.data.sharded import sharded, tensors_of
from tests.engine.oracles import dataset


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return as_folder(tmp_path / "in", mnist_files())


@pytest.fixture
def shards(source: Path, root: Path) -> Path:
    """The folder of shards of an imported tiny MNIST."""
    import_known(TINY_MNIST, source, root, memory_bytes=0)
    return root / "mnist" / "shards"


def equal(one: Dataset, other: Dataset) -> bool:
    a, b = tensors_of(one), tensors_of(other)
    return one.info == other.info and all(
        torch.equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a
    )


@pytest.mark.parametrize("images", [1, 4, 23, 100])
def test_shards_hold_the_same_content(images: int, tmp_path: Path) -> None:
    data = dataset(shape=(2, 3, 5))
    read = sharded(data, tmp_path / "shards", images)
    assert equal(read, data)
    assert digest(tensors_of(read)) == digest(tensors_of(data))
    assert len(list((tmp_path / "shards").iterdir())) == 3 + -(-23 // images) + -(-11 // images)


@pytest.mark.parametrize(
    "index",
    [
        torch.tensor([[22, 0, 0], [3, 4, 22]]),
        torch.tensor(7),
        torch.tensor([], dtype=torch.int64),
        torch.arange(22, -1, -1),
        slice(2, 11),
        slice(20, 99),
    ],
    ids=str,
)
def test_images_by_number_are_those_in_memory(index: torch.Tensor | slice, tmp_path: Path) -> None:
    data = dataset(shape=(2, 3, 5))
    read = sharded(data, tmp_path / "shards")
    found, expected = read.train.images(index), data.train.images(index)
    assert found.dtype == torch.uint8
    assert found.shape == expected.shape
    assert torch.equal(found, expected)
    device = read.train.on(torch.device("cpu"))
    assert torch.equal(device[index], expected)
    assert device.shape == (23, 2, 3, 5)


@pytest.mark.parametrize("form", ["in memory", "in shards"])
@pytest.mark.parametrize(
    ("index", "words"),
    [
        (torch.tensor([3, -1]), "images -1 to 3 were asked for, of 23"),
        (torch.tensor(-1), "images -1 to -1 were asked for, of 23"),
        (torch.tensor([[3], [23]]), "images 3 to 23 were asked for, of 23"),
        (torch.ones(23, dtype=torch.bool), "by torch.bool, not by number"),
        (torch.tensor([0.0]), "by torch.float32, not by number"),
    ],
    ids=["below", "one below", "above", "flags", "not whole"],
)
def test_a_number_beyond_the_split_is_an_error(index: torch.Tensor, words: str, form: str, tmp_path: Path) -> None:
    """One behaviour, wherever the images lie."""
    data = dataset() if form == "in memory" else sharded(dataset(), tmp_path / "shards")
    with pytest.raises(IndexError, match=words):
        data.train.images(index)


def test_other_labels_leave_the_images(tmp_path: Path) -> None:
    data = sharded(dataset(), tmp_path / "shards")
    other = data.train.relabelled(torch.zeros(23, dtype=torch.int64))
    assert other.labels.tolist() == [0] * 23
    assert torch.equal(other.images(slice(None)), data.train.images(slice(None)))


def test_the_form_of_an_import_leaves_facts_and_digest(source: Path, tmp_path: Path) -> None:
    """So jobs have the same keys."""
    size = TINY_MNIST.info.memory_bytes
    assert size == 40 * (4 * 5 + 8)
    for name, limit in (("memory", size), ("shards", size - 1)):
        import_known(TINY_MNIST, source, tmp_path / name, memory_bytes=limit)
    memory, shards = (load_known(TINY_MNIST, tmp_path / name) for name in ("memory", "shards"))
    assert equal(memory, shards)
    assert sorted(path.name for path in (tmp_path / "memory" / "mnist").iterdir()) == [
        "data.safetensors",
        "record.json",
    ]
    assert sorted(path.name for path in (tmp_path / "shards" / "mnist").iterdir()) == ["record.json", "shards"]
    assert sorted(path.name for path in (tmp_path / "shards" / "mnist" / "shards").iterdir()) == [
        "manifest.json",
        "test-00000.u8",
        "test-labels.i64",
        "train-00000.u8",
        "train-labels.i64",
    ]


def test_the_same_import_again_writes_nothing_and_mends_damage(shards: Path, source: Path, root: Path) -> None:
    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in shards.iterdir()}

    before = times()
    import_known(TINY_MNIST, source, root, memory_bytes=0)
    assert times() == before
    (shards / "test-00000.u8").write_bytes(b"")
    import_known(TINY_MNIST, source, root, memory_bytes=0)
    load_known(TINY_MNIST, root)


@pytest.mark.parametrize("first", [0, 1 << 40])
def test_an_import_in_the_other_form_takes_the_place_of_the_first(first: int, source: Path, root: Path) -> None:
    import_known(TINY_MNIST, source, root, memory_bytes=first)
    before = tensors_of(load_known(TINY_MNIST, root))
    import_known(TINY_MNIST, source, root, memory_bytes=(1 << 40) - first)
    after = tensors_of(load_known(TINY_MNIST, root))
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert len(list((root / "mnist").iterdir())) == 2


def test_a_killed_import_is_no_import(shards: Path, source: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(self: Path, target: Path) -> Path:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(BrokenError, match="No space left"):
        import_known(TINY_MNIST, source, root, replace=True, memory_bytes=0)
    monkeypatch.undo()
    with pytest.raises(DataMissing):
        load_known(TINY_MNIST, root)
    import_known(TINY_MNIST, source, root, memory_bytes=0)
    load_known(TINY_MNIST, root)


def damaged(path: Path, damage: str) -> None:
    content = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(content[:-1])
    elif damage == "longer":
        path.write_bytes(content + b" ")
    elif damage == "other bits":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "a named pipe":
        os.mkfifo(path)


@pytest.mark.parametrize("name", ["manifest.json", "train-00000.u8", "test-labels.i64"])
@pytest.mark.parametrize("damage", ["missing", "truncated", "longer", "other bits", "a named pipe"])
def test_a_damaged_file_is_named_with_its_remedy(name: str, damage: str, shards: Path, root: Path) -> None:
    damaged(shards / name, damage)
    with pytest.raises(CorruptArtifact, match=rf"{name} .*harness data import mnist .* --replace"):
        load_known(TINY_MNIST, root)


@pytest.mark.parametrize("damage", ["missing", "truncated", "other bits"])
def test_damage_after_the_check_is_seen_where_the_file_is_read(damage: str, shards: Path, root: Path) -> None:
    data = load_known(TINY_MNIST, root)
    damaged(shards / "train-00000.u8", damage)
    with pytest.raises(CorruptArtifact, match=r"train-00000\.u8 .*--replace"):
        data.train.images(torch.tensor([5]))
    data.test.images(torch.tensor([5]))


def test_an_import_under_a_running_harness_asks_for_the_same_command_again(
    shards: Path, source: Path, root: Path
) -> None:
    """The new files are whole: nothing is wrong with them, they are only not those that were checked."""
    data = load_known(TINY_MNIST, root)
    import_known(TINY_MNIST, source, root, replace=True, memory_bytes=0)
    with pytest.raises(CorruptArtifact) as caught:
        data.train.images(torch.tensor([5]))
    assert str(caught.value) == (
        f"{shards / 'train-00000.u8'} is another file than was checked: if {shards} was replaced while this ran, run "
        "the same command again; if it was not, import it again with `harness data import mnist FOLDER_OR_ARCHIVE "
        "--replace`"
    )
    load_known(TINY_MNIST, root).train.images(torch.tensor([5]))


def rewrite(shards: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the manifest, keeping its checksum in the record right."""
    manifest, record = shards / "manifest.json", shards.parent / "record.json"
    content = json.loads(manifest.read_bytes())
    change(content)
    manifest.write_text(json.dumps(content))
    noted = json.loads(record.read_bytes()) | {"file_sha256": hashlib.sha256(manifest.read_bytes()).hexdigest()}
    record.write_text(json.dumps(noted))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(digest="0" * 64), "is of the digest 000"),
        (lambda m: m.update(more=1), r"is no manifest of shards \(more: "),
        (lambda m: m["train"]["shards"][0].update(images=True), r"train\.shards\.0\.images"),
        (lambda m: m["train"]["shards"][0].update(file="../train-00000.u8"), r"train\.shards\.0\.file"),
        (lambda m: m["train"]["shards"][0].update(file="test-00000.u8"), "one that is not of them"),
        (lambda m: m["train"]["shards"][0].update(images=29), "has 29 train images, not 30"),
        (lambda m: m["train"]["shards"].clear(), "is no manifest"),
        (lambda m: m["test"].update(labels_sha256="0" * 64), "the manifest says 000"),
    ],
)
def test_a_manifest_that_contradicts_the_record_or_the_files_is_refused(
    change: Callable[[dict[str, Any]], object], words: str, shards: Path, root: Path
) -> None:
    rewrite(shards, change)
    with pytest.raises(CorruptArtifact, match=words):
        load_known(TINY_MNIST, root)


def test_files_that_fit_the_manifest_but_not_the_digest_are_refused(shards: Path, root: Path) -> None:
    path = shards / "train-00000.u8"
    damaged(path, "other bits")
    other = hashlib.sha256(path.read_bytes()).hexdigest()
    rewrite(shards, lambda m: m["train"]["shards"][0].update(sha256=other))
    with pytest.raises(CorruptArtifact, match=r"manifest\.json is of the digest .* that of its files is"):
        load_known(TINY_MNIST, root)


@pytest.mark.parametrize("wrong", [10, -1])
def test_labels_out_of_range_are_refused(wrong: int, shards: Path, root: Path) -> None:
    path = shards / "train-labels.i64"
    path.write_bytes(wrong.to_bytes(8, "little", signed=True) + path.read_bytes()[8:])
    other = hashlib.sha256(path.read_bytes()).hexdigest()
    rewrite(shards, lambda m: m["train"].update(labels_sha256=other))
    with pytest.raises(CorruptArtifact, match=r"train-labels\.i64 has other than 30 labels of 0 to 9"):
        load_known(TINY_MNIST, root)


def test_a_dataset_in_shards_is_loaded_once_until_its_manifest_changes(
    shards: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KNOWN, "mnist", TINY_MNIST)
    assert load("mnist", root) is load("mnist", root)
    (shards / "manifest.json").write_text("{}")
    with pytest.raises(CorruptArtifact):
        load("mnist", root)


def test_a_graph_is_refused_the_reading_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recording then stops with this reason, and training goes on without a graph."""
    pixels = sharded(dataset(), tmp_path / "shards").train.on(torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    with pytest.raises(RuntimeError, match="read from files at each step"):
        pixels[torch.tensor([0])]
