"""Baseline files: what was written is read; what is malformed is told with file and field."""

import json
from pathlib import Path

import pytest

from harness.errors import BrokenError, RequestError
from harness.regress import files
from tests.regress.samples import baseline


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
        ('"mean": 10.0', '"mean": NaN', "content.numbers.instability at fork=0.mean: "),
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
