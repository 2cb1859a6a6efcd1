"""Datasets: facts, digests, the split of the digits, and loading checked against the record."""

import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.datainfo import KNOWN, DatasetInfo, describe, nominal
from harness.engine.data import datasets
from harness.engine.data.datasets import digest, digits_order, load, load_known
from harness.engine.data.importing import download_dataset, import_dataset, import_known
from harness.engine.data.vision import torchvision_part
from harness.errors import BrokenError, CorruptArtifact, DataMissing, RequestError
from tests.engine.data.dataset_samples import (
    TINY_CIFAR,
    TINY_MNIST,
    TRAIN_X,
    as_folder,
    changed,
    idx,
    image_files,
    mnist_files,
    pixels,
)
from tests.support import put_odd


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_nominal_facts_are_those_of_the_papers() -> None:
    facts = {name: (nominal(name).n_train, nominal(name).n_test, nominal(name).shape) for name in KNOWN}
    assert facts == {
        "digits": (1400, 397, (1, 8, 8)),
        "mnist": (60_000, 10_000, (1, 28, 28)),
        "cifar10": (50_000, 10_000, (3, 32, 32)),
        "imagenet": (1_281_167, 50_000, (3, 0, 0)),
    }
    assert all(nominal(name).classes == len(KNOWN[name].class_names) == 10 for name in KNOWN if name != "imagenet")
    assert nominal("imagenet").classes == 1000
    assert [name for name in KNOWN if nominal(name).sizes_vary] == ["imagenet"]


def test_a_dataset_that_cannot_be_brought_in_yet_is_absent_and_says_why(root: Path) -> None:
    assert describe("imagenet", root) is None
    with pytest.raises(DataMissing, match=r"imagenet is not here: .*cannot read its JPEGs yet"):
        load("imagenet", root)


@pytest.mark.parametrize("ask", [nominal, lambda name: describe(name, Path()), lambda name: load(name, Path())])
def test_an_unknown_name_is_answered_with_the_known_ones(ask: Callable[[str], object]) -> None:
    with pytest.raises(RequestError, match=r"'minst'.*digits, mnist, cifar10, imagenet"):
        ask("minst")


def test_facts_need_no_torch() -> None:
    code = "import sys, harness.datainfo; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_absent_dataset_is_none_to_describe_and_missing_to_load(root: Path) -> None:
    assert describe("mnist", root) is None
    with pytest.raises(DataMissing, match="harness data import mnist"):
        load("mnist", root)


def test_published_checksums_are_those_of_torchvision() -> None:
    cifar = torchvision_part("datasets").CIFAR10
    published = dict(KNOWN["cifar10"].published)
    del published["cifar-10-binary.tar.gz"]
    assert published == dict([*cifar.train_list, *cifar.test_list])
    names = [name.removesuffix(".gz") for name, _ in torchvision_part("datasets").MNIST.resources]
    assert list(KNOWN["mnist"].published) == names


def test_torchvision_gives_networks_and_transforms_too() -> None:
    assert callable(torchvision_part("models").resnet50)
    assert callable(torchvision_part("transforms.v2").RandomCrop)
    with pytest.raises(ImportError):
        torchvision_part("nothing_of_this_name")


def test_digits_are_complete_and_split_once() -> None:
    data = load("digits", Path("nowhere"))
    assert data.info == describe("digits", Path("nowhere"))
    tensors = {
        f"{part}_{kind}": tensor
        for part, split in (("train", data.train), ("test", data.test))
        for kind, tensor in (("x", split.images(slice(None))), ("y", split.labels))
    }
    assert digest(tensors) == data.info.digest
    assert data.train.images(slice(None)).shape == (1400, 1, 8, 8)
    assert data.test.images(slice(None)).shape == (397, 1, 8, 8)
    assert (int(data.train.images(slice(None)).min()), int(data.train.images(slice(None)).max())) == (0, 16)
    assert data.train.labels.bincount().tolist() == [137, 136, 148, 142, 138, 125, 145, 140, 145, 144]
    assert data.test.labels.bincount().tolist() == [41, 46, 29, 41, 43, 57, 36, 39, 29, 36]
    assert load("digits", Path("elsewhere")) is data


def test_the_split_is_a_pure_permutation() -> None:
    order = digits_order(1797)
    assert sorted(order) == list(range(1797))
    assert order[:5] == [1254, 1459, 1000, 883, 1538]


def test_changed_digits_break_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    known = KNOWN["digits"]
    other = replace(known, info=replace(known.info, digest="0" * 64))
    monkeypatch.setattr(datasets, "find", lambda name: other)
    with pytest.raises(BrokenError, match="pinned is 0000"):
        datasets._load_embedded.__wrapped__("digits")


def test_absent_digits_name_the_library_they_come_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "find_spec", lambda name: None)
    with pytest.raises(BrokenError, match="install the pinned scikit-learn"):
        datasets._load_embedded.__wrapped__("digits")


