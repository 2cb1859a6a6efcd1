"""Files: whole or not at all, the same again, and errors in words."""

from pathlib import Path

import pytest

from harness import files
from harness.errors import BrokenError, RequestError
from harness.pipeline.outcome import Outcome
from harness.report.write import Paths, write


def test_reports_are_written_and_written_again_the_same(
    realistic: Outcome, awkward: Outcome, paper: Outcome, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "reports"
    paths = write([realistic, awkward, paper], folder)
    names = ("resnet20_imp-toy", "awkward-toy", "resnet20_imp-paper")
    assert paths == Paths(
        html=tuple(folder / f"{name}.html" for name in names),
        markdown=tuple(folder / f"{name}.md" for name in names),
        json=tuple(folder / f"{name}.json" for name in names),
        junit=folder / "junit.xml",
    )
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(first) == 10
    write([realistic, awkward, paper], folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_two_outcomes_of_one_name_are_refused_before_anything_is_written(realistic: Outcome, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"resnet20_imp-toy\.html"):
        write([realistic, realistic], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told(paper: Outcome, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(BrokenError, match=r"file.*cannot be written \(.+\).*choose another folder"):
        write([paper], blocked)


def test_a_full_disk_leaves_the_earlier_report(paper: Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write([paper], tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write_new", full)
    with pytest.raises(BrokenError, match="No space left on device"):
        write([paper], tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
