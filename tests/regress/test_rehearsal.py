"""The experiment in small: every time is scaled, seeds and number format are fixed, rounding does not show."""

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.engine import datasets
from harness.engine.feed import Images
from harness.execution.run import execute
from harness.protocols import families
from harness.regress.fingerprints import fingerprints
from harness.regress.kinds import kinds
from harness.regress.rehearsal import LENGTH, TOLERANCE, rehearsal, shrunk
from harness.spec.load import load
from harness.store import Store
from harness.verify import Request, prepare
from tests.support import ROOT, SPECS, edited, imp_text

QUADRATIC = ROOT / "specs" / "noisy_quadratic.yaml"
TRAINED = [path for path in SPECS if path != QUADRATIC]


def request(path: Path, **more: int) -> Request:
    return prepare(load(path, families()), "toy", ROOT / "data", **more)


def test_what_trains_nothing_has_no_rehearsal() -> None:
    whole = request(QUADRATIC, initialisations=1)
    assert not rehearsal(whole.protocol, whole.setting).jobs


@pytest.mark.parametrize("path", TRAINED, ids=lambda path: path.stem)
def test_the_whole_training_is_there_in_small(path: Path) -> None:
    whole = request(path, initialisations=1)
    small = shrunk(whole.setting)
    assert (small.length, small.training.precision) == (LENGTH, "fp64")
    assert len(small.training.schedule.drops) == len(whole.setting.training.schedule.drops)
    stages = {job.stage for job in whole.plan.jobs.values()}
    jobs = rehearsal(whole.protocol, whole.setting).jobs.values()
    assert {job.stage for job in jobs} == stages & {"init", "train", "prune", "shuffle", "distance"}
    assert max(job.params["stop"] for job in jobs if job.stage == "train") == LENGTH


def test_seeds_of_the_run_are_not_those_of_its_rehearsal() -> None:
    path = ROOT / "specs" / "lenet_imp.yaml"
    one, other = (request(path, first_seed=seed, initialisations=seed + 1) for seed in (0, 7))
    assert rehearsal(one.protocol, one.setting).jobs.keys() == rehearsal(other.protocol, other.setting).jobs.keys()


def test_times_of_a_short_training_are_left_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "tiny_imp.yaml"
    path.write_text(edited(imp_text(), "length: 40it", "length: 31it"))
    assert shrunk(request(path).setting).length == 31


def rehearsed(path: Path, folder: Path) -> dict[str, float]:
    whole = request(path)
    plan, store = rehearsal(whole.protocol, whole.setting), Store(folder)
    load_dataset: Any = lambda name: datasets.load(name, folder)  # noqa: E731
    run = execute(plan, store, devices=[torch.device("cpu")], load_dataset=load_dataset, provenance={})
    assert not run.failed
    return {name: one.mean for name, one in fingerprints(plan.jobs, kinds(plan.jobs), store).items()}


def test_rounding_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images changed in their twelfth digit, ten thousand times a rounding, stay far within the tolerance."""
    path = tmp_path / "tiny_imp.yaml"
    path.write_text(imp_text())
    before = rehearsed(path, tmp_path / "before")
    kept = Images._to_float
    monkeypatch.setattr(Images, "_to_float", lambda self, x: kept(self, x) * (1 + 1e-12))
    now = rehearsed(path, tmp_path / "now")
    assert before.keys() == now.keys()
    assert now != before
    assert max(abs(now[name] - value) for name, value in before.items()) < TOLERANCE / 100
