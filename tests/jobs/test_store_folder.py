"""A store is a folder that carries its marker. What else a command is pointed at stays as it is, to the byte."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from harness.errors import CorruptArtifact, RequestError, StoreBroken
from harness.jobs import store_folder
from harness.jobs.store import Artifact, Store
from harness.jobs.store_folder import MARKER
from tests.jobs.test_store import ARTIFACT, JOB
from tests.support import cli


def everything(root: Path) -> dict[str, bytes | None]:
    """Path -> content, None for folders, of all that is below a folder; links are not followed."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in root.rglob("*")
    }


def aged(path: Path, days: float = 2.0) -> None:
    then = time.time() - days * 86400
    os.utime(path, (then, then), follow_symlinks=False)


def a_users(root: Path) -> Path:
    """A folder that looks a little like a store, and is a user's."""
    for folder in ("tmp/thesis", "jobs/2024/letter", "progress"):
        (root / folder).mkdir(parents=True)
    (root / "tmp/thesis/chapter.tex").write_text("years of work")
    (root / "jobs/2024/letter/record.json").write_text("{}")
    (root / "progress/notes.tmp").write_text("notes")
    for path in sorted(root.rglob("*"), reverse=True):
        aged(path)
    return root


@pytest.mark.parametrize("make", [True, False])
@pytest.mark.parametrize("kept", ["tmp/thesis", "jobs/2024", "progress/notes.tmp", "letter.txt", "jobs/ab/letter"])
def test_a_folder_of_another_kind_is_refused_and_left_alone(kept: str, make: bool, tmp_path: Path) -> None:
    root = tmp_path / "there"
    (root / kept).mkdir(parents=True)
    aged(root / kept)
    before = everything(root)
    with pytest.raises(RequestError, match=rf"there is no store of results: it has no {MARKER}, and holds ") as caught:
        Store(root, make=make)
    assert kept.startswith(str(caught.value).split("holds ")[1].split(",")[0])
    assert "--store" in str(caught.value)
    assert everything(root) == before


@pytest.mark.parametrize(
    "command",
    [
        ("doctor",),
        ("plan", "specs/noisy_quadratic.yaml"),
        ("report", "specs/noisy_quadratic.yaml", "--report", "REPORTS"),
        ("verify", "specs/noisy_quadratic.yaml", "--report", "REPORTS"),
        ("store", "check"),
        ("store", "check", "--remove"),
    ],
)
def test_no_command_touches_a_users_folder(command: tuple[str, ...], tmp_path: Path) -> None:
    root = a_users(tmp_path / "home")
    before = everything(root)
    reports = str(tmp_path / "reports")
    said = cli(*(reports if word == "REPORTS" else word for word in command), "--store", root)
    assert said.code == 2
    assert "is no store of results" in said.err
    assert everything(root) == before


@pytest.mark.parametrize("root", ["none", "empty"])
@pytest.mark.parametrize("command", [("doctor",), ("plan", "specs/noisy_quadratic.yaml"), ("store", "check")])
def test_reading_makes_nothing(command: tuple[str, ...], root: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    before = everything(tmp_path)
    assert cli(*command, "--store", tmp_path / root).code == (2 if (command[0], root) == ("store", "none") else 0)
    assert everything(tmp_path) == before


def test_a_pseudo_file_system_is_no_store() -> None:
    said = cli("store", "check", "--store", "/proc")
    assert said.code == 2
    assert "the folder /proc is no store of results" in said.err


def test_a_new_store_is_marked_before_it_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = os.mkdir

    def mkdir(path: str, mode: int = 0o777) -> None:
        made.append((Path(path).name, (tmp_path / "store" / MARKER).exists()))
        real(path, mode)

    monkeypatch.setattr(os, "mkdir", mkdir)
    Store(tmp_path / "store")
    assert made == [("store", False), ("jobs", True), ("tmp", True), ("progress", True)]


def test_a_store_of_the_version_before_is_read_as_it_is_and_marked_when_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.write(JOB, ARTIFACT, {})
    (store.root / MARKER).unlink()
    (store.root / "tmp" / ("0" * 32)).mkdir()
    (store.root / "progress" / ("1" * 32)).write_bytes(b"a checkpoint")
    (store.root / "progress" / f"{'1' * 32}.json").write_bytes(b"a schedule")
    (store.root / "progress" / f".{'1' * 32}.4711.tmp").write_bytes(b"half a checkpoint")
    (store.root / "progress" / f"{'1' * 32}.claim").write_bytes(b"a claim")
    (store.root / "progress" / f".{'1' * 32}.claim.{'2' * 32}.tmp").write_bytes(b"a claim that is removed")
    before = everything(store.root)
    assert Store(store.root, make=False).read(JOB).table == ARTIFACT.table
    assert everything(store.root) == before
    assert Store(store.root).read(JOB).table == ARTIFACT.table
    assert set(everything(store.root)) == {*before, MARKER}


def test_jobs_that_dvc_brought_are_a_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.write(JOB, ARTIFACT, {})
    shutil.copytree(store.root / "jobs", tmp_path / "clone" / "jobs")
    assert Store(tmp_path / "clone", make=False).has(JOB)
    assert Store(tmp_path / "clone").has(JOB)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"harness": "store of results", "layout": 2}\n', b"x" * 10_000])
