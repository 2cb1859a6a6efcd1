"""Folders that a user gives: links are followed and end, what is no file is named, and nothing is read without end."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.engine.data.archives import Limits
from harness.engine.data.importing import import_known
from tests.engine.data.dataset_samples import TINY_CIFAR, TINY_MNIST, as_folder, image_files, mnist_files, refused

NAME = "train-images-idx3-ubyte"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def digest(tmp_path: Path) -> str:
    """Of the sound tiny MNIST."""
    return import_known(TINY_MNIST, as_folder(tmp_path / "sound", mnist_files()), tmp_path / "first").digest


def test_links_to_folders_and_files_are_followed(tmp_path: Path, root: Path, digest: str) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "MNIST").symlink_to(tmp_path / "sound")
    assert import_known(TINY_MNIST, given, root / "1").digest == digest
    (tmp_path / "alias").symlink_to(given)
    assert import_known(TINY_MNIST, tmp_path / "alias", root / "2").digest == digest
    files = tmp_path / "files"
    files.mkdir()
    for name in mnist_files():
        (files / name).symlink_to(Path("..", "sound", name))
    assert import_known(TINY_MNIST, files, root / "3").digest == digest


def test_links_to_parts_of_an_image_folder_are_followed(tmp_path: Path, root: Path) -> None:
    sound = as_folder(tmp_path / "in", image_files())
    given = tmp_path / "given"
    given.mkdir()
    for part in ("train", "test"):
        (given / part).symlink_to(sound / part)
    assert import_known(TINY_CIFAR, given, root / "1").digest == import_known(TINY_CIFAR, sound, root / "2").digest


def test_loops_of_links_end(tmp_path: Path, root: Path, digest: str) -> None:
    sound = tmp_path / "sound"
    (sound / "up").symlink_to(tmp_path)
    (sound / "here").symlink_to(".")
    (sound / "itself").symlink_to("itself")
    assert import_known(TINY_MNIST, sound, root).digest == digest


def fifo(path: Path) -> None:
    os.mkfifo(path)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def bound_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


def nothing(path: Path) -> None:
    path.symlink_to("nowhere")


def itself(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (fifo, "is a named pipe, not a regular file"),
        (zeros, "is a device, not a regular file"),
        (bound_socket, f"{NAME} "),
        (nothing, "is a link that leads to nothing"),
        (itself, f"{NAME} "),
    ],
)
def test_what_is_no_file_is_named_not_waited_for(
    make: Callable[[Path], None], words: str, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    folder = as_folder(tmp_path / "in", mnist_files())
    (folder / NAME).unlink()
    make(folder / NAME)
    assert words in refused(TINY_MNIST, folder, root)
    make(tmp_path / "itself")
    message = refused(TINY_MNIST, tmp_path / "itself", root)
    assert str(tmp_path / "itself") in message
    assert "give a folder or an archive" in message


def test_an_unreadable_folder_is_no_absent_one(
    tmp_path: Path, root: Path, digest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sound" / "closed").mkdir()
    scandir = os.scandir

    def refusing(path: Path) -> "os.ScandirIterator[str]":  # root, as whom tests may run, may read everything
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert "closed cannot be read (Permission denied)" in refused(TINY_MNIST, tmp_path / "sound", root)


def test_deep_and_crowded_folders_are_refused(tmp_path: Path, root: Path) -> None:
    folder = as_folder(tmp_path / "in", mnist_files())
    here = os.open(folder, os.O_RDONLY)
    for _ in range(150):  # pytest removes it with a function that calls itself, so no deeper
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    assert "more than 64 parts" in refused(TINY_MNIST, folder, root)
    crowded = as_folder(tmp_path / "crowded", {f"{number % 7}/{number}": b"" for number in range(100)})
    assert "more than 50 members" in refused(TINY_MNIST, crowded, root, limits=Limits(files=50))


def test_links_that_double_at_every_step_are_refused(tmp_path: Path, root: Path) -> None:
    for number in range(40):
        folder = tmp_path / "in" / f"{number}"
        folder.mkdir(parents=True)
        for link in "ab":
            (folder / link).symlink_to(f"../{number + 1}")
    assert "more than 1000 members" in refused(TINY_MNIST, tmp_path / "in", root, limits=Limits(files=1000))


def test_a_file_without_a_size_is_bounded(tmp_path: Path, root: Path) -> None:
    folder = as_folder(tmp_path / "in", mnist_files())
    (folder / NAME).unlink()
    with (folder / NAME).open("wb") as file:
        file.truncate(1 << 40)  # a hole: it takes no room on disk
    assert "has more than the 268,435,456 bytes" in refused(TINY_MNIST, folder, root)
    with (tmp_path / "a.tar").open("wb") as file:
        file.truncate(1 << 40)
    assert "more than 1073741824 bytes" in refused(TINY_MNIST, tmp_path / "a.tar", root)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", os.fsdecode(b"a\xffb")])
def test_a_path_that_is_no_line_of_text_is_refused(name: str, tmp_path: Path, root: Path) -> None:
    folder = as_folder(tmp_path / "in", {f"{name}/{path}": content for path, content in mnist_files().items()})
    message = refused(TINY_MNIST, folder, root)
    assert "control or undecodable" in message
    assert message.isprintable()
