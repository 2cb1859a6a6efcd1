"""Imports of datasets: every form of them, and the refusal of what is unsafe, damaged or something else."""

import gzip
import hashlib
import io
import lzma
import os
import pickle
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.engine.data import importing
from harness.engine.data.archives import Limits
from harness.engine.data.datasets import load, load_known
from harness.engine.data.formats.cifar import _ArraysOnly
from harness.engine.data.importing import download_dataset, import_dataset, import_known
from harness.errors import RequestError
from tests.engine.data.dataset_samples import (
    TEST_PIXELS,
    TINY_CIFAR,
    TINY_MNIST,
    TRAIN_X,
    TRAIN_Y,
    Files,
    as_folder,
    as_tar,
    as_zip,
    changed,
    cifar_batches,
    cifar_binary,
    cifar_python,
    idx,
    image_files,
    labels,
    mnist_files,
    nothing_left,
    pixels,
    refused,
    verified,
)
from tests.support import ROOT

SHARED = ROOT.parent / "shared" / "data"
REAL_MNIST = SHARED / "mnist"
REAL_CIFAR = SHARED / "cifar10-jpeg" / "cifar10-jpeg.tar.xz"
MNIST_DIGEST = "55f7064fadb57aab52b1437266767bcdddb3e3e2da1f8ce11fb60feedec96806"
CIFAR_JPEG_DIGEST = "434eea89f595a78ce5592d138686f3b5436fe84df24b25fcab973f32e0e33dbe"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_mnist_from_packed_and_plain_files_anywhere_below(tmp_path: Path, root: Path) -> None:
    files = mnist_files()
    mixed = {f"raw/{name}": content for name, content in files.items()}
    name = "train-images-idx3-ubyte"
    mixed[f"{name}.gz"] = gzip.compress(files[name])  # as torchvision leaves them: packed and unpacked
    info = import_known(verified(TINY_MNIST, files), as_folder(tmp_path / "in", mixed), root)
    data = load_known(TINY_MNIST, root)
    assert data.info == info
    assert (info.original, info.caveat) == (True, None)
    assert np.array_equal(data.train.images(slice(None)).numpy(), pixels(30, 4, 5)[:, None])
    assert np.array_equal(data.test.images(slice(None)).numpy(), TEST_PIXELS[:, None])
    assert np.array_equal(data.train.labels.numpy(), labels(30))
    assert sorted(path.name for path in (root / "mnist").iterdir()) == ["data.safetensors", "record.json"]


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.xz", "a.tar.bz2", "a.zip"])
def test_every_archive_gives_the_data_of_the_folder(name: str, tmp_path: Path, root: Path) -> None:
    make = as_zip if name.endswith(".zip") else as_tar
    info = import_known(TINY_MNIST, make(tmp_path / name, mnist_files()), root)
    assert info.digest == import_known(TINY_MNIST, as_folder(tmp_path / "in", mnist_files()), root).digest
    assert info.origin == f"the four idx files, from {name}"
    assert not info.original
    assert "train-images" in str(info.caveat)


def test_three_forms_of_cifar_agree_where_they_hold_the_same_pixels(tmp_path: Path, root: Path) -> None:
    python, binary = cifar_python(), cifar_binary()
    first = import_known(verified(TINY_CIFAR, python), as_tar(tmp_path / "p.tar.gz", python), root / "1")
    second = import_known(TINY_CIFAR, as_folder(tmp_path / "b", binary), root / "2")
    assert first.digest == second.digest
    assert (first.original, first.caveat) == (True, None)
    assert not second.original
    assert "not compared" in str(second.caveat)
    data = load_known(TINY_CIFAR, root / "1")
    assert np.array_equal(data.train.images(slice(None))[10].numpy().reshape(-1), cifar_batches()["data_batch_2"][0][0])


def test_the_binary_archive_is_original_by_its_published_checksum(tmp_path: Path, root: Path) -> None:
    archive = as_tar(tmp_path / "cifar-10-binary.tar.gz", cifar_binary())
    known = verified(TINY_CIFAR, {archive.name: archive.read_bytes()})
    assert import_known(known, archive, root).original


