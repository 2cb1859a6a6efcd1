"""The experiment in small: every time is scaled, seeds and number format are fixed, rounding does not show."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.engine import prune
from harness.engine.data import datasets
from harness.engine.feed import EpochFeed, Images
from harness.engine.state import Mask
from harness.execution.backends.in_process import InProcess
from harness.execution.run import execute
from harness.jobs.stages import OWN, row
from harness.jobs.store import Store
from harness.measure import evaluate as evaluating
from harness.measure.evaluate import Scores
from harness.pipeline.request import Request, prepare
from harness.protocols import protocols
from harness.regress.fingerprints import READERS, smoke_numbers
from harness.regress.kinds import kinds
from harness.regress.smoke_run import LENGTH, TOLERANCE, left_out, shrunk, smoke_plan
from harness.schema.load import load
from harness.stages import train as training
from tests.support import ROOT, SPECS, edited, imp_text, instability_text

QUADRATIC = ROOT / "specs" / "noisy_quadratic.yaml"
TRAINED = [path for path in SPECS if path != QUADRATIC]


def request(path: Path, **more: int) -> Request:
    return prepare(load(path, protocols()), "toy", ROOT / "data", **more)


def test_what_trains_nothing_has_no_smoke_run() -> None:
    whole = request(QUADRATIC, initialisations=1)
    assert not smoke_plan(whole.protocol, whole.setting).jobs


def test_the_smoke_run_has_what_makes_states_and_masks_and_what_is_measured_on_images() -> None:
    guarded = {one.name for one in OWN if not one.unguarded}
    makes = {"init", "train", "prune", "shuffle", "perturb", "transfer", "mask_body"}
    assert guarded == makes | {"distance", "evaluate", "line", "compare"}
    assert {one.seen_closely for one in OWN if not one.unguarded} <= READERS.keys()


def test_what_is_left_out_is_told_with_its_reason() -> None:
    whole = request(QUADRATIC, initialisations=1)
    told = left_out(whole.plan, smoke_plan(whole.protocol, whole.setting))
    assert told.keys() == {job.stage for job in whole.plan.jobs.values()}
    assert set(told.values()) == {row("valley_walk").unguarded}
    drift = request(ROOT / "specs" / "eigenvector_drift.yaml", initialisations=1)
    assert left_out(drift.plan, smoke_plan(drift.protocol, drift.setting)).keys() == {"hessian", "overlap"}
    imp = request(ROOT / "specs" / "lenet_imp.yaml", initialisations=1)
    assert left_out(imp.plan, smoke_plan(imp.protocol, imp.setting)) == {}


@pytest.mark.parametrize("path", TRAINED, ids=lambda path: path.stem)
def test_the_whole_training_is_there_in_small(path: Path) -> None:
    whole = request(path, initialisations=1)
    small = shrunk(whole.setting)
    assert (small.length, small.recipe.training.precision) == (LENGTH, "fp64")
    assert len(small.recipe.training.schedule.drops) == len(whole.setting.recipe.training.schedule.drops)
    stages = {job.stage for job in whole.plan.jobs.values()}
    jobs = smoke_plan(whole.protocol, whole.setting).jobs.values()
    assert {job.stage for job in jobs} == {stage for stage in stages if not row(stage).unguarded}
    assert {"init", "train"} <= {job.stage for job in jobs}
    trained = [job.params["stop"] - job.params["schedule_start"] for job in jobs if job.stage == "train"]
    assert LENGTH in trained, "of a schedule, which may begin again at a later step"


def test_seeds_of_the_run_are_not_those_of_its_smoke_run() -> None:
    path = ROOT / "specs" / "lenet_imp.yaml"
    one, other = (request(path, first_seed=seed, initialisations=seed + 1) for seed in (0, 7))
    assert smoke_plan(one.protocol, one.setting).jobs.keys() == smoke_plan(other.protocol, other.setting).jobs.keys()


def test_times_of_a_short_training_are_left_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "tiny_imp.yaml"
    path.write_text(edited(imp_text(), "length: 40it", "length: 31it"))
    assert shrunk(request(path).setting).length == 31


def run_small(path: Path, folder: Path) -> dict[str, float]:
    whole = request(path)
    plan, store = smoke_plan(whole.protocol, whole.setting), Store(folder)
    load_dataset: Any = lambda name: datasets.load(name, folder)  # noqa: E731
    run = execute(plan, store, backend=InProcess(torch.device("cpu")), load_dataset=load_dataset)
    assert not run.failed
    return smoke_numbers(plan.jobs, kinds(plan.jobs), store)


def test_rounding_does_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images changed in their twelfth digit, ten thousand times a rounding, stay far within the tolerance."""
    path = tmp_path / "tiny_imp.yaml"
    path.write_text(imp_text())
    before = run_small(path, tmp_path / "before")
    kept = Images._to_float
    monkeypatch.setattr(Images, "_to_float", lambda self, x: kept(self, x) * (1 + 1e-12))
    now = run_small(path, tmp_path / "now")
    assert before.keys() == now.keys()
    assert now != before
    assert max(abs(now[name] - value) for name, value in before.items()) < TOLERANCE / 100


def layer_by_layer(patch: pytest.MonkeyPatch) -> None:
    def magnitude(weights: Any, before: Mask, keep: int) -> Mask:
        total = sum(weight.numel() for weight in weights.values())
        left = {name: keep * weight.numel() // total for name, weight in weights.items()}
        left[next(iter(left))] += keep - sum(left.values())
        parts = (real({name: weight}, Mask({name: before.kept[name]}), left[name]) for name, weight in weights.items())
        return Mask({name: kept for part in parts for name, kept in part.kept.items()})

    real = prune.magnitude
    patch.setattr(prune, "magnitude", magnitude)


def without_momentum(patch: pytest.MonkeyPatch) -> None:
    def zeroed(*given: Any) -> Any:
        return {name: torch.zeros_like(value) for name, value in real(*given).items()}

    real = training._optimiser_state
    patch.setattr(training, "_optimiser_state", zeroed)


def with_one_order(patch: pytest.MonkeyPatch) -> None:
    """In both initialisations: shows only where there are two."""
    real = EpochFeed.__init__

    def changed(self: EpochFeed, order_seeds: Any, steps: Any, **more: Any) -> None:
        real(self, [seed.replace("/1/", "/0/") for seed in order_seeds], steps, **more)

    patch.setattr(EpochFeed, "__init__", changed)


def some_images_short(patch: pytest.MonkeyPatch) -> None:
    def short(*a: Any, **more: Any) -> Scores:
        found = evaluating.evaluate(*a, **more)
        return Scores(found.predictions[:, :-2], found.losses[:, :-2], found.labels[:-2])

    patch.setattr("harness.measure.line.evaluate", short)
    patch.setattr("harness.stages.line._check_end", lambda *a: None)  # the run would notice; so must its numbers


@pytest.mark.parametrize(
    ("plant", "text"),
    [
        (layer_by_layer, imp_text()),
        (without_momentum, instability_text()),
        (with_one_order, instability_text()),
        (some_images_short, instability_text()),
    ],
)
def test_a_fault_that_only_numbers_show_is_seen(
    plant: Callable[[pytest.MonkeyPatch], None], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ("tiny_imp.yaml" if "tiny_imp" in text else "tiny.yaml")
    path.write_text(text)
    before = run_small(path, tmp_path / "before")
    plant(monkeypatch)
    now = run_small(path, tmp_path / "now")
    assert before.keys() == now.keys()
    assert max(abs(now[name] - value) for name, value in before.items()) > 10 * TOLERANCE
