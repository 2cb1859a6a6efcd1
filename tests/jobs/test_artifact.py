"""A store whose digests are right and whose content is not what a run writes: told in words, never believed."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save

from harness.errors import CorruptArtifact, InvariantBroken
from harness.jobs import artifact
from harness.jobs.job import canonical
from harness.jobs.store import Artifact, Store
from harness.jobs.store_folder import FILES
from tests.jobs.test_store import ARTIFACT, JOB
from tests.support import cli, put_odd

DEEP = "[" * 10**5 + "]" * 10**5


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.write(JOB, ARTIFACT, {})
    return store


def refused(store: Store, *words: str) -> None:
    """Every way in names the artifact, the file and the remedy; ``store check`` finds it, and removes it."""
    with pytest.raises(CorruptArtifact) as caught:
        store.read(JOB)
    text = str(caught.value)
    assert f"artifact {JOB!r} is corrupt: {store.path(JOB.key)}" in text
    assert "store check --store" in text
    assert all(word in text for word in words), text
    assert len(text) < 1500
    ((path, wrong),) = store.check()
    assert path == store.path(JOB.key)
    assert all(word in wrong for word in words), wrong
    said = cli("store", "check", "--store", store.root)
    assert said.code == 3
    assert "1 of 1 artifacts are corrupt" in said.err
    store.remove(path)
    assert not store.has(JOB)


RECORDS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "null": (lambda record: None, "is no record"),
    "a list": (lambda record: [record], "is no record"),
    "a number": (lambda record: 3, "is no record"),
    "without files": (lambda record: {**record, "files": {}}, "files"),
    "files null": (lambda record: {**record, "files": None}, "files"),
    "files a list": (lambda record: {**record, "files": ["table.json"]}, "files"),
    "a digest null": (lambda record: {**record, "files": {"table.json": None}}, "files.table.json"),
    "a digest a number": (lambda record: {**record, "files": {"table.json": 7}}, "files.table.json"),
    "a digest short": (lambda record: {**record, "files": {"table.json": "ab"}}, "files.table.json"),
    "a file elsewhere": (lambda record: {**record, "files": {"../../../x": "0" * 64}}, "files"),
    "a file of the machine": (lambda record: {**record, "files": {"/dev/zero": "0" * 64}}, "files"),
    "the record itself": (lambda record: {**record, "files": {"record.json": "0" * 64}}, "files"),
    "without a job": (lambda record: {name: record[name] for name in ("files", "provenance")}, "job: Field required"),
    "a job null": (lambda record: {**record, "job": None}, "job"),
    "a version true": (lambda record: {**record, "job": {**record["job"], "version": True}}, "job.version"),
    "a version as text": (lambda record: {**record, "job": {**record["job"], "version": "1"}}, "job.version"),
    "params a list": (lambda record: {**record, "job": {**record["job"], "params": []}}, "job.params"),
    "without provenance": (lambda record: {**record, "provenance": None}, "provenance"),
    "more": (lambda record: {**record, "also": 1}, "also"),
}


@pytest.mark.parametrize("damage", RECORDS)
def test_a_record_of_other_types_is_refused(store: Store, damage: str) -> None:
    path = store.path(JOB.key) / "record.json"
    change, words = RECORDS[damage]
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    refused(store, "record.json", "is no record", words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (DEEP, "nested more than 64 deep"),
        ('{"job": {"params": ' + DEEP + "}}", "nested more than 64 deep"),
        ('{"files": NaN}', "has NaN"),
        ('{"provenance": {"seconds": 1e999}}', "beyond the range of float64"),
        ('{"version": 1' + "0" * 400 + "}", "more than 64 bits"),
        ('{"job": 1, "job": 2}', "has the key 'job' twice"),
        ("\udcff", "is not UTF-8"),
    ],
)
def test_a_record_that_is_read_differently_is_refused(store: Store, text: str, words: str) -> None:
    (store.path(JOB.key) / "record.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(store, "record.json", words)


def rewritten(store: Store, name: str, content: bytes) -> None:
    """Puts other content into an artifact, and its digest into the record."""
    folder = store.path(JOB.key)
    (folder / name).write_bytes(content)
    record = json.loads((folder / "record.json").read_text())
    record["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / "record.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("null", "is no table: columns by their names are due"),
        ("[]", "is no table: columns by their names are due"),
        ("{}", "is no table: columns by their names are due"),
        ('"split"', "is no table: columns by their names are due"),
        ('{"split": null}', "its column 'split' is no list"),
        ('{"split": "test"}', "its column 'split' is no list"),
        ('{"split": ["test", "train"], "error": [1.0]}', "its column 'split' has 2 rows, 'error' has 1"),
        ('{"error": [[1.0], [2.0]]}', "its column 'error' holds lists or objects"),
        ('{"error": [NaN]}', "has NaN"),
        ('{"error": [1e999]}', "beyond the range of float64"),
        ('{"error": [1.0], "error": [2.0]}', "has the key 'error' twice"),
        ('{"error": ' + DEEP + "}", "nested more than 64 deep"),
        ("", "is not JSON"),
    ],
)
def test_a_table_that_is_none_is_refused(store: Store, text: str, words: str) -> None:
    rewritten(store, "table.json", text.encode())
    refused(store, "table.json", words)


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 8, b"\xff" * 64, save({})[:-1], (5).to_bytes(8, "little") + b"[[[[["]
)
def test_tensors_that_are_none_are_refused(store: Store, content: bytes) -> None:
    rewritten(store, "tensors.safetensors", content)
    refused(store, "tensors.safetensors", "holds no tensors")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["a named pipe", "a device", "a folder", "bytes"])
def test_what_is_no_file_of_a_bounded_length_is_neither_waited_for_nor_read(store: Store, name: str, kind: str) -> None:
    path = store.path(JOB.key) / name
    path.unlink()
    put_odd(path, kind)
    refused(store, name, "too large" if (kind, name) == ("bytes", "tensors.safetensors") else kind)


def test_a_large_file_of_tensors_is_read_where_its_header_accounts_for_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "_UNASKED", 8)
    path = store.path(JOB.key) / "tensors.safetensors"
    whole = path.read_bytes()
    assert artifact.read_tensors(path) == whole
    path.write_bytes(whole + b"0" * 32)
    assert artifact.read_tensors(path, beyond=32) == whole + b"0" * 32
    with pytest.raises(ValueError, match=r"bytes, where its header has"):
        artifact.read_tensors(path)


def test_a_column_that_is_asked_for_and_not_there_names_the_artifact(store: Store) -> None:
    table = store.read(JOB).table
    assert table["error"] == ARTIFACT.table["error"]
    assert "loss" not in table
    with pytest.raises(CorruptArtifact) as caught:
        table["loss"]
    assert f"artifact {JOB!r} is corrupt: {store.path(JOB.key) / 'table.json'} has no column 'loss'" in str(
        caught.value
    )
    assert f"remove the folder {store.path(JOB.key)} and run again" in str(caught.value)


def test_a_stage_that_gives_nothing_is_found_when_it_does(tmp_path: Path) -> None:
    with pytest.raises(InvariantBroken, match="gave neither tensors nor a table"):
        Store(tmp_path).write(JOB, Artifact(), {})


def test_provenance_of_other_types_is_refused(store: Store) -> None:
    path = store.path(JOB.key) / "record.json"
    for wrong in ({}, {"code": "abc"}, {"seconds": "1"}):
        path.write_text(canonical({**json.loads(path.read_text()), "provenance": wrong}))
        with pytest.raises(
            CorruptArtifact, match=r"record\.json does not say how its result came about \(provenance\."
        ):
            store.made(JOB)
