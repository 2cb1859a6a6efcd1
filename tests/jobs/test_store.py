"""The store: round trips, refusals, and every kind of damage named with the artifact and its path."""

import errno
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import BrokenError, CorruptArtifact, RequestError
from harness.jobs.job import Job
from harness.jobs.store import Artifact, Store
from harness.jobs.store_folder import MARKER

JOB = Job("init", {"seed": 3, "network": {"name": "lenet", "hidden": [3]}})
ARTIFACT = Artifact(
    {
        "weight:a": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
        "weight:b": torch.randn(2, 2, generator=torch.Generator().manual_seed(1)).double().t(),  # not contiguous
        "mask:a": torch.tensor([True, False]),
        "step": torch.tensor(7),
    },
    {"split": ["test", "train"], "error": [1 / 3, 2.5], "count": [1, 2]},
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def files_of(store: Store) -> dict[str, bytes]:
    """Those of its results and of what is in the making; not its marker."""
    files = (path for path in store.root.glob("*/**/*") if path.is_file())
    return {str(path.relative_to(store.root)): path.read_bytes() for path in files}


def test_what_is_written_is_read(store: Store) -> None:
    assert not store.has(JOB)
    store.write(JOB, ARTIFACT, {"device": "cpu"})
    assert store.has(JOB)
    found = store.read(JOB)
    assert set(found.tensors) == set(ARTIFACT.tensors)
    for name, value in ARTIFACT.tensors.items():
        assert found.tensors[name].dtype == value.dtype
        assert torch.equal(found.tensors[name], value)
    assert found.table == ARTIFACT.table
    assert store.record(JOB)["provenance"] == {"device": "cpu"}
    assert store.record(JOB)["job"] == JOB.description
    assert store.size(JOB) == sum(len(content) for content in files_of(store).values())


@pytest.mark.parametrize("artifact", [Artifact(ARTIFACT.tensors), Artifact(table=ARTIFACT.table)])
def test_tensors_or_a_table_may_be_absent(store: Store, artifact: Artifact) -> None:
    store.write(JOB, artifact, {})
    assert set(store.read(JOB).tensors) == set(artifact.tensors)
    assert store.read(JOB).table == artifact.table


def test_another_store_at_the_same_place_reads_it(store: Store) -> None:
    store.write(JOB, ARTIFACT, {})
    assert Store(store.root).read(Job(JOB.stage, JOB.params)).table == ARTIFACT.table


def test_equal_artifacts_are_equal_bytes(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    store.write(JOB, ARTIFACT, {"x": 1})
    other.write(
        JOB, Artifact(dict(reversed(ARTIFACT.tensors.items())), dict(reversed(ARTIFACT.table.items()))), {"x": 1}
    )
    assert files_of(store) == files_of(other)


def test_an_existing_artifact_is_never_overwritten(store: Store) -> None:
    store.write(JOB, ARTIFACT, {"who": "first"})
    before = files_of(store)
    store.write(JOB, Artifact(table={"split": ["other"]}), {"who": "second"})
    assert files_of(store) == before


def test_two_writers_of_one_artifact_leave_the_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one commits between the look and the rename."""
    other = Store(store.root)
    real = os.rename

    def late(source: Path, target: Path) -> None:
        monkeypatch.setattr(os, "rename", real)
        other.write(JOB, ARTIFACT, {"who": "other"})
        real(source, target)

    monkeypatch.setattr(os, "rename", late)
    store.write(JOB, ARTIFACT, {"who": "mine"})
    assert store.record(JOB)["provenance"] == {"who": "other"}
    assert not list((store.root / "tmp").iterdir())


def test_a_record_of_another_job_shows_the_fields_that_differ(store: Store) -> None:
    store.write(JOB, ARTIFACT, {})
    path = store.path(JOB.key) / "record.json"
    record = json.loads(path.read_text())
    record["job"]["params"]["network"]["hidden"] = [4]
    record["job"]["version"] = 9
    path.write_text(json.dumps(record))
    for ask in (store.read, store.record):
        with pytest.raises(CorruptArtifact) as caught:
            ask(JOB)
        text = str(caught.value)
        assert "was written for another job" in text
        assert "params.network.hidden is [4], wanted [3]" in text
        assert "version is 9, wanted 1" in text
        assert "seed" not in text  # what agrees is not told


NAMES = ["record.json", "table.json", "tensors.safetensors"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["missing", "emptied", "truncated", "nonsense", "a folder"])
def test_a_damaged_file_is_named_with_its_artifact_and_the_remedy(store: Store, name: str, damage: str) -> None:
    store.write(JOB, ARTIFACT, {})
    path = store.path(JOB.key) / name
    content = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"emptied": b"", "truncated": content[:-5], "nonsense": b"\xff" * len(content)}[damage])
    with pytest.raises(CorruptArtifact) as caught:
        store.read(JOB)
    assert f"artifact {JOB!r} is corrupt: {path} " in str(caught.value)
    assert f"Remove it with `harness store check --store {store.root} --remove` and run again" in str(caught.value)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("name", NAMES[1:])
def test_no_changed_bit_goes_unseen(store: Store, name: str) -> None:
    store.write(JOB, ARTIFACT, {})
    path = store.path(JOB.key) / name
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(CorruptArtifact, match=rf"{re.escape(str(path))} has sha256 \w{{12}}, its record says"):
            store.read(JOB)
    path.write_bytes(content)
    assert store.read(JOB).table == ARTIFACT.table


def test_removing_what_the_message_names_heals_the_store(store: Store) -> None:
    store.write(JOB, ARTIFACT, {})
    (store.path(JOB.key) / "table.json").write_bytes(b"")
    for path in store.path(JOB.key).iterdir():
        path.unlink()
    store.path(JOB.key).rmdir()
    assert not store.has(JOB)
    store.write(JOB, ARTIFACT, {})
    assert store.read(JOB).table == ARTIFACT.table


def test_nothing_is_unpickled(store: Store) -> None:
    store.write(JOB, ARTIFACT, {})
    assert sorted(path.name for path in store.path(JOB.key).iterdir()) == NAMES


class FullDisk:
    """Fails the n-th call of a function of ``os`` or ``Path`` as a full disk does."""

    def __init__(self, real: Any, at: int, number: int = errno.ENOSPC) -> None:
        self.real, self.at, self.number, self.calls = real, at, number, 0

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls == self.at:
            raise OSError(self.number, os.strerror(self.number))
        return self.real(*arguments, **named)


@pytest.mark.parametrize(
    ("where", "at"), [("fsync", 1), ("fsync", 2), ("fsync", 3), ("rename", 1), ("mkdir", 1), ("mkdir", 2)]
)
def test_a_full_disk_leaves_nothing_half_written(
    store: Store, where: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, where, FullDisk(getattr(os, where), at))
        with pytest.raises(BrokenError) as caught:
            store.write(JOB, ARTIFACT, {})
    text = str(caught.value)
    assert f"cannot write {JOB!r} into the store {store.root} (No space left on device)" in text
    assert "what was finished is kept" in text
    assert caught.value.exit_code == 3
    assert not store.has(JOB)
    assert not files_of(store)
    assert not list((store.root / "tmp").iterdir())
    store.write(JOB, ARTIFACT, {})  # the disk has room again
    assert store.read(JOB).table == ARTIFACT.table


def test_a_disk_that_fills_within_a_file_leaves_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fdopen

    class Half:
        def __init__(self, number: int, mode: str) -> None:
            self.file = real(number, mode)

        def __enter__(self) -> "Half":
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, content: bytes) -> int:
            self.file.write(content[: len(content) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", Half)
        with pytest.raises(BrokenError, match="No space left on device"):
            store.write(JOB, ARTIFACT, {})
    assert not files_of(store)
    assert not list((store.root / "tmp").iterdir())


def test_a_write_without_permission_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "rename", FullDisk(os.rename, 1, errno.EACCES))
    with pytest.raises(BrokenError, match=r"\(Permission denied\)"):
        store.write(JOB, ARTIFACT, {})
    assert not files_of(store)


def test_a_store_that_is_only_read_needs_no_right_to_write(tmp_path: Path) -> None:
    absent = Store(tmp_path / "none", make=False)
    assert not absent.has(JOB)
    assert not list(tmp_path.iterdir())
    store = Store(tmp_path / "store")
    store.write(JOB, Artifact(table={"x": [1]}), {})
    for part in ("tmp", "progress"):
        (store.root / part).rmdir()
    again = Store(store.root, make=False)
    assert again.read(JOB).table == {"x": [1]}
    assert {path.name for path in store.root.iterdir()} == {"jobs", MARKER}


def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(RequestError, match=r"the store .*file is no folder: choose another with --store"):
        Store(tmp_path / "file")
    Store(tmp_path / "there")
    monkeypatch.setattr(os, "fsync", FullDisk(os.fsync, 1, errno.EACCES))
    with pytest.raises(RequestError, match=r"there cannot be written \(Permission denied\)") as caught:
        Store(tmp_path / "there")
    assert caught.value.exit_code == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o500)
    with pytest.raises(RequestError, match="Permission denied"):
        Store(tmp_path / "store")


def test_tensors_come_in_the_order_of_their_names(store: Store) -> None:
    """The library gives them in another order at every load."""
    many = Artifact({f"weight:{number:02}": torch.zeros(1) for number in range(40)})
    store.write(JOB, many, {})
    assert list(store.read(JOB).tensors) == sorted(many.tensors)


def test_an_artifact_that_another_run_commits_meanwhile_is_not_corrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, elsewhere = Store(tmp_path / "store"), Store(tmp_path / "elsewhere")
    elsewhere.write(JOB, Artifact(table={"x": [1]}), {})
    here = store.path(JOB.key)

    def then_commit(look):
        def looked(path, **how):
            found = look(path, **how)
            if here in (path, path.parent) and not os.path.isdir(here):
                shutil.copytree(elsewhere.path(JOB.key), here)
            return found

        return looked

    monkeypatch.setattr(Path, "exists", then_commit(Path.exists))
    monkeypatch.setattr(Path, "is_file", then_commit(Path.is_file))
    assert not store.has(JOB)
    assert store.has(JOB)
