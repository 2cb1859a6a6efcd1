"""A plan that cannot fit is refused before it starts; one that may fit is not."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import files
from harness.engine import device
from harness.pipeline.forecast import least_room
from tests.support import Place, cli, counted, edited, instability_text, request

GIB = 2**30


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def usage(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**12, 0, int(free)))


def test_a_replica_that_needs_more_than_twice_the_memory_is_refused(place: Place) -> None:
    text = edited(instability_text(), "hidden: [16]", "hidden: [90000, 90000]")
    spec = place.write(edited(text, "parameters: 1210", "parameters: 8106840010"))
    said = place.verify(spec)
    assert said.code == 2
    assert "error: a single replica of train needs about " in said.err
    assert "are free on cpu: choose a smaller network or batch, or another --device" in said.err
    assert not place.keys()


def test_the_forecast_of_memory_may_be_wrong_by_a_factor_of_two(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = place.write(instability_text())
    needed = least_room(request(spec).plan, lambda job: False, "cpu").memory_bytes
    monkeypatch.setattr(device, "free_bytes", lambda place: needed / 2.1)
    assert place.verify(spec).code == 2
    monkeypatch.setattr(device, "free_bytes", lambda place: needed / 1.9)
    assert place.verify(spec).code == 0
    monkeypatch.setattr(device, "free_bytes", lambda place: 1.0)
    assert place.verify(spec).code == 0, "all is there: nothing is needed"


def test_results_that_the_disk_has_no_room_for_are_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = place.write(instability_text())
    needed = least_room(request(spec).plan, lambda job: False, "cpu").disk_bytes
    usage(monkeypatch, needed - 1)
    said = place.verify(spec)
    assert said.code == 2
    assert "error: the results to come take about " in said.err
    assert "make room there, ask for fewer --replicates, or choose another --store" in " ".join(said.err.split())
    assert not place.keys()
    usage(monkeypatch, needed)
    assert place.verify(spec).code == 0
    usage(monkeypatch, 0)
    assert place.verify(spec).code == 0, "all is there: nothing is needed"


def _tree(place: Place) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in (place.store, *place.store.rglob("*"))}


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[Place], None]:
    """Makes a place's store one in which no file can be written, whoever asks."""

    def refuse(place: Place) -> None:
        write_new = files.write_new

        def refusing(path: Path, content: bytes, *, durable: bool = True) -> None:
            if path.is_relative_to(place.store):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            write_new(path, content, durable=durable)

        monkeypatch.setattr(files, "write_new", refusing)
        monkeypatch.setattr("harness.jobs.store.write_new", refusing)

    return refuse


def test_a_read_only_store_that_holds_all_is_judged(place: Place, read_only: Callable[[Place], None]) -> None:
    spec = place.write(instability_text())
    assert place.verify(spec).code == 0
    before, reports = _tree(place), {path.name: path.read_bytes() for path in place.reports.iterdir()}
    read_only(place)
    shutil.rmtree(place.reports)
    said = place.verify(spec)
    assert said.code == 0, said.err
    assert {path.name for path in place.reports.iterdir()} == reports.keys()
    verdicts = place.root / "verdicts.json"
    where = ("--store", place.store, "--data", place.root / "data", "--device", "cpu", "--threads", "1")
    assert cli("measure", spec, "--verdicts", verdicts, *where).code == 0
    assert verdicts.exists()
    assert place.verify(spec, more=("--until-decided", "--most", "2")).code == 0
    assert _tree(place) == before, "nothing is written there, nor removed"


def test_a_read_only_store_that_lacks_something_is_refused_at_once(
    place: Place, read_only: Callable[[Place], None]
) -> None:
    spec = place.write(instability_text())
    assert place.verify(spec).code == 0
    before = _tree(place)
    read_only(place)
    with counted() as ran:
        said = place.verify(spec, more=("--replicates", "3"))
    assert said.code == 2
    assert f"the store {place.store} cannot be written (Read-only file system)" in said.err
    assert ran == []
    assert _tree(place).keys() == before.keys()
