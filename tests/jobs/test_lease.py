"""Leases: who was given up can write nothing more, at whatever moment it is met; who has the lease notices nothing."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness import files
from harness.errors import LeaseLost, StoreBroken
from harness.execution.checkpoint import Checkpoint, checkpoint_path
from harness.jobs import lease as leases
from harness.jobs import store_folder
from harness.jobs.job import Job
from harness.jobs.lease import Lease
from harness.jobs.store import Artifact, Store

JOB = Job("init", {"seed": 1})
ROW = Artifact(table={"name": ["ours"]})
OTHER = Artifact(table={"name": ["the successor's"]})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def lease(store: Store) -> Lease:
    made = Lease.new(store.root)
    made.make()
    return made


def empty(store: Store) -> bool:
    return not any((*(store.root / "tmp").iterdir(), *(store.root / "progress").iterdir()))


def saved(store: Store) -> int:
    found = Checkpoint(store, [JOB]).load()
    assert found is not None
    return int(found[0]["step"])


def test_through_a_lease_results_and_checkpoints_are_written_and_nothing_is_left_of_it(
    store: Store, lease: Lease
) -> None:
    fenced = store.through(lease.attempt())
    checkpoint = Checkpoint(fenced, [JOB])
    checkpoint.save({"step": torch.tensor(3)}, {})
    assert saved(store) == 3
    fenced.write(JOB, ROW, {})
    checkpoint.remove()
    assert store.read(JOB).table == ROW.table
    assert not checkpoint_path(store, [JOB]).exists()
    lease.revoke()
    assert empty(store)


def test_who_was_given_up_writes_nothing_and_its_successor_does(store: Store, lease: Lease) -> None:
    first = lease.attempt()
    late = Checkpoint(store.through(first), [JOB])
    late.save({"step": torch.tensor(1)}, {})
    second = store.through(lease.attempt(instead_of=first))
    Checkpoint(second, [JOB]).save({"step": torch.tensor(2)}, {})
    assert not first.lives
    for write in (
        lambda: late.save({"step": torch.tensor(9)}, {}),
        late.remove,
        lambda: late.discard(ValueError("is damaged")),
        lambda: store.through(first).write(JOB, ROW, {}),
    ):
        with pytest.raises(LeaseLost, match="attempt 1 had under way was given to another"):
            write()
        assert saved(store) == 2
    assert not store.has(JOB)
    second.write(JOB, OTHER, {})
    assert store.read(JOB).table == OTHER.table


def test_a_lease_that_was_taken_away_gives_attempts_that_do_not_live(store: Store, lease: Lease) -> None:
    leases.revoke(store.root, lease.name)
    attempt = lease.attempt()
    assert not attempt.lives
    with pytest.raises(LeaseLost):
        store.through(attempt).write(JOB, ROW, {})
    assert empty(store)


CALLS = ("mkdir", "open", "fsync", "rename", "replace")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("count", range(1, 5))
def test_at_whatever_moment_it_is_given_up_a_write_is_whole_or_is_not(
    store: Store, lease: Lease, call: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is taken away right before a call of the system, as if the holder had slept there for an hour."""
    attempt, real, made = lease.attempt(), getattr(os, call), 0

    def slept(*given: object, **more: object) -> object:
        nonlocal made
        made += 1
        if made == count:
            monkeypatch.setattr(os, call, real)
            lease.revoke()
        return real(*given, **more)

    writers: tuple[tuple[Callable[[], object], Callable[[], bool]], ...] = (
        (lambda: store.through(attempt).write(JOB, ROW, {}), lambda: store.has(JOB)),
        (
            lambda: Checkpoint(store.through(attempt), [JOB]).save({"step": torch.tensor(9)}, {}),
            lambda: Checkpoint(store, [JOB]).load() is not None,
        ),
    )
    monkeypatch.setattr(os, call, slept)
    for write, there in writers:
        try:
            write()
        except LeaseLost:
            assert not there()
        else:
            assert there()
    monkeypatch.setattr(os, call, real)
    assert not store.has(JOB) or store.read(JOB).table == ROW.table
    lease.revoke()
    Checkpoint(store, [JOB]).remove()
    assert empty(store)


def test_a_handle_that_a_network_client_kept_is_refused_in_the_same_words(
    store: Store, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt = lease.attempt()

    def stale(*given: object) -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    monkeypatch.setattr(files.os, "replace", stale)
    with pytest.raises(LeaseLost):
        Checkpoint(store.through(attempt), [JOB]).save({"step": torch.tensor(9)}, {})


def test_a_full_disk_is_no_lost_lease(store: Store, lease: Lease, monkeypatch: pytest.MonkeyPatch) -> None:
    attempt = lease.attempt()

    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    for write in (
        lambda: Checkpoint(store.through(attempt), [JOB]).save({"step": torch.tensor(9)}, {}),
        lambda: store.through(attempt).write(JOB, ROW, {}),
    ):
        with pytest.raises(StoreBroken, match="make room there") as told:
            write()
        assert not isinstance(told.value, LeaseLost)


def test_what_a_killed_run_left_of_a_lease_is_swept_a_day_later_and_a_living_one_is_not(
    store: Store, lease: Lease
) -> None:
    draft = lease.attempt().drafts / ("0" * 32)
    draft.mkdir()
    (draft / "record.json").touch()
    folders = [store.root / place / f"{lease.name}.lease" for place in leases.PLACES]
    assert all(map(store_folder.is_lease, folders))
    for folder in folders:
        os.utime(folder, (0, 0))
    lease.renew()
    Store(store.root)
    assert all(folder.exists() for folder in folders)
    for folder in folders:
        os.utime(folder, (0, 0))
    Store(store.root)
    assert empty(store)