def test_images_are_ordered_by_class_then_name(tmp_path: Path, root: Path) -> None:
    files = image_files() | {"train/cat/._0000.png": b"", "notes.txt": b"?"}
    info = import_known(TINY_CIFAR, as_folder(tmp_path / "in", files), root)
    data = load_known(TINY_CIFAR, root)
    assert data.train.labels.tolist() == [label for label in range(10) for _ in range(5)]
    assert data.train.images(slice(None))[13, :, 0, 0].tolist() == [40, 120, 7]  # class 2, number 3
    assert not info.original
    assert info.caveat == "not compared with the original"


def test_a_jpeg_copy_says_so(tmp_path: Path, root: Path) -> None:
    info = import_known(TINY_CIFAR, as_folder(tmp_path / "in", image_files("jpg")), root)
    assert info.caveat == "JPEG copy: other pixels than the original"
    assert "Pillow" in info.origin


def test_an_unverified_pickle_is_never_opened(tmp_path: Path, root: Path) -> None:
    trace = tmp_path / "it ran"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(trace),)

    files = cifar_python()
    known = verified(TINY_CIFAR, files)
    files["cifar-10-batches-py/test_batch"] = pickle.dumps(Evil())  # the last to be compared
    message = refused(known, as_folder(tmp_path / "in", files), root)
    assert "test_batch has MD5" in message
    assert "unverified pickle" in message
    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        _ArraysOnly(io.BytesIO(pickle.dumps(Evil()))).load()
    assert not trace.exists()


@pytest.mark.parametrize("name", ["../evil.png", "/train/cat/evil.png", "train/../../evil.png", "c:/evil.png"])
@pytest.mark.parametrize("make", [as_tar, as_zip])
def test_paths_that_lead_out_are_refused(name: str, make: Callable[..., Path], tmp_path: Path, root: Path) -> None:
    message = refused(TINY_CIFAR, make(tmp_path / "a", image_files() | {name: b"evil"}), root)
    assert "leads out" in message
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path, root: Path) -> None:
    entry = tarfile.TarInfo("train/cat/9999.png")
    entry.type, entry.linkname = kind, "/etc/hostname"
    assert "no plain file" in refused(TINY_CIFAR, as_tar(tmp_path / "a.tar", image_files(), entry), root)


