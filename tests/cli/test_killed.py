"""Killed at any moment and run again: the same artifacts, bit for bit. Stopped politely: told how to go on."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import ROOT, Place, cli, counted, edited, imp_text

SPEC = edited(imp_text(), "rewinds: [0it]", "rewinds: [0it, 10it]")

DRIVER = """
import os, signal, sys
import harness.execution.checkpoint, harness.jobs.store
from harness.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
harness.execution.checkpoint.CHECKPOINT_EVERY_S = 0.0
harness.execution.checkpoint.MOST_TIME_SAVING = float("inf")
moment, count, number, *arguments = sys.argv[1:]
seen = 0

def now():
    global seen
    seen += 1
    if seen == int(count):
        os.kill(os.getpid(), int(number))

def after(owner, name, wanted=lambda *a, **k: True):
    kept = getattr(owner, name)
    def spying(*a, **k):
        found = kept(*a, **k)
        if wanted(*a, **k):
            now()
        return found
    setattr(owner, name, spying)

if moment == "checkpoint":  # in the middle of a training, with its state just saved
    after(harness.execution.checkpoint, "put", lambda path, *rest: not path.suffix)
elif moment == "draft":  # an artifact's file is written, but not yet committed
    after(harness.jobs.store.os, "fsync")
elif moment == "commit":  # some of a group are committed, the rest are not
    after(harness.jobs.store.os, "rename")
main(arguments)
"""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("undisturbed"))
    assert place.verify(place.write(SPEC)).code == 0
    return place


def driven(place: Place, moment: str, count: int, number: signal.Signals) -> subprocess.CompletedProcess[str]:
    """``harness verify`` in a process of its own, which sends itself a signal at the count-th such moment."""
    command = [sys.executable, "-c", DRIVER, moment, str(count), str(int(number)), "verify"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    spec = place.write(SPEC)
    return subprocess.run(
        [*command, str(spec), *place.options()], capture_output=True, text=True, env=environment, timeout=120
    )


def assert_completes(place: Place, undisturbed: Place) -> None:
    """A second run completes what is missing, and only that; everything is as if nothing had happened."""
    done = place.keys()
    whole = undisturbed.artifacts()
    assert done < undisturbed.keys()
    for name, content in place.artifacts().items():
        assert content == whole[name], f"{name} was committed before the kill, but differs"
    with counted() as jobs:
        said = place.verify(place.root / "tiny_imp.yaml")
    assert said.code == 0, said.out + said.err
    assert undisturbed.keys() - done <= {job.key for job in jobs}
    assert place.artifacts() == whole
    assert [path for path in (place.store / "progress").iterdir() if not path.suffix] == []


@pytest.mark.parametrize(
    ("moment", "count"),
    [("checkpoint", 47), ("draft", 8), ("commit", 60)],
)
def test_kill_9_costs_time_but_no_bit(moment: str, count: int, undisturbed: Place, tmp_path: Path) -> None:
    place = Place(tmp_path)
    killed = driven(place, moment, count, signal.SIGKILL)
    assert killed.returncode == -signal.SIGKILL
    if moment == "checkpoint":
        assert list((place.store / "progress").iterdir())
    assert_completes(place, undisturbed)


def test_a_training_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    place = Place(tmp_path)
    driven(place, "checkpoint", 30, signal.SIGKILL)
    (checkpoint,) = (path for path in (place.store / "progress").iterdir() if not path.suffix)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    said = cli("store", "check", "--store", place.store)
    assert said.code == 3
    assert f"{checkpoint}: is damaged: its digest does not fit" in said.err
    assert "1 files of interrupted runs are corrupt" in said.err
    said = place.verify(place.root / "tiny_imp.yaml")
    assert said.code == 0
    told = f"tiny_imp: warning: the checkpoint {checkpoint} is damaged: its digest does not fit: it is removed"
    assert told in said.err, "a damaged checkpoint can only be noticed by one who reads it"


def test_killed_twice(undisturbed: Place, tmp_path: Path) -> None:
    place = Place(tmp_path)
    driven(place, "checkpoint", 10, signal.SIGKILL)
    driven(place, "checkpoint", 20, signal.SIGKILL)
    assert_completes(place, undisturbed)


def test_killed_from_outside(undisturbed: Place, tmp_path: Path) -> None:
    place = Place(tmp_path)
    spec = place.write(SPEC)
    process = subprocess.Popen(
        [sys.executable, "-c", "from harness.cli import main; main()", "verify", str(spec), *place.options()],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 100
        while len(place.keys()) < 5 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        process.kill()
        process.wait()
    if place.keys() == undisturbed.keys():
        pytest.skip("it was faster than the kill")
    assert_completes(place, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_stop_says_how_to_go_on(number: signal.Signals, undisturbed: Place, tmp_path: Path) -> None:
    place = Place(tmp_path)
    stopped = driven(place, "checkpoint", 50, number)
    assert stopped.returncode == 130
    assert "Traceback" not in stopped.stdout + stopped.stderr
    assert "kept" in stopped.stderr
    assert "run the same command again" in stopped.stderr
    assert_completes(place, undisturbed)


def test_a_full_disk_keeps_what_was_finished(
    undisturbed: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(tmp_path)
    spec = place.write(SPEC)
    left = 25
    fsync = os.fsync

    def filling(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", filling)
    said = place.verify(spec)
    assert said.code == 3
    assert "No space left on device" in said.err
    assert "make room" in said.err
    assert "run the same command again" in said.err
    assert place.keys()
    assert list((place.store / "tmp").iterdir()) == []
    monkeypatch.undo()
    assert_completes(place, undisturbed)


def test_a_really_full_disk(undisturbed: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The forecast refuses it at once; without a forecast the run stops when the disk is full."""
    place = Place(tmp_path)
    place.store.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place.store)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk can be made here")
    kept = tmp_path / "kept"
    try:
        refused = place.verify(place.write(SPEC))
        assert not place.keys()
        monkeypatch.setattr("harness.cli.session.require_room", lambda *about: None)
        said = place.verify(place.write(SPEC))
        shutil.copytree(place.store, kept)
    finally:
        subprocess.run(["umount", str(place.store)], check=True)
    assert refused.code == 2
    assert "the results to come take about 2" in refused.err
    assert said.code == 3
    words = " ".join((said.out + said.err).split())
    assert "make room" in words
    assert "run the same command again" in words
    place.store.rmdir()
    kept.rename(place.store)
    assert_completes(place, undisturbed)


def test_two_runs_at_once_spoil_nothing(undisturbed: Place, tmp_path: Path) -> None:
    place = Place(tmp_path)
    spec = place.write(SPEC)
    command = [sys.executable, "-c", "from harness.cli import main; main()", "verify", str(spec), *place.options()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    for process in both:
        told, _ = process.communicate(timeout=120)
        assert process.returncode == 0, told
    assert place.artifacts() == undisturbed.artifacts()
    assert cli("report", spec, "--store", place.store, "--report", place.reports).code == 0