def test_another_marker_is_another_store(content: bytes, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (store.root / MARKER).write_bytes(content)
    for make in (True, False):
        with pytest.raises(RequestError, match="is not what this version of the harness writes"):
            Store(store.root, make=make)


def test_a_marker_whose_line_ends_another_way_is_the_same(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    marker = store.root / MARKER
    marker.write_bytes(marker.read_bytes().replace(b"\n", b"\r\n"))
    Store(store.root, make=False)


@pytest.mark.parametrize("part", ["jobs", "tmp", "progress"])
@pytest.mark.parametrize("how", ["a file", "a link to itself", "a link to nothing"])
def test_a_part_that_is_no_folder_is_told(how: str, part: str, tmp_path: Path) -> None:
    place = Store(tmp_path / "store").root / part
    place.rmdir()
    if how == "a file":
        place.write_text("mine")
    else:
        place.symlink_to(place if how == "a link to itself" else tmp_path / "nothing")
    said = cli("store", "check", "--store", tmp_path / "store")
    assert said.code == 2
    assert f"{place} is no folder, where the store has its {part}: remove it" in " ".join(said.err.split())
    assert os.path.lexists(place)


def test_a_part_may_be_a_link_to_another_disk(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (store.root / "jobs").rename(tmp_path / "large")
    (store.root / "jobs").symlink_to(tmp_path / "large")
    store.write(JOB, ARTIFACT, {})
    assert Store(store.root, make=False).has(JOB)


def test_a_link_among_the_folders_of_results_is_refused(tmp_path: Path) -> None:
    """Else an artifact would be written into another folder, or removed from it."""
    root = Store(tmp_path / "store").root
    (tmp_path / "another's").mkdir()
    (root / "jobs" / "1d").symlink_to(tmp_path / "another's")
    with pytest.raises(
        RequestError,
        match=r"jobs/1d is a link, through which results would be written and removed elsewhere: remove it",
    ):
        Store(root)
    with pytest.raises(RequestError, match=r"jobs/1d is a link"):
        Store(root, make=False)
    (root / "jobs" / "1d").unlink()
    Store(root)


def test_a_link_to_nothing_at_an_artifacts_name_is_no_result(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    path = store.path(JOB.key)
    path.parent.mkdir()
    path.symlink_to(tmp_path / "nothing")
    with pytest.raises(CorruptArtifact, match=r"has lost its record\.json"):
        store.has(JOB)
    assert cli("store", "check", "--store", store.root, "--remove").code == 0
    assert not store.has(JOB)


def test_a_file_among_the_shards_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (store.root / "jobs" / "ab").write_text("mine")
    assert (
        f"{store.root / 'jobs/ab'}: is no artifact, and is left alone"
        in cli("store", "check", "--store", store.root).err
    )


def test_only_stale_names_of_the_store_are_swept(tmp_path: Path) -> None:
    root = Store(tmp_path / "store").root
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "record.json").write_text("another's")
    draft = "0123456789abcdef" * 2
    stale = [root / "tmp" / draft, root / "progress" / f".{draft}.{'0' * 32}.tmp", root / "tmp" / ("f" * 32)]
    stale[0].mkdir()
    (stale[0] / "table.json").write_text("{}")
    stale[1].write_text("half")
    stale[2].symlink_to(tmp_path / "elsewhere")
    stale.append(root / "progress" / f"{draft}.claim")
    stale[3].write_text("of a run that is gone")
    kept = [root / "tmp" / "thesis", root / "progress" / "notes.tmp", root / "tmp" / ("e" * 32), root / "tmp" / "x.tmp"]
    for path in kept[:-1]:
        path.mkdir()
        (path / "letter").write_text("dear reader")
    kept[-1].write_text("mine")
    young = root / "tmp" / ("a" * 32)
    young.mkdir()
    (root / "progress" / f"{'a' * 32}.claim").write_text("of a run that may live")
    schedules = [root / "progress" / f"{letter * 32}.json" for letter in "bc"]
    for schedule in schedules:
        schedule.write_text("[]")
    for path in (*stale, *kept, schedules[0]):
        aged(path)
    os.utime(schedules[1], (0, 0))
    Store(root)
    assert [path.exists() for path in schedules] == [True, False], "a long training writes none for days"
    assert [os.path.lexists(path) for path in stale] == [False] * 4
    assert (root / "progress" / f"{'a' * 32}.claim").exists()
    assert all(path.exists() for path in (*kept, young))
    assert (tmp_path / "elsewhere" / "record.json").read_text() == "another's"


def test_a_check_tells_of_strangers_and_removes_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.write(JOB, ARTIFACT, {})
    strangers = [store.root / "jobs/2024/letter", store.path(JOB.key).with_name("notes"), store.root / "jobs/ab/cd"]
    for path in strangers:
        path.mkdir(parents=True)
        (path / "record.json").write_text("{}")
    damaged = store.path(JOB.key) / "table.json"
    damaged.write_text("{}")
    said = cli("store", "check", "--store", store.root, "--remove")
    assert said.code == 0
    assert "1 of 1 artifacts were corrupt and are removed" in said.out
    for told in (store.root / "jobs/2024", store.root / "jobs/ab", strangers[1]):
        assert f"{told}: is no artifact, and is left alone" in said.err
    assert all((path / "record.json").exists() for path in strangers)
    assert not store.has(JOB)


def test_what_a_user_put_into_an_artifact_is_not_removed_with_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.write(JOB, ARTIFACT, {})
    (store.path(JOB.key) / "notes.txt").write_text("mine")
    (store.path(JOB.key) / "table.json").write_text("{}")
    with pytest.raises(StoreBroken, match=r"holds notes\.txt, which the store did not put there"):
        store.remove(store.path(JOB.key))
    assert (store.path(JOB.key) / "notes.txt").read_text() == "mine"
    assert (store.path(JOB.key) / "record.json").exists()


def test_a_link_at_an_artifacts_name_is_removed_and_what_it_leads_to_is_not(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "record.json").write_text("another's")
    path = store.path(JOB.key)
    path.parent.mkdir()
    path.symlink_to(tmp_path / "elsewhere")
    assert cli("store", "check", "--store", store.root, "--remove").code == 0
    assert not path.is_symlink()
    assert (tmp_path / "elsewhere" / "record.json").read_text() == "another's"


def test_a_store_that_is_opened_by_several_at_once_is_one(tmp_path: Path) -> None:
    first, second = Store(tmp_path / "store"), Store(tmp_path / "store")
    first.write(JOB, Artifact({"step": torch.tensor(1)}), {})
    assert second.has(JOB)
    assert not list(first.root.rglob("*.tmp"))


def test_a_draft_that_cannot_be_removed_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user's in a shared store."""
    Store(tmp_path)
    draft = tmp_path / "tmp" / ("0" * 32)
    draft.mkdir()
    os.utime(draft, (0, 0))

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(store_folder, "discard", refused)
    Store(tmp_path)
    assert draft.exists()


def test_a_folder_that_another_run_marks_meanwhile_is_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path / "other")
    real = Path.iterdir

    def marked(path: Path) -> Iterator[Path]:
        if path == tmp_path / "new" and not (path / MARKER).exists():
            shutil.copy(tmp_path / "other" / MARKER, path / MARKER)
            (path / "jobs" / "not-a-shard").mkdir(parents=True)
        return real(path)

    (tmp_path / "new").mkdir()
    monkeypatch.setattr(Path, "iterdir", marked)
    store_folder.require_store(tmp_path / "new")


def test_a_pipe_in_place_of_a_record_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.path(JOB.key).mkdir(parents=True)
    os.mkfifo(store.path(JOB.key) / "record.json")
    with pytest.raises(CorruptArtifact, match=r"has a record\.json that is no file"):
        store.has(JOB)