@pytest.mark.parametrize("bring", [import_dataset, lambda name, _, root: download_dataset(name, root)])
def test_digits_need_no_import(bring: Callable[..., DatasetInfo], root: Path) -> None:
    with pytest.raises(RequestError, match="needs no import"):
        bring("digits", Path(), root)


def test_random_states_are_untouched(tmp_path: Path, root: Path) -> None:
    def states() -> tuple[Any, ...]:
        legacy = np.random.get_state(legacy=True)
        return random.getstate(), torch.get_rng_state().tolist(), str(legacy)

    before = states()
    datasets._load_embedded.__wrapped__("digits")
    import_known(TINY_CIFAR, as_folder(tmp_path / "images", image_files("jpg")), root)
    load_known(TINY_CIFAR, root)
    assert states() == before


def test_digest_is_the_documented_byte_stream() -> None:
    tensors = {
        "train_x": torch.tensor([[[[1, 2]]]], dtype=torch.uint8),
        "train_y": torch.tensor([3]),
        "test_x": torch.tensor([[[[4, 5]]]], dtype=torch.uint8),
        "test_y": torch.tensor([258]),
    }
    stream = (
        b"harness-dataset-1\n"
        b"train_x uint8 1x1x1x2\n\x01\x02"
        b"train_y int64 1\n\x03\0\0\0\0\0\0\0"
        b"test_x uint8 1x1x1x2\n\x04\x05"
        b"test_y int64 1\n\x02\x01\0\0\0\0\0\0"
    )
    assert digest(tensors) == hashlib.sha256(stream).hexdigest()
    assert digest(dict(reversed(tensors.items()))) == digest(tensors)
    strided = tensors | {"train_x": torch.tensor([[[[1, 9, 2, 9]]]], dtype=torch.uint8)[..., ::2]}
    assert digest(strided) == digest(tensors)
    assert digest(tensors | {"train_x": tensors["train_x"].reshape(1, 1, 2, 1)}) != digest(tensors)


@pytest.fixture
def imported(tmp_path: Path, root: Path) -> Path:
    """The folder of an imported tiny MNIST."""
    import_known(TINY_MNIST, as_folder(tmp_path / "in", mnist_files()), root)
    return root / "mnist"


def other_mnist(tmp_path: Path) -> Path:
    files = changed(mnist_files(), **{TRAIN_X: idx(pixels(30, 4, 5)[::-1])})
    return as_folder(tmp_path / "other", files)


def test_the_same_import_again_writes_nothing(imported: Path, tmp_path: Path, root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in imported.iterdir()}
    import_known(TINY_MNIST, tmp_path / "in", root)
    assert {path: path.stat().st_mtime_ns for path in imported.iterdir()} == before


def test_the_same_import_again_mends_a_damaged_file(imported: Path, tmp_path: Path, root: Path) -> None:
    (imported / "data.safetensors").write_bytes(b"")
    import_known(TINY_MNIST, tmp_path / "in", root)
    assert load_known(TINY_MNIST, root).train.images(slice(None)).shape == (30, 1, 4, 5)


def test_other_data_needs_replace(imported: Path, tmp_path: Path, root: Path) -> None:
    old = load_known(TINY_MNIST, root).info
    with pytest.raises(RequestError, match=f"other data .digest {old.digest[:12]}.*--replace"):
        import_known(TINY_MNIST, other_mnist(tmp_path), root)
    assert load_known(TINY_MNIST, root).info == old
    new = import_known(TINY_MNIST, other_mnist(tmp_path), root, replace=True)
    assert new.digest != old.digest
    assert load_known(TINY_MNIST, root).info == new
    assert len(list(imported.iterdir())) == 2


