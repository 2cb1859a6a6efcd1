"""Claims: what overlaps is refused, what is left is taken over, what is damaged holds nobody."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.execution import claimfile, claims
from harness.execution.claimfile import STALE_AFTER_S, Owner
from harness.execution.claims import Claims, Taken
from harness.execution.run import Progress
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.store import Artifact, Store
from tests.jobs.test_plan import Fakes, chain, fakes, go, name_of

__all__ = ["fakes"]

A, B, C = ([chain(seed)[1] for seed in seeds] for seeds in ((0, 1), (1, 2), (3,)))
ELSEWHERE = Owner(host="elsewhere", machine="another.boot", pid=7, started=1, token="0" * 32)


@pytest.fixture
def other(tmp_path: Path) -> Claims:
    """The claims of another run, which lives."""
    return Claims(Store(tmp_path))


def left(root: Path) -> list[Path]:
    return sorted((root / "progress").iterdir())


def aged(path: Path, seconds: float) -> None:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))


def place_of(root: Path, job: Job) -> Path:
    """Where the claim of one job lies."""
    probe = Claims(Store(root))
    before = set(left(root))
    assert probe.take([job]) is Taken.FREE
    (path,) = set(left(root)) - before
    probe.release([job])
    return path


def test_what_overlaps_is_refused_as_a_whole_until_it_is_released(tmp_path: Path, other: Claims) -> None:
    with Claims(Store(tmp_path)) as here:
        assert here.take(A) is Taken.FREE
        assert here.take(A) is Taken.FREE, "it is ours"
        assert other.take(B) is Taken.NOT
        assert other.holder == f"process {os.getpid()} on {claimfile.Owner.here('0' * 32).host}"
        assert other.take(C) is Taken.FREE
        assert here.take([*A, *C]) is Taken.NOT
        here.release(A)
        assert other.take(B) is Taken.FREE
    assert len(left(tmp_path)) == 3
    other.release([*B, *C])
    assert left(tmp_path) == []
    assert here.notes == other.notes == []


def test_claims_wait_for_no_disk(tmp_path: Path, other: Claims, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(number: int) -> None:
        raise AssertionError("a claim need not outlive a power cut")

    monkeypatch.setattr(os, "fsync", told)
    assert other.take(A) is Taken.FREE
    other.release(A)


@pytest.mark.parametrize("changed", [{"pid": 2**22 + 1}, {"started": 1}])
def test_a_claim_of_a_process_that_is_gone_holds_nobody(tmp_path: Path, changed: dict[str, int], other: Claims) -> None:
    """Also where its number is that of another process now, as in a container that was started again."""
    assert other.take(A) is Taken.FREE
    for path in left(tmp_path):
        path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
    here = Claims(Store(tmp_path))
    assert here.take(A) is Taken.LEFT
    (note,) = here.notes
    assert note.endswith("has ended: what it had under way on this store is taken up here")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(STALE_AFTER_S + 5, "has not renewed its claim for "), (-STALE_AFTER_S - 5, "has a claim dated ")],
    ids=["late", "in the future"],
)
def test_a_claim_from_elsewhere_that_is_not_renewed_becomes_stale(tmp_path: Path, seconds: float, words: str) -> None:
    path = place_of(tmp_path, C[0])
    claimfile.make(path, ELSEWHERE)
    here = Claims(Store(tmp_path))
    assert here.take(C) is Taken.NOT
    assert here.holder == "process 7 on elsewhere"
    aged(path, seconds)
    assert here.take(C) is Taken.LEFT
    (note,) = here.notes
    assert note.startswith(f"process 7 on elsewhere {words}")


def test_ages_are_by_the_clock_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two machines' clocks may differ by hours."""
    path = place_of(tmp_path, C[0])
    claimfile.make(path, ELSEWHERE)
    monkeypatch.setattr(claimfile.time, "time", lambda: path.stat().st_mtime + 7200.0)
    assert Claims(Store(tmp_path)).take(C) is Taken.NOT


def test_a_claim_that_is_being_written_holds_until_it_is_stale(tmp_path: Path) -> None:
    path = place_of(tmp_path, C[0])
    path.touch()
    here = Claims(Store(tmp_path))
    assert here.take(C) is Taken.NOT
    aged(path, STALE_AFTER_S + 5)
    assert here.take(C) is Taken.LEFT


