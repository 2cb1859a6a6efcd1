"""What must not happen when a number, a disk or a file goes bad in the middle of a run."""

import contextlib
import errno
import os
from pathlib import Path

import pytest
import torch

from harness.engine.state import WEIGHT
from harness.errors import BrokenError, CorruptArtifact, HarnessError, TrainingDiverged
from harness.execution import checkpoint as checkpoints
from harness.jobs.store import Artifact, Store
from tests.jobs.test_store import ARTIFACT, JOB
from tests.stages.bench import TINY_LENET, Bench, setting
from tests.stages.test_stages import LINE, mask_of
from tests.stages.test_train import copy_job, execute_here, mask_job, saved, state_job


# 1
def test_divergence_of_a_pruned_replica_is_its_own() -> None:
    here, bench = setting(TINY_LENET), Bench()
    good, bad = state_job(here), state_job(here, seed=1)
    jobs = [copy_job(here, state, 6, 9, mask=mask_job(here)) for state in (good, bad)]
    bench.plant(bad, {WEIGHT + "output.bias": torch.full((3,), float("inf"), dtype=torch.float64)})
    first, second = bench.together(*jobs)
    assert isinstance(first, Artifact)
    assert isinstance(second, TrainingDiverged)


# 2
def test_masked_copies_that_part_at_the_end_have_a_flat_line() -> None:
    here, bench = setting(), Bench()
    mask, trunk = mask_of(here), here.recipe.trunk(0, 14)
    a, b = (here.recipe.train(trunk, 14, 14, order=f"copy/0/{i}", mask=mask) for i in range(2))
    assert len(set(bench[here.recipe.line(a, b, LINE, mask)].table["error"])) <= 4


# 3
def test_an_artifact_whose_record_is_gone_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(JOB, ARTIFACT, {})
    (store.path(JOB.key) / "record.json").unlink()
    with pytest.raises(BrokenError):
        store.write(JOB, ARTIFACT, {})


# 4
def test_a_table_that_is_not_finite_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(HarnessError):
        Store(tmp_path).write(JOB, Artifact(table={"loss": [float("nan")]}), {})


# 4b
def test_weights_that_left_the_numbers_at_the_last_step_fail_their_job_only(tmp_path: Path) -> None:
    here = setting(TINY_LENET, rate=1e38, precision="fp32")
    end = here.recipe.train(here.recipe.initial(0), 0, 2, order="x")
    other = here.recipe.evaluate(here.recipe.initial(1))
    run = execute_here([here.recipe.evaluate(end), other], tmp_path)
    assert len(run.failed) == 1
    assert Store(tmp_path).has(other)


# 5
def test_no_changed_bit_of_a_record_goes_unseen_or_is_untold(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(JOB, ARTIFACT, {})
    path = store.path(JOB.key) / "record.json"
    content = path.read_bytes()
    wrong = []
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            found = store.read(JOB)
            if set(found.tensors) != set(ARTIFACT.tensors) or found.table != ARTIFACT.table:
                wrong.append((place, "other content"))
        except CorruptArtifact:
            pass
        except Exception as error:
            wrong.append((place, repr(error)))
    assert not wrong


# 6
def test_a_full_disk_at_a_checkpoint_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "MOST_TIME_SAVING", float("inf"))
    here = setting()
    target = copy_job(here, here.recipe.initial(0), 0, 14)
    real, calls = checkpoints.put, []

    def full(path: Path, content: bytes, *by: Path) -> None:
        calls.append(1)
        if len(calls) == 8:
            monkeypatch.setattr(os, "fsync", refusing)
        real(path, content, *by)

    def refusing(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoints, "put", full)
    with contextlib.suppress(BrokenError):
        execute_here([target], tmp_path)
    assert len(saved(tmp_path)) == 1
