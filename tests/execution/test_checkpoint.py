"""Checkpoints and their parts: what is finished is written in few files, and all of it comes back or nothing does."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.execution import checkpoint as checkpoints
from harness.execution import parts as parts_module
from harness.execution import sealed
from harness.execution.checkpoint import Checkpoint, checkpoint_path
from harness.execution.parts import HELD, PART_BYTES
from harness.execution.run import Progress
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from tests.stages.bench import setting
from tests.stages.test_train import Killed, Killer, contents, copy_job, execute_here, group_targets, saved, state_job
from tests.support import cli

GROUP = [Job("init", {"seed": 0})]


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint after every step."""
    monkeypatch.setattr(checkpoints, "CHECKPOINT_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "MOST_TIME_SAVING", float("inf"))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is too little for a part."""
    monkeypatch.setattr(parts_module, "PART_BYTES", 0)


def parts(root: Path) -> list[Path]:
    return sorted(path for path in (root / "progress").iterdir() if path.suffix[1:].isdigit())


@pytest.mark.usefixtures("at_once")
def test_what_is_kept_comes_back_with_what_was_saved_last(tmp_path: Path) -> None:
    store = Store(tmp_path)
    checkpoint = Checkpoint(store, GROUP)
    for number in range(3):
        checkpoint.keep({f"done/{number}": torch.full((4,), number)})
        checkpoint.save({"state": torch.tensor(number)}, {"number": number})
    again = Checkpoint(store, GROUP)
    found = again.load()
    assert found is not None
    assert {name: value.tolist() for name, value in found[0].items()} == {
        "state": 2,
        **{f"done/{number}": [number] * 4 for number in range(3)},
    }
    assert found[1] == {"number": 2}
    again.keep({"done/3": torch.zeros(1), "done/0": torch.ones(4)})
    again.save({}, {})
    assert len(parts(tmp_path)) == 4
    last = Checkpoint(store, GROUP).load()
    assert last is not None
    assert last[0]["done/0"].tolist() == [0] * 4, "it was kept before, and is not written again"
    again.remove()
    assert not list((tmp_path / "progress").iterdir())


@pytest.mark.usefixtures("at_once")
def test_what_was_kept_after_the_last_save_is_not_of_it(tmp_path: Path) -> None:
    """A part that was written just before a kill is not named by the checkpoint, and is written again."""
    store = Store(tmp_path)
    checkpoint = Checkpoint(store, GROUP)
    checkpoint.save({"state": torch.tensor(1)}, {})
    whole = checkpoint_path(store, GROUP).read_bytes()
    checkpoint.keep({"done": torch.tensor(1)})
    checkpoint.save({"state": torch.tensor(2)}, {})
    checkpoint_path(store, GROUP).write_bytes(whole)
    again = Checkpoint(store, GROUP)
    found = again.load()
    assert found is not None
    assert list(found[0]) == ["state"]
    again.keep({"done": torch.tensor(7)})
    again.save({}, {})
    after = Checkpoint(store, GROUP).load()
    assert after is not None
    assert int(after[0]["done"]) == 7


@pytest.mark.usefixtures("always", "at_once")
def test_a_checkpoint_does_not_grow_with_the_snapshots(tmp_path: Path) -> None:
    """It was saved last at step 17, and holds the keys of its jobs and no snapshot."""
    sizes = []
    for count, finished in ((2, 0), (6, 3), (12, 9)):
        here, root = setting(length=20), tmp_path / str(count)
        targets = [copy_job(here, state_job(here), 6, stop) for stop in range(19, 19 - count, -1)]
        with pytest.raises(Killed):
            execute_here(targets, root, Killer(13, "train x"))
        assert len(parts(root)) == finished, "one for each, as there was a checkpoint after every step"
        (path,) = saved(root)
        named = sum(len(job.key) + len('"", ') for job in targets)
        sizes.append(path.stat().st_size - named)
    assert max(sizes) - min(sizes) < 16, "but for the digits of some numbers"


@pytest.mark.usefixtures("always", "at_once")
def test_a_part_is_written_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    put = checkpoints.put

    def spying(path: Path, content: bytes, *by: Path) -> None:
        written.append(path.name)
        put(path, content, *by)

    monkeypatch.setattr(checkpoints, "put", spying)
    assert not execute_here(group_targets(setting()), tmp_path).failed
    numbered = [name for name in written if name.partition(".")[2].isdigit()]
    assert len(numbered) > 3
    assert len(set(numbered)) == len(numbered)


@pytest.mark.usefixtures("always", "at_once")
@pytest.mark.parametrize("form", ["snapshots in the checkpoint itself", "a part for each save"])
def test_a_checkpoint_of_a_version_before_is_taken_up(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = group_targets(setting())
    with pytest.raises(Killed):
        execute_here(targets, tmp_path / "killed", Killer(8, "train x"))
    (path,) = saved(tmp_path / "killed")
    tensors, about = sealed.decode(path.read_bytes())
    assert HELD not in tensors
    jobs = Plan.of(targets).jobs
    found = Checkpoint(Store(tmp_path / "killed"), [jobs[key] for key in about["jobs"]]).load()
    assert found is not None
    assert any(name.startswith("snapshot/") for name in found[0])
    assert parts(tmp_path / "killed")
    if form == "snapshots in the checkpoint itself":
        for part in parts(tmp_path / "killed"):
            part.unlink()
        old = {name: about[name] for name in ("jobs", "notes", "elapsed")}
        path.write_bytes(sealed.encode(found[0], old))
    monkeypatch.setattr(parts_module, "PART_BYTES", PART_BYTES)
    told: list[Progress] = []
    assert not execute_here(targets, tmp_path / "killed", told.append).failed
    assert not [progress.note for progress in told if progress.note]
    assert not execute_here(targets, tmp_path / "whole").failed
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.parametrize("part_bytes", [PART_BYTES, 20_000])
def test_many_saves_make_few_files_and_no_long_checkpoint(
    part_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a training whose probes give a few rows by each save."""
    monkeypatch.setattr(parts_module, "PART_BYTES", part_bytes)
    store, saves, each = Store(tmp_path), 200, 1000
    checkpoint, longest = Checkpoint(store, GROUP), 0
    for number in range(saves):
        checkpoint.keep({f"done/{number}": torch.full((each,), number % 256, dtype=torch.uint8)})
        checkpoint.save({"state": torch.tensor(number)}, {})
        longest = max(longest, checkpoint_path(store, GROUP).stat().st_size)
    sizes = [path.stat().st_size for path in parts(tmp_path)]
    assert len(sizes) <= saves * each * 1.2 / part_bytes
    assert all(size > part_bytes for size in sizes)
    assert longest < part_bytes + 2000
    found = Checkpoint(store, GROUP).load()
    assert found is not None
    assert {name: value.tolist() for name, value in found[0].items()} == {
        "state": saves - 1,
        **{f"done/{number}": [number % 256] * each for number in range(saves)},
    }


@pytest.mark.parametrize("part_bytes", [0, 1000, PART_BYTES])
@pytest.mark.parametrize("written", [True, False])
def test_killed_at_any_write_what_is_kept_is_the_same(
    part_bytes: int, written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just before a file takes its place, or just after."""
    monkeypatch.setattr(parts_module, "PART_BYTES", part_bytes)
    steps, put = 8, checkpoints.put
    writes = kill_at = 0

    def killing(path: Path, content: bytes) -> None:
        nonlocal writes
        writes += 1
        if written or writes != kill_at:
            put(path, content)
        if writes == kill_at:
            raise Killed

    def work(store: Store) -> dict[str, Tensor]:
        checkpoint = Checkpoint(store, GROUP)
        found = checkpoint.load()
        rows, start = ({}, 0) if found is None else (dict(found[0]), int(found[0]["step"]) + 1)
        rows.pop("step", None)
        assert list(rows) == [f"row/{number}" for number in range(start)]
        for step in range(start, steps):
            rows[f"row/{step}"] = torch.full((40,), float(step) ** 0.5)
            checkpoint.keep(rows)
            checkpoint.save({"step": torch.tensor(step)}, {})
        return rows

    monkeypatch.setattr(checkpoints, "put", killing)
    whole = work(Store(tmp_path / "whole"))
    all_writes = writes
    assert all_writes == steps + len(parts(tmp_path / "whole"))
    for kill_at in range(1, all_writes + 1):
        writes, root = 0, tmp_path / str(kill_at)
        with pytest.raises(Killed):
            work(Store(root))
        writes = -1000
        rows = work(Store(root))
        assert rows.keys() == whole.keys()
        assert all(torch.equal(rows[name], whole[name]) for name in whole)


@pytest.mark.parametrize("held", [torch.zeros(9, dtype=torch.uint8), torch.zeros(40)])
def test_a_checkpoint_that_holds_no_part_where_one_is_due_is_removed_and_told(held: Tensor, tmp_path: Path) -> None:
    store, told = Store(tmp_path), list[str]()
    Checkpoint(store, GROUP).save({"state": torch.tensor(1), HELD: held}, {})
    path = checkpoint_path(store, GROUP)
    assert list(checkpoints.check(store)) == [(path, "holds a part that cannot be read")]
    assert Checkpoint(store, GROUP, told.append).load() is None
    assert told == [
        f"the checkpoint {path} holds a part that cannot be read: it is removed, and its group starts afresh"
    ]
    assert not path.exists()


DAMAGE: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-50]),
    "of another run": lambda path: path.write_bytes(sealed.encode({"snapshot/0/8/weights": torch.zeros(3)}, {})),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.usefixtures("always", "at_once")
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_checkpoint_that_lacks_a_part_is_removed_and_told(damage: str, tmp_path: Path) -> None:
    targets = group_targets(setting())
    with pytest.raises(Killed):
        execute_here(targets, tmp_path / "killed", Killer(8, "train x"))
    (path,), (part, *_) = saved(tmp_path / "killed"), parts(tmp_path / "killed")
    DAMAGE[damage](part)
    said = cli("store", "check", "--store", tmp_path / "killed")
    assert said.code == 3
    assert f"{path}: has " in " ".join(said.err.split())
    told: list[Progress] = []
    assert not execute_here(targets, tmp_path / "killed", told.append).failed
    (note,) = (progress.note for progress in told if progress.note)
    assert note.startswith(f"the checkpoint {path} has ")
    assert not list((tmp_path / "killed" / "progress").iterdir())
    assert not execute_here(targets, tmp_path / "whole").failed
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("at_once")
def test_parts_without_their_checkpoint_are_swept_a_day_later(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(2):
        checkpoint = Checkpoint(store, [Job("init", {"seed": seed})])
        checkpoint.keep({"done": torch.tensor(1)})
        checkpoint.save({}, {})
    checkpoint_path(store, GROUP).unlink()
    orphan, kept = sorted(parts(tmp_path), key=lambda path: path.with_suffix("").exists())
    Store(tmp_path)
    assert orphan.exists(), "a run may be about to write its checkpoint"
    for path in (orphan, kept):
        os.utime(path, (time.time() - 90_000,) * 2)
    Store(tmp_path)
    assert not orphan.exists()
    assert kept.exists()