DAMAGE: dict[str, Callable[[Path], object]] = {
    "garbage": lambda path: path.write_bytes(b"\xff\x00 garbage"),
    "a number": lambda path: path.write_text("7"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "long": lambda path: path.write_bytes(b" " * 100_000),
    "another's fields": lambda path: path.write_text('{"host": "::error::\\nHOLDS", "pid": 1}'),
    "a folder": lambda path: path.mkdir(),
    "a pipe": lambda path: os.mkfifo(path),
    "a link": lambda path: path.symlink_to("/dev/zero"),
    "a link to nothing": lambda path: path.symlink_to("nothing"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_what_is_no_claim_is_removed_and_told(tmp_path: Path, kind: str) -> None:
    path = place_of(tmp_path, C[0])
    DAMAGE[kind](path)
    here = Claims(Store(tmp_path))
    assert here.take(C) is Taken.LEFT
    (note,) = here.notes
    assert note.startswith(f"the claim {path} ")
    assert note.endswith(": it is removed, and its work is done here")
    assert "\n" not in note
    assert claimfile.look(path).owner is not None
    here.release(C)
    assert left(tmp_path) == []


def test_a_folder_that_holds_something_is_left_alone_and_stops_nobody(tmp_path: Path) -> None:
    path = place_of(tmp_path, C[0])
    (path / "thesis").mkdir(parents=True)
    here = Claims(Store(tmp_path))
    assert here.take(C) is Taken.FREE
    (note,) = here.notes
    assert note.startswith(f"{path}, where a run claims its work, is none and cannot be removed (")
    here.release(C)
    assert (path / "thesis").is_dir()


def test_a_claim_that_cannot_be_written_stops_nobody(
    tmp_path: Path, other: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes, *, durable: bool) -> None:
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(claimfile, "write_new", full)
    assert other.take(A) is Taken.FREE
    assert left(tmp_path) == [], "an empty one would hold others"


def test_only_the_claim_that_was_seen_is_taken_away(tmp_path: Path, other: Claims) -> None:
    """Two runs see the same stale claim; the slower one must not remove the fresh one of the faster."""
    path = place_of(tmp_path, C[0])
    claimfile.make(path, ELSEWHERE)
    aged(path, 1000)
    seen = claimfile.look(path)
    assert other.take(C) is Taken.LEFT
    fresh = path.read_bytes()
    assert not claimfile.take_away(path, seen)
    assert path.read_bytes() == fresh
    assert left(tmp_path) == [path]


def until(condition: Callable[[], bool]) -> None:
    """Waits for it, for twenty seconds at most."""
    limit = claims.time.monotonic() + 20
    while not condition():
        assert claims.time.monotonic() < limit
        claims.time.sleep(0.01)


def test_a_run_renews_its_claims(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claimfile, "RENEWED_EVERY_S", 0.01)
    with Claims(Store(tmp_path)) as here:
        assert here.take(C) is Taken.FREE
        (path,) = left(tmp_path)
        os.utime(path, (0, 0))
        until(lambda: path.stat().st_mtime > 0)


def test_a_run_that_stood_still_leaves_the_claims_that_it_lost(
    tmp_path: Path, other: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claimfile, "RENEWED_EVERY_S", 0.05)
    with Claims(Store(tmp_path)) as here:
        assert here.take(C) is Taken.FREE
        assert other.take(C, by_force=True) is Taken.LEFT
        (path,) = left(tmp_path)
        os.utime(path, (0, 0))
        until(lambda: bool(here.notes))
        assert here.notes[0].startswith("this run stood still for so long that another run on this store took up ")
    assert left(tmp_path) == [path]
    assert path.stat().st_mtime == 0, "it is not this run's to renew"


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


def test_a_group_that_a_killed_run_left_half_committed_is_run_as_a_whole(fakes: Fakes, tmp_path: Path) -> None:
    """On the CPU a small network's last digits may depend on what runs beside it."""
    plan = Plan.of([chain(seed, 2)[-1] for seed in range(3)])
    gone = Claims(Store(tmp_path))
    assert gone.take([chain(seed)[1] for seed in range(3)]) is Taken.FREE
    for path in left(tmp_path):
        path.write_text(json.dumps({**json.loads(path.read_text()), "started": 1}))
    told: list[Progress] = []

    def tell(progress: Progress) -> None:
        told.append(progress)
        if len(told) == 1:
            Store(tmp_path).write(chain(1)[1], Artifact(table={"name": ["train1.1"]}), {})

    run = go(plan, tmp_path, tell)
    assert [len(group) for group in fakes.groups if group[0].startswith("train")] == [3]
    assert run.executed | {chain(1)[1].key} == set(plan.jobs)
    assert [one.note for one in told if "has ended" in one.note]
    assert left(tmp_path) == []


def test_what_another_run_has_under_way_is_done_last_and_when_it_gives_up(
    fakes: Fakes, tmp_path: Path, other: Claims
) -> None:
    plan = Plan.of([chain(seed, 2)[-1] for seed in range(3)])
    assert other.take([chain(1)[0]]) is Taken.FREE
    timer = threading.Timer(1.0, other.release, [[chain(1)[0]]])
    timer.start()
    run = go(plan, tmp_path)
    timer.join()
    assert set(fakes.ran[:2]) == {"init0", "init2"}
    assert fakes.ran[2] == "init1"
    assert run.executed == set(plan.jobs)


def test_a_run_waits_for_what_another_has_under_way_and_says_so(fakes: Fakes, tmp_path: Path, other: Claims) -> None:
    (init,) = chain(0, 1)
    assert other.take([init]) is Taken.FREE

    def done_there() -> None:
        Store(tmp_path).write(init, Artifact(table={"name": ["of the other"]}), {})
        other.release([init])

    timer = threading.Timer(1.5, done_there)
    timer.start()
    told: list[Progress] = []
    run = go(Plan.of([init]), tmp_path, told.append)
    timer.join()
    assert (run.executed, run.failed, fakes.ran) == (set(), {}, [])
    (note,) = [one.note for one in told if one.note]
    assert note.startswith(f"the rest is under way in process {os.getpid()} on ")
    assert told[-1].done == told[-1].total


def test_patience_with_a_run_that_lives_and_gets_nowhere_ends(
    fakes: Fakes, tmp_path: Path, other: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    (init,) = chain(0, 1)
    assert other.take([init]) is Taken.FREE
    monkeypatch.setattr(claims, "PATIENCE_S", 0.7)
    told: list[Progress] = []
    run = go(Plan.of([init]), tmp_path, told.append)
    assert run.executed == {init.key}
    assert any("has shown no progress for" in one.note for one in told)


def test_patience_lasts_while_results_or_checkpoints_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(claims.time, "monotonic", lambda: now)
    patience = claims.Patience(Store(tmp_path))
    checkpoint = tmp_path / "progress" / ("0" * 32)
    limit = claims.PATIENCE_S
    for moment, missing, saved, over in (
        (0.0, 5, False, False),
        (limit, 5, False, False),
        (limit + 1, 4, False, False),
        (2 * limit, 4, True, False),
        (3 * limit, 4, False, False),
        (3 * limit + 1, 4, False, True),
    ):
        now = moment
        if saved:
            checkpoint.touch()
        assert patience.is_over(missing) is over, moment


def test_claims_do_not_hold_an_unwritable_plan(fakes: Fakes, tmp_path: Path) -> None:
    """Nothing is left of them when the run ends with an error."""
    fakes.raising["init0"] = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match="a bug"):
        go(Plan.of(chain(0, 1)), tmp_path)
    assert [path for path in left(tmp_path) if path.suffix == ".claim"] == []


def test_a_group_that_another_run_took_up_is_left_to_it_and_is_no_error(
    fakes: Fakes, tmp_path: Path, other: Claims
) -> None:
    """This run sleeps in the middle of a group; when it wakes the group is another's, which commits it later."""
    (init,) = chain(0, 1)
    timers: list[threading.Timer] = []

    def done_there() -> None:
        assert not Store(tmp_path).has(init), "it was written by the run that was given up"
        Store(tmp_path).write(init, Artifact(table={"name": ["of the other"]}), {})
        other.release([init])

    def tell(progress: Progress) -> None:
        if fakes.ran and not timers:  # under way, nothing committed
            assert other.take([init], by_force=True) is Taken.LEFT
            timers.append(threading.Timer(1.0, done_there))
            timers[0].start()

    run = go(Plan.of([init]), tmp_path, tell)
    timers[0].join()
    assert (run.given_up, run.failed, run.lost, run.executed) == (1, {}, set(), set())
    assert fakes.ran == ["init0"], "it was not begun again"
    assert Store(tmp_path).read(init).table == {"name": ["of the other"]}
    assert left(tmp_path) == []
    assert not list((tmp_path / "tmp").iterdir())