def test_links_and_encryption_in_a_zip_are_refused(tmp_path: Path, root: Path) -> None:
    link = zipfile.ZipInfo("train/cat/9999.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = as_zip(tmp_path / "a.zip", image_files())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/hostname")
    assert "a link" in refused(TINY_CIFAR, path, root)
    content = bytearray(as_zip(tmp_path / "b.zip", {"train/cat/1.png": b"x"}).read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag of encryption, in the directory
    (tmp_path / "b.zip").write_bytes(content)
    assert "encrypted" in refused(TINY_CIFAR, tmp_path / "b.zip", root)


def test_bombs_are_refused_before_they_unpack(tmp_path: Path, root: Path) -> None:
    bomb = bytes(3_000_000)
    limits = Limits(file_bytes=1_000_000, total_bytes=2_000_000, files=100)
    for make, name in ((as_tar, "a.tar.xz"), (as_tar, "a.tar.gz"), (as_zip, "a.zip")):
        source = make(tmp_path / name, {"train-images-idx3-ubyte": bomb})
        assert source.stat().st_size < 10_000
        assert "more than 1000000 bytes" in refused(TINY_MNIST, source, root, limits=limits)
    unwanted = as_tar(tmp_path / "b.tar.xz", {"unwanted": bomb})
    assert "more than 2000000 bytes" in refused(TINY_MNIST, unwanted, root, limits=limits)
    hidden = tmp_path / "c.tar.xz"  # behind the end of the archive, where only the checksum is left to read
    hidden.write_bytes(lzma.compress(as_tar(tmp_path / "c.tar", mnist_files()).read_bytes() + bomb))
    assert "more than 2000000 bytes" in refused(TINY_MNIST, hidden, root, limits=limits)
    many = as_tar(tmp_path / "d.tar", {f"{number}": b"" for number in range(101)})
    assert "more than 100 members" in refused(TINY_MNIST, many, root, limits=limits)
    folder = as_folder(tmp_path / "e", {"train-images-idx3-ubyte": bomb})
    assert "has more than the 1,000,000 bytes" in refused(TINY_MNIST, folder, root, limits=limits)


def test_a_packed_idx_file_may_not_unpack_to_more_than_its_images(tmp_path: Path, root: Path) -> None:
    files = mnist_files() | {"t10k-images-idx3-ubyte.gz": gzip.compress(bytes(1_000_000))}
    assert "unpacks to more than the 616 bytes" in refused(TINY_MNIST, as_folder(tmp_path / "in", files), root)


def test_an_image_bomb_is_refused_by_its_header(tmp_path: Path, root: Path) -> None:
    files = image_files()
    content = bytearray(files["test/dog/0000.png"])
    content[16:24] = struct.pack(">2I", 60_000, 60_000)
    files["test/dog/0000.png"] = bytes(content)
    assert "test/dog/0000.png" in refused(TINY_CIFAR, as_folder(tmp_path / "in", files), root)


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.xz", "a.tar.bz2", "a.zip"])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.97])
def test_a_truncated_archive_is_refused(name: str, kept: float, tmp_path: Path, root: Path) -> None:
    noise = hashlib.shake_128(b"noise").digest(30_000)  # fills the archive, so that every cut hits something
    files = mnist_files() | {"t10k-labels-idx1-ubyte": idx(labels(10)) + noise}
    path = (as_zip if name.endswith(".zip") else as_tar)(tmp_path / name, files)
    content = path.read_bytes()
    cut = 16_000 if name == "a.tar" else int(len(content) * kept)
    path.write_bytes(content[:cut])
    message = refused(TINY_MNIST, path, root)
    assert str(path) in message
    assert "get a sound copy" in message


def test_a_tar_cut_between_two_members_lacks_a_file(tmp_path: Path, root: Path) -> None:
    path = as_tar(tmp_path / "a.tar", mnist_files())
    path.write_bytes(path.read_bytes()[: 2 * 512 + 512])
    assert "holds no train-labels-idx1-ubyte" in refused(TINY_MNIST, path, root)


def test_a_damaged_archive_is_refused(tmp_path: Path, root: Path) -> None:
    for make, name in ((as_tar, "a.tar.gz"), (as_tar, "a.tar.xz"), (as_zip, "a.zip")):
        path = make(tmp_path / name, mnist_files())
        content = bytearray(path.read_bytes())
        content[120] ^= 0xFF  # in the packed content of the first file
        path.write_bytes(content)
        assert str(path) in refused(TINY_MNIST, path, root)
    (tmp_path / "text.tar").write_text("not an archive" * 100)
    assert "no tar or zip" in refused(TINY_MNIST, tmp_path / "text.tar", root)


def test_a_member_listed_twice_is_refused(tmp_path: Path, root: Path) -> None:
    path = as_tar(tmp_path / "a.tar", image_files())
    with tarfile.open(path, "a") as archive:
        archive.addfile(tarfile.TarInfo("train/cat/0000.png"))
    assert "twice" in refused(TINY_CIFAR, path, root)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (changed(mnist_files(), **{TRAIN_Y: None}), "holds no train-labels-idx1-ubyte"),
        (
            changed(mnist_files(), **{TRAIN_X: idx(pixels(30, 4, 5))[:-1]}),
            "announces 600 bytes and holds 599",
        ),
        (
            changed(mnist_files(), **{TRAIN_X: idx(pixels(30, 4, 5)) + b"x"}),
            "announces 600 bytes and holds 601",
        ),
        (changed(mnist_files(), **{TRAIN_X: b"\0\0"}), "starts with 0000"),
        (changed(mnist_files(), **{TRAIN_X: b"\0\0\x0d\x03" + bytes(99)}), "starts with 00000d03"),
        (
            changed(mnist_files(), **{TRAIN_X: idx(pixels(29, 4, 5))}),
            r"train_x is torch.uint8 of shape \(29, 1",
        ),
        (changed(mnist_files(), **{TRAIN_X: idx(pixels(30, 5, 4))}), r"of mnist it is .* \(30, 1, 4, 5\)"),
        (changed(mnist_files(), **{TRAIN_X: idx(pixels(30))}), "train_x is torch.int64"),
        (
            changed(mnist_files(), **{TRAIN_Y: idx(labels(30) % 9)}),
            r"train_y holds the labels \[0, 1, .* 8\]",
        ),
        (changed(mnist_files(), **{TRAIN_Y: idx(labels(30) + np.uint8(1))}), "has all of 0 to 9"),
        (mnist_files() | {"copy/t10k-labels-idx1-ubyte": idx(labels(10)[::-1])}, "differing copies"),
        (
            mnist_files() | {"t10k-labels-idx1-ubyte.gz": gzip.compress(b"x" * 99)[:-9]},
            "truncated or damaged",
        ),
        ({"else.txt": b""}, "holds no mnist: expected four idx files"),
    ],
)
def test_wrong_idx_files_are_named(files: Files, words: str, tmp_path: Path, root: Path) -> None:
    with pytest.raises(RequestError, match=words):
        import_known(TINY_MNIST, as_folder(tmp_path / "in", files), root)
    assert nothing_left(root)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({k: v for k, v in image_files().items() if "test/ship" not in k}, "holds no image in test/ship"),
        ({k: v for k, v in image_files().items() if k != "train/ship/0002.png"}, r"\(49, 3, 4, 5\)"),
        (image_files() | {f"b/{k}": v for k, v in image_files().items()}, "holds both b/test/.* and test/.*: keep one"),
        (
            dict.fromkeys(cifar_binary(), next(iter(cifar_binary().values()))),
            r"data_batch_1\.bin and .* the same bytes",
        ),
        (
            {"data_batch_1": b""} | {k: v for k, v in cifar_binary().items() if "3" not in k},
            "several forms of cifar10 and none is complete.*no data_batch_2, .* and 2 more.*no data_batch_3.bin",
        ),
        (image_files() | {"train/lorry/1.png": b""}, "train/lorry/1.png is of no known class"),
        (image_files() | {"train/cat/1.png": b"no image"}, "train/cat/1.png cannot be decoded"),
        (image_files() | {"train/cat/1.png": image_files("jpg")["train/cat/0001.jpg"]}, "cannot be decoded"),
        (image_files(size=(4, 5)), r"\(3, 5, 4\) and mode RGB, images of cifar10 have \(3, 4, 5\)"),
        (image_files(mode="L"), r"\(1, 4, 5\) and mode L"),
        (
            {k: v[: len(v) // 2] for k, v in image_files("jpg").items()},
            r"train/airplane/0000.jpg cannot be decoded",
        ),
        ({k: v[:-1] for k, v in cifar_binary().items()}, "data_batch_1.bin has 609 bytes"),
        ({k: v for k, v in cifar_python().items() if "5" not in k}, "holds no data_batch_5"),
        ({}, "expected the official cifar-10-python.tar.gz.*; or image files as train"),
    ],
)
def test_wrong_cifar_files_are_named(files: Files, words: str, tmp_path: Path, root: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(RequestError, match=words):
        import_known(TINY_CIFAR, as_folder(tmp_path / "in", files), root)
    assert nothing_left(root)


@pytest.mark.parametrize("stray", ["data_batch_1", "copy/test_batch", "train/cat/0001.png"])
def test_a_complete_form_is_read_and_strays_are_told(stray: str, tmp_path: Path, root: Path) -> None:
    sound = import_known(TINY_CIFAR, as_folder(tmp_path / "sound", cifar_binary()), root / "1")
    info = import_known(TINY_CIFAR, as_folder(tmp_path / "in", cifar_binary() | {stray: b"stray"}), root / "2")
    assert info.digest == sound.digest
    assert f"ignored beside it: {stray} of" in info.origin
    assert "ignored" not in sound.origin


def test_idx_files_are_read_by_their_content_and_wrong_names_told(tmp_path: Path, root: Path) -> None:
    files = mnist_files()
    sound = import_known(TINY_MNIST, as_folder(tmp_path / "sound", files), root / "1")
    name, other = "train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
    files[f"{name}.gz"] = files.pop(name)
    files[other] = gzip.compress(files[other])
    info = import_known(TINY_MNIST, as_folder(tmp_path / "in", files), root / "2")
    assert info.digest == sound.digest
    assert f"{name}.gz is named .gz and not packed" in info.origin
    assert f"{other} is packed by gzip" in info.origin
    assert "named" not in sound.origin


def test_a_file_named_gz_that_is_neither_is_refused(tmp_path: Path, root: Path) -> None:
    files = changed(mnist_files(), **{TRAIN_Y: None}) | {"train-labels-idx1-ubyte.gz": b"<html>not found</html>"}
    assert "starts with 3c68746d" in refused(TINY_MNIST, as_folder(tmp_path / "in", files), root)


def test_test_images_among_the_training_images_are_refused(tmp_path: Path, root: Path) -> None:
    train = pixels(30, 4, 5)
    train[7] = TEST_PIXELS[4]
    message = refused(TINY_MNIST, as_folder(tmp_path / "a", changed(mnist_files(), **{TRAIN_X: idx(train)})), root)
    assert "1 of 10 test images are among the training images, pixel for pixel (test image 4 is training" in message
    batches = cifar_binary()
    test = batches["cifar-10-batches-bin/test_batch.bin"]
    records = [test[start : start + 61] for start in range(0, len(test), 61)]
    for number in range(1, 6):  # the same images in other orders: no two files are the same
        batches[f"cifar-10-batches-bin/data_batch_{number}.bin"] = b"".join(records[number:] + records[:number])
    assert "40 images" not in (message := refused(TINY_CIFAR, as_folder(tmp_path / "b", batches), root))
    assert "test images are among the training images" in message


def test_images_repeated_within_a_part_are_refused_beyond_those_published(tmp_path: Path, root: Path) -> None:
    train = pixels(30, 4, 5)
    train[29] = train[3]
    folder = as_folder(tmp_path / "in", changed(mnist_files(), **{TRAIN_X: idx(train)}))
    message = refused(TINY_MNIST, folder, root)
    assert "1 images have all pixels of another of their part (training image 29 is training image 3)" in message
    import_known(replace(TINY_MNIST, repeats=1), folder, root)


def test_no_source_is_named(tmp_path: Path, root: Path) -> None:
    assert "does not exist" in refused(TINY_MNIST, tmp_path / "nowhere", root)


def test_a_failed_download_names_the_alternative(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Datasets:
        @staticmethod
        def MNIST(folder: str, *, download: bool) -> None:  # noqa: N802 - torchvision's name
            assert download
            (Path(folder) / "half").write_bytes(b"x")
            raise OSError("Temporary failure in name resolution")

    monkeypatch.setattr(importing, "torchvision_part", lambda name: Datasets)
    with pytest.raises(RequestError, match=r"name resolution.*harness data import mnist FOLDER_OR_ARCHIVE"):
        download_dataset("mnist", root)
    assert nothing_left(root)


@pytest.mark.skipif(not REAL_MNIST.is_dir(), reason="no copy of MNIST beside the project")
def test_real_mnist(root: Path) -> None:
    info = import_dataset("mnist", REAL_MNIST, root)
    assert info.digest == MNIST_DIGEST
    assert info.original
    data = load("mnist", root)
    assert round(data.train.images(slice(None)).double().mean().item() / 255, 4) == 0.1307
    assert data.train.labels.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


@pytest.mark.slow
@pytest.mark.skipif(not REAL_CIFAR.is_file(), reason="no copy of CIFAR-10 beside the project")
def test_real_cifar_jpeg(root: Path) -> None:
    info = import_dataset("cifar10", REAL_CIFAR, root)
    assert info.digest == CIFAR_JPEG_DIGEST
    assert (info.original, info.caveat) == (False, "JPEG copy: other pixels than the original")
    data = load("cifar10", root)
    assert data.train.labels.bincount().tolist() == [5000] * 10
    assert data.test.labels.bincount().tolist() == [1000] * 10
