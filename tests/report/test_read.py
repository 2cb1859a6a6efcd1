"""Machine reports read again: all that was written, older ones too; what is none is told with field and remedy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RequestError
from harness.pipeline.outcome import Outcome
from harness.report.read import PATTERN, read_all
from harness.report.write import write
from tests.support import ROOT

Edit = Callable[[dict[str, Any]], Any]


def test_what_was_written_is_read(realistic: Outcome, awkward: Outcome, paper: Outcome, tmp_path: Path) -> None:
    write([realistic, awkward], tmp_path / "toy")
    write([paper], tmp_path / "paper")
    found = {one.place: one for one in read_all(tmp_path)}
    assert list(found) == ["paper/resnet20_imp-paper.json", "toy/awkward-toy.json", "toy/resnet20_imp-toy.json"]
    for report, outcome in zip(found.values(), (paper, awkward, realistic), strict=True):
        assert report.judgements == tuple(outcome.judgements)
        assert (report.title, report.scale, report.failures) == (
            outcome.spec.title,
            outcome.scale,
            len(outcome.failures),
        )


def test_every_committed_report_can_be_read() -> None:
    folder = ROOT / "reports" / "paper"
    assert [folder / one.place for one in read_all(folder)] == sorted(folder.rglob(PATTERN))


def test_a_folder_is_left_out_unless_it_is_asked_for(realistic: Outcome, paper: Outcome, tmp_path: Path) -> None:
    local = tmp_path / "local"
    write([realistic], local)
    write([paper], tmp_path / "paper")
    assert [one.scale for one in read_all(tmp_path, local)] == ["paper"]
    assert [one.scale for one in read_all(local, local)] == ["toy"]


def _of_another_version(document: dict[str, Any]) -> None:
    document["schema"] = 2


def _without_claims(document: dict[str, Any]) -> None:
    del document["claims"]


def _with_a_new_verdict(document: dict[str, Any]) -> None:
    document["claims"][1]["verdict"] = "GREAT"


def _with_text_for_a_number(document: dict[str, Any]) -> None:
    document["claims"][0]["estimate"]["value"] = "3.1"


def _with_an_id_that_breaks_out(document: dict[str, Any]) -> None:
    document["claims"][0]["id"] = '"><script>'


def _with_a_claim_too_few(document: dict[str, Any]) -> None:
    document["spec"]["claims"].pop()


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (_of_another_version, r"schema: found 2: .*1"),
        (_without_claims, r"claims: this field is missing"),
        (_with_a_new_verdict, r'claims\[1\]\.verdict: found "GREAT": .*REPRODUCED'),
        (_with_text_for_a_number, r'claims\[0\]\.estimate\.value: found "3\.1": .*number'),
        (_with_an_id_that_breaks_out, r'claims\[0\]\.id: found .*script'),
        (_with_a_claim_too_few, r'claims: found \["drop", "other"\], but spec\.claims has \["drop"\]'),
    ],
)  # fmt: skip
def test_a_damaged_report_is_told_with_field_and_remedy(edit: Edit, told: str, paper: Outcome, tmp_path: Path) -> None:
    (path,) = write([paper], tmp_path).json
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    with pytest.raises(RequestError, match=rf"resnet20_imp-paper\.json: {told}(.|\n)*write it again"):
        read_all(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"[1, 2", b"3", b'{"id": 1}', b"\xff\xfe", b"[" * 100_000, b'{"schema": NaN}']
)
def test_files_that_are_no_reports_are_all_told(content: bytes, tmp_path: Path) -> None:
    for name in ("a-toy.json", "b-toy.json"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RequestError, match=r"a-toy\.json: (.|\n)*b-toy\.json: (.|\n)*move it out of the folder"):
        read_all(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"schema": 1', '"schema": true', "schema: found true"),
        ('"schema": 1', '"schema": 1.0', "schema: found 1.0"),
        ('"schema": 1', '"schema": 1, "schema": 1', "the file has the key 'schema' twice in one object"),
        ('"schema": 1', '"schema": NaN', "the file has NaN"),
        ('"schema": 1', '"schema": 1e999', "the file has a number beyond the range of float64"),
        ('"schema": 1', '"schema": ' + "[" * 10**5, "nested more than 64 deep"),
    ],
)
def test_a_report_that_is_read_differently_is_refused(
    old: str, new: str, told: str, paper: Outcome, tmp_path: Path
) -> None:
    write([paper], tmp_path)
    (path,) = tmp_path.glob(PATTERN)
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(RequestError) as caught:
        read_all(tmp_path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_renamed_report_and_one_without_its_page_are_told(paper: Outcome, tmp_path: Path) -> None:
    paths = write([paper], tmp_path)
    paths.html[0].unlink()
    with pytest.raises(RequestError, match=r"its page resnet20_imp-paper\.html is missing beside it"):
        read_all(tmp_path)
    paths.json[0].rename(tmp_path / "mine-toy.json")
    with pytest.raises(RequestError, match=r"mine-toy\.json: id, scale: found 'resnet20_imp' and 'paper'"):
        read_all(tmp_path)


def test_no_folder_and_no_reports_are_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is no folder"):
        read_all(tmp_path / "none")
    with pytest.raises(RequestError, match=r"no machine reports .*harness verify"):
        read_all(tmp_path)
