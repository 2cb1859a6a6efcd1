"""Several runs on one store: each does what the others do not, and none waits for one that is gone."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness import stages
from harness.execution import claims
from harness.execution.claims import STALE_AFTER_S, Claims
from harness.execution.run import Progress
from harness.plan import Plan
from harness.store import Artifact, Store
from tests.support import ROOT, Place, edited, imp_text
from tests.test_plan import Fakes, chain, go, name_of

A, B, C = ([chain(seed)[1] for seed in seeds] for seeds in ((0, 1), (1, 2), (3,)))


@pytest.fixture
def other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Claims:
    """The claims of a run in another process that lives: of our parent."""
    made = Claims(Store(tmp_path))
    make = made._make

    def as_parent(path: Path) -> bool:
        with monkeypatch.context() as patch:
            patch.setattr(claims.os, "getpid", os.getppid)
            return make(path)

    monkeypatch.setattr(made, "_make", as_parent)
    return made


def left(root: Path) -> list[Path]:
    return list((root / "progress").iterdir())


def test_what_overlaps_is_refused_as_a_whole_until_it_is_released(tmp_path: Path, other: Claims) -> None:
    with Claims(Store(tmp_path)) as here:
        assert here.take(A)
        assert here.take(A), "it is ours"
        assert not other.take(B)
        assert other.take(C)
        assert not here.take([*A, *C])
        here.release(A)
        assert other.take(B)
    assert len(left(tmp_path)) == 3
    other.release([*B, *C])
    assert left(tmp_path) == []


@pytest.mark.parametrize("pid", [0x7FFFFFFF, os.getpid()])
def test_a_claim_of_a_process_that_is_gone_holds_nobody(tmp_path: Path, pid: int, other: Claims) -> None:
    assert other.take(A)
    for path in left(tmp_path):
        path.write_text(json.dumps({**json.loads(path.read_text()), "pid": pid}))
    assert Claims(Store(tmp_path)).take(A)


def test_a_claim_that_is_not_renewed_becomes_stale(tmp_path: Path, other: Claims) -> None:
    assert other.take(A)
    for path in left(tmp_path):
        path.write_text("from a machine elsewhere")
    assert not Claims(Store(tmp_path)).take(A)
    for path in left(tmp_path):
        before = path.stat().st_mtime - STALE_AFTER_S - 1
        os.utime(path, (before, before))
    assert Claims(Store(tmp_path)).take(A)


def test_a_run_renews_its_claims_and_removes_those_of_runs_that_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "RENEWED_EVERY_S", 0.01)
    gone = Store(tmp_path).progress_path("0" * 32 + ".claim")
    gone.write_text("")
    os.utime(gone, (0, 0))
    with Claims(Store(tmp_path)) as here:
        assert left(tmp_path) == []
        assert here.take(C)
        (path,) = left(tmp_path)
        os.utime(path, (0, 0))
        until = claims.time.monotonic() + 20
        while path.stat().st_mtime == 0 and claims.time.monotonic() < until:
            claims.time.sleep(0.01)
        assert path.stat().st_mtime > 0


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Fakes:
    made = Fakes()
    monkeypatch.setattr(stages, "find", made.find)
    return made


def test_what_another_run_committed_meanwhile_is_not_run_again(fakes: Fakes, tmp_path: Path) -> None:
    plan = Plan.of([chain(seed)[-1] for seed in range(3)])
    told: list[Progress] = []

    def tell(progress: Progress) -> None:
        told.append(progress)
        if len(told) == 1:
            for job in chain(1):
                Store(tmp_path).write(job, Artifact(table={"name": ["of the other"]}), {})

    run = go(plan, tmp_path, tell)
    assert {name_of(job) for job in plan.jobs.values() if job.key in run.executed}.isdisjoint({"train1.1", "train1.2"})
    assert [len(group) for group in fakes.groups if group[0].startswith("train")] == [2, 2]
    assert Store(tmp_path).read(chain(1)[-1]).table == {"name": ["of the other"]}
    assert (run.failed, run.lost) == ({}, set())
    assert told[-1].done == told[-1].total
    assert left(tmp_path) == []


def test_what_another_run_has_under_way_is_done_last_and_when_it_gives_up(
    fakes: Fakes, tmp_path: Path, other: Claims
) -> None:
    plan = Plan.of([chain(seed, 2)[-1] for seed in range(3)])
    assert other.take([chain(1)[0]])
    timer = threading.Timer(1.0, other.release, [[chain(1)[0]]])
    timer.start()
    run = go(plan, tmp_path)
    timer.join()
    assert set(fakes.ran[:2]) == {"init0", "init2"}
    assert fakes.ran[2] == "init1"
    assert run.executed == set(plan.jobs)


def test_a_run_waits_for_what_another_has_under_way(fakes: Fakes, tmp_path: Path, other: Claims) -> None:
    (init,) = chain(0, 1)
    assert other.take([init])

    def done_there() -> None:
        Store(tmp_path).write(init, Artifact(table={"name": ["of the other"]}), {})
        other.release([init])

    timer = threading.Timer(1.0, done_there)
    timer.start()
    run = go(Plan.of([init]), tmp_path)
    timer.join()
    assert (run.executed, run.failed, fakes.ran) == (set(), {}, [])


def test_two_processes_on_one_store_share_the_work(tmp_path: Path) -> None:
    place = Place(tmp_path)
    spec = place.write(edited(imp_text(), "length: 40it", "length: 1500it"))
    Store(place.store)
    words = [sys.executable, "-m", "harness", "verify", str(spec), *place.options(), "--exit-zero"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    both = [
        subprocess.Popen([*words, "--report", str(tmp_path / name)], env=environment, stdout=subprocess.PIPE)
        for name in ("one", "two")
    ]
    said = [process.communicate(timeout=120)[0].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    counts = [re.search(r"(\d+) jobs, (\d+) found in the store", " ".join(text.split())) for text in said]
    made = [int(count[1]) - int(count[2]) for count in counts if count is not None]
    assert len(made) == 2
    assert sum(made) == len(place.keys())
    assert left(place.store) == []