@pytest.mark.parametrize("step", [1, 2])
def test_a_killed_import_is_no_import(
    step: int, imported: Path, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    rename = Path.replace

    def failing(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == step:
            raise OSError("No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(BrokenError, match="No space left"):
        import_known(TINY_MNIST, other_mnist(tmp_path), root, replace=True)
    monkeypatch.undo()
    assert not [path for path in imported.iterdir() if path.name.startswith(".")]
    with pytest.raises(DataMissing):
        load_known(TINY_MNIST, root)
    import_known(TINY_MNIST, other_mnist(tmp_path), root)
    load_known(TINY_MNIST, root)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BrokenError, match="cannot be written"):
        import_known(TINY_MNIST, as_folder(tmp_path / "in", mnist_files()), tmp_path / "file" / "data", True)


@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_file_is_named_with_its_remedy(damage: str, imported: Path, root: Path) -> None:
    path = imported / "data.safetensors"
    content = path.read_bytes()
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if damage == "truncate" else content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CorruptArtifact, match=r"data\.safetensors.*harness data import mnist .* --replace"):
        load_known(TINY_MNIST, root)


def rewrite(imported: Path, change: Callable[[dict[str, Any]], object], tensors: bool = False) -> None:
    """Changes the tensors, or the record, keeping the file's checksum in the record right."""
    data, record = imported / "data.safetensors", imported / "record.json"
    content = json.loads(record.read_bytes())
    if tensors:
        loaded = load_file(data)
        change(loaded)
        save_file(loaded, data)
        content["file_sha256"] = hashlib.sha256(data.read_bytes()).hexdigest()
    else:
        change(content)
    record.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t["train_x"][0].add_(1), "its digest is"),
        (lambda t: t["test_x"][0].copy_(t["train_x"][0]), "1 of 10 test images are among the training images"),
        (lambda t: t["train_y"].fill_(10), r"train_y holds the labels \[10\]"),
        (lambda t: t.update(train_x=t["train_x"][1:].clone()), r"train_x is torch.uint8 of shape \(29,"),
        (lambda t: t.update(train_y=t["train_y"].int()), "train_y is torch.int32"),
        (lambda t: t.pop("test_y"), "it holds test_x, train_x, train_y, not"),
    ],
)
def test_tensors_that_contradict_the_record_are_refused(
    change: Callable[[dict[str, Any]], object], words: str, imported: Path, root: Path
) -> None:
    rewrite(imported, change, tensors=True)
    with pytest.raises(CorruptArtifact, match=words):
        load_known(TINY_MNIST, root)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r: r["info"].update(digest="0" * 64), "its record says 0000"),
        (lambda r: r["info"].update(digest="short"), "not 64 hex digits"),
        (lambda r: r.update(file_sha256=None), r"is no dataset record: file_sha256: "),
        (lambda r: r.update(file_sha256="G" * 64), "not 64 hex digits"),
        (lambda r: r["info"].update(n_train=31), "n_train is 31, of mnist it is 30"),
        (lambda r: r["info"].update(name="cifar10"), "name is 'cifar10'"),
        (lambda r: r["info"].update(original="yes"), r"is no dataset record: info.original: "),
        (lambda r: r["info"].update(original=1), r"is no dataset record: info.original: "),
        (lambda r: r["info"].update(origin=["a"]), r"is no dataset record: info.origin: "),
        (lambda r: r["info"].update(caveat=3), r"is no dataset record: info.caveat: "),
        (lambda r: r["info"].update(n_train=True), r"is no dataset record: info.n_train: "),
        (lambda r: r["info"].update(shape=[[1], 28, 28]), r"is no dataset record: info.shape"),
        (lambda r: r.update(train_counts=None), r"is no dataset record: train_counts: "),
        (lambda r: r.update(train_counts=["3"] * 10), r"is no dataset record: train_counts"),
        (lambda r: r.update(train_counts=[3] * 9), "train_counts is not how 30 images fall into 10 classes"),
        (lambda r: r.update(test_counts=[-1, *[3] * 9]), "test_counts is not how"),
        (lambda r: r.update(test_counts=[10**400] * 10), "more than 64 bits"),
        (lambda r: r["info"].update(caveat=float("nan")), "has NaN"),
        (lambda r: r["info"].update(shape=None), r"is no dataset record: info.shape: "),
        (lambda r: r.pop("info"), r"is no dataset record: info: "),
        (lambda r: r.update(extra=1), r"is no dataset record: extra: "),
        (lambda r: r.update(train_counts=[30] + [0] * 9), "its labels count"),
    ],
)
def test_a_wrong_record_is_refused(
    change: Callable[[dict[str, Any]], object], words: str, imported: Path, root: Path
) -> None:
    rewrite(imported, change)
    with pytest.raises(CorruptArtifact, match=words):
        load_known(TINY_MNIST, root)


def test_an_unreadable_record_blocks_an_import_unless_replaced(imported: Path, tmp_path: Path, root: Path) -> None:
    (imported / "record.json").write_text("[")
    with pytest.raises(CorruptArtifact, match="--replace"):
        describe("mnist", root)
    with pytest.raises(CorruptArtifact):
        import_known(TINY_MNIST, tmp_path / "in", root)
    import_known(TINY_MNIST, tmp_path / "in", root, replace=True)
    load_known(TINY_MNIST, root)


def test_the_cache_sees_changed_files(imported: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KNOWN, "mnist", TINY_MNIST)
    first = load("mnist", root)
    assert load("mnist", root) is first
    assert describe("mnist", root) == first.info
    path = imported / "data.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorruptArtifact):
        load("mnist", root)


@pytest.mark.parametrize("name", ["record.json", "data.safetensors"])
@pytest.mark.parametrize("kind", ["a named pipe", "a folder", "a device", "too large|bytes"])
def test_what_is_no_file_of_a_bounded_length_is_neither_waited_for_nor_read(
    name: str, kind: str, imported: Path, root: Path
) -> None:
    path = imported / name
    path.unlink()
    put_odd(path, kind)
    with pytest.raises(CorruptArtifact, match=rf"{path} .*({kind})"):
        load_known(TINY_MNIST, root)


@pytest.mark.parametrize("text", ["[" * 10**5, "null", "[]", "3", '{"info": 1, "info": 2}', "\xff"])
def test_a_record_that_is_none_is_refused(text: str, imported: Path, root: Path) -> None:
    (imported / "record.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CorruptArtifact, match="import it again with"):
        load_known(TINY_MNIST, root)
