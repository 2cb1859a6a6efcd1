"""Several processes on one store: each job is done once, and one that is killed or stopped holds up nobody."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import ROOT, Place, edited, imp_text, request

pytestmark = pytest.mark.skipif(
    not os.environ.get("HARNESS_SLOW_TESTS"),
    reason="takes minutes on two cores: set HARNESS_SLOW_TESTS=1; tests/execution/test_claims.py has the same rules",
)

SLOW = edited(imp_text(), "length: 40it", "length: 100it")

DRIVER = """
import os, pathlib, signal, sys, time
import harness.execution.checkpoint, harness.execution.claimfile, harness.stages
from harness.cli import main

log, number, together, stale, *arguments = sys.argv[1:]
ready = pathlib.Path(log + ".ready")
ready.touch()
while len(list(ready.parent.glob("*.ready"))) < int(together):
    time.sleep(0.05)
find = harness.stages.find

def spying(name):
    stage = find(name)

    class Spy:
        fuse, cost, effort = stage.fuse, stage.cost, stage.effort

        def run(self, work, context):
            with open(log, "a") as file:
                file.write(" ".join(one.job.key for one in work) + "\\n")
            return stage.run(work, context)

    return Spy()

harness.stages.find = spying
put = harness.execution.checkpoint.put
seen = 0

def interrupted(path, content, by=None):
    global seen
    put(path, content, by) if by else put(path, content)
    seen += not path.suffix
    if seen == 2:  # in the middle of a training, with its state saved
        os.kill(os.getpid(), int(number))

harness.execution.claimfile.STALE_AFTER_S = float(stale)
if int(number):
    harness.execution.checkpoint.CHECKPOINT_EVERY_S = 0.0
    harness.execution.checkpoint.MOST_TIME_SAVING = float("inf")
    harness.execution.checkpoint.put = interrupted
main(arguments)
"""


@dataclass
class Started:
    """``harness verify`` in a process of its own, and the jobs that it ran."""

    process: "subprocess.Popen[str]"
    log: Path

    @property
    def groups(self) -> list[list[str]]:
        """Keys of the jobs of each group that it began."""
        return [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []

    @property
    def ran(self) -> list[str]:
        return [key for group in self.groups for key in group]

    def ended(self) -> tuple[int, str]:
        """Its exit code and what it told."""
        out, err = self.process.communicate(timeout=240)
        assert "Traceback" not in out + err
        return self.process.returncode, " ".join((out + err).split())


def start(
    place: Place, name: str, specs: Sequence[Path], number: int = 0, together: int = 3, stale: float = 60.0
) -> Started:
    """Starts one, which waits for the others; with a signal it sends that to itself in the middle of a training."""
    log = place.root / f"{name}.log"
    command = [sys.executable, "-c", DRIVER, str(log), str(int(number)), str(together), str(stale), "verify"]
    options = [*place.options(), "--report", str(place.root / name)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return Started(
        subprocess.Popen(
            [*command, *map(str, specs), "--exit-zero", *options],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ),
        log,
    )


def specs_of(place: Place) -> list[Path]:
    """Three specs that share no job."""
    return [
        place.write(
            edited(
                edited(SLOW, "id: tiny_imp\n", f"id: tiny_imp_{seed}\n"), "first_seed: 0", f"first_seed: {10 * seed}"
            )
        )
        for seed in range(3)
    ]


def files_left(place: Place) -> list[str]:
    return sorted(path.name for path in (place.store / "progress").iterdir())


def assert_the_same(place: Place, undisturbed: Place) -> None:
    """All results of the first spec are there, and are those of an undisturbed run, bit for bit."""
    plan = request(place.root / "tiny_imp_0.yaml").plan
    assert place.keys() == plan.jobs.keys()
    whole = undisturbed.artifacts()
    assert place.artifacts() == {name: whole[name] for name in whole if name.split("/")[0] in plan.jobs}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """What one run gives."""
    place = Place(tmp_path_factory.mktemp("undisturbed"))
    assert place.verify(*specs_of(place), more=("--exit-zero",)).code == 0
    return place


def test_three_processes_share_the_work(undisturbed: Place, tmp_path: Path) -> None:
    """Each begins with another spec; nothing is run twice, and the bits are those of one run."""
    place = Place(tmp_path)
    specs = specs_of(place)
    three = [start(place, f"run{turn}", [*specs[turn:], *specs[:turn]]) for turn in range(3)]
    assert [one.ended()[0] for one in three] == [0, 0, 0]
    ran = [key for one in three for key in one.ran]
    assert len(ran) == len(undisturbed.keys())
    assert set(ran) == undisturbed.keys() == place.keys()
    assert all(one.ran for one in three)
    assert place.artifacts() == undisturbed.artifacts()
    assert files_left(place) == []


def until_stopped(one: Started) -> None:
    """Waits until it stopped itself, in the middle of a training."""
    limit = time.monotonic() + 240
    while Path(f"/proc/{one.process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        assert one.process.poll() is None
        assert time.monotonic() < limit
        time.sleep(0.1)


def test_what_a_killed_process_had_under_way_is_finished_by_another(undisturbed: Place, tmp_path: Path) -> None:
    place = Place(tmp_path)
    specs = specs_of(place)[:1]
    killed = start(place, "killed", specs, signal.SIGSTOP, together=1)
    until_stopped(killed)
    other = start(place, "other", specs, together=1)
    time.sleep(5)
    killed.process.send_signal(signal.SIGKILL)
    code, words = other.ended()
    assert code == 0, words
    assert killed.ended()[0] == -signal.SIGKILL
    assert sorted([*killed.ran, *other.ran]) == sorted([*place.keys(), *killed.groups[-1]]), "only what was in flight"
    assert f"process {killed.process.pid} on " in words
    assert "has ended: what it had under way" in words
    assert_the_same(place, undisturbed)
    assert files_left(place) == []


def test_a_stopped_process_holds_up_nobody_and_goes_on_when_it_is_woken(undisturbed: Place, tmp_path: Path) -> None:
    place = Place(tmp_path)
    specs = specs_of(place)[:1]
    stopped = start(place, "stopped", specs, signal.SIGSTOP, together=1)
    try:
        until_stopped(stopped)
        other = start(place, "other", specs, together=1, stale=5.0)
        code, words = other.ended()
        assert code == 0, words
        assert f"process {stopped.process.pid} on " in words
        assert "stands still (stopped by a signal) and has not renewed its claim" in words
        assert_the_same(place, undisturbed)
        done = place.artifacts()
    finally:
        stopped.process.send_signal(signal.SIGCONT)
    code, words = stopped.ended()
    assert code == 0
    assert "this run stood still for so long that another run on this store took up what it had under way" in words
    assert set(stopped.ran) & set(other.ran) == set(stopped.groups[-1]), "only what was in flight is begun twice"
    assert place.artifacts() == done
    assert files_left(place) == []
