"""Baseline files: what was written is read; what is malformed is told with file and field."""

import json
from pathlib import Path

import pytest

from harness.errors import BrokenError, RequestError
from harness.regress import files
from tests.regress.samples import baseline
from tests.support import put_odd


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = files.write(baseline(), tmp_path / "new")
    assert path.name == "tiny.toy.json"
    assert files.read(path) == baseline()
    assert files.find(tmp_path / "new", "toy") == [baseline()]
    assert [one.name for one in path.parent.iterdir()] == ["tiny.toy.json"]


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ('"schema_version": 1', '"schema_version": 2', "schema_version: "),
        ('"sd": 1.0', '"sd": "wide"', "content.numbers.instability at fork=0.sd: "),
        ('"sd": 1.0', '"sd": null', "content.numbers.instability at fork=0.sd: "),
        ('"history"', '"histories"', "history: Field required"),
        ('"schema_version": 1', '"schema_version": true', "schema_version: "),
        ('"schema_version": 1', '"schema_version": 1.0', "schema_version: "),
        ('"mean": 10.0', '"mean": NaN', "has NaN, which is no number of JSON"),
        ('"mean": 10.0', '"mean": -Infinity', "has -Infinity, which is no number of JSON"),
        ('"mean": 10.0', '"mean": 1e999', "has a number beyond the range of float64, 1e999"),
        ('"mean": 10.0', '"mean": 1e200', "content.numbers.instability at fork=0.mean: "),
        ('"mean": 10.0', '"mean": true', "content.numbers.instability at fork=0.mean: "),
        ('"sd": 1.0', '"sd": 1e101', "content.numbers.instability at fork=0.sd: "),
        ('"sd": 1.0', '"sd": -1.0', "content.numbers.instability at fork=0.sd: "),
        ('"n": 20', '"n": 1' + "0" * 400, "has an integer of more than 64 bits"),
        ('"n": 20', '"n": 10000000000', "content.numbers.instability at fork=0.n: "),
        ('"n": 20', '"n": 1', "content.numbers.instability at fork=0.sd: a baseline needs the spread"),
        ('"sd": 1.0', '"sd": 1.0, "sd": 2.0', "has the key 'sd' twice in one object"),
        ('"sd": 1.0', '"sd": ' + "[" * 10**5, "nested more than 64 deep"),
        ("}", "", "is not JSON"),
        ('"spec": "tiny"', '"spec": "other"', "call it other.toy.json"),
    ],
)
def test_a_malformed_file_is_told_with_its_field(old: str, new: str, part: str, tmp_path: Path) -> None:
    path = files.write(baseline(), tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(RequestError) as told:
        files.read(path)
    assert str(path) in str(told.value)
    assert part in str(told.value)


def test_an_empty_folder_says_how_to_begin(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(RequestError, match="--update --reason"):
            files.find(folder, "toy")


def test_a_folder_that_cannot_be_written_leaves_the_baseline(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BrokenError, match="cannot be written"):
        files.write(baseline(), tmp_path / "file")


def test_the_file_is_plain_json(tmp_path: Path) -> None:
    assert json.loads(files.write(baseline(), tmp_path).read_text())["content"]["initialisations"] == 20


@pytest.mark.parametrize("kind", ["a named pipe", "a folder", "a device", "bytes"])
def test_what_is_no_file_of_a_bounded_length_is_neither_waited_for_nor_read(kind: str, tmp_path: Path) -> None:
    path = files.path_of(tmp_path, "tiny", "toy")
    put_odd(path, kind)
    with pytest.raises(RequestError, match=f"{path}: the baseline .*{kind}"):
        files.find(tmp_path, "toy")
