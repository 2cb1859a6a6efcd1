"""A machine's speed: measured once, kept, and corrected by what jobs took; forecasts follow."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from harness.cli.place import Place as Computing
from harness.engine.compiling import noticed
from harness.engine.kernels import choice
from harness.engine.pace import REFERENCE, Pace, sample
from harness.execution import backends
from harness.jobs.artifact import Artifact
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.provenance import describe
from harness.jobs.store import Store
from harness.pipeline import calibration
from harness.pipeline.calibration import UNMEASURED, Calibration, Seen, kind_of
from harness.pipeline.forecast import Machine, forecast
from harness.stages import find
from tests.support import Place, cli, imp_text, request

REAL_HERE, REAL_KEEP = calibration.here, calibration.keep


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Pace]:
    """Counts the measurements, each of another machine, twice as fast as the one before."""
    taken: list[Pace] = []

    def count() -> Pace:
        taken.append(Pace(REFERENCE.small * 2 ** len(taken), REFERENCE.large, REFERENCE.launch))
        return taken[-1]

    monkeypatch.setattr(calibration, "sample", count)
    monkeypatch.setattr(calibration, "keep", REAL_KEEP)
    return taken


def unheard() -> None:
    """Nothing here asks whether loops are compiled."""


def test_a_sample_measures_and_leaves_the_threads_alone() -> None:
    threads = torch.get_num_threads()
    pace = sample()
    assert all(math.isfinite(value) and value > 0 for value in (pace.small, pace.large, pace.launch))
    assert 1e8 < pace.small < 1e13
    assert torch.get_num_threads() == threads


def test_a_machine_is_measured_once(measured: list[Pace], tmp_path: Path) -> None:
    first, second = REAL_HERE(unheard, tmp_path), REAL_HERE(unheard, tmp_path)
    assert first == second == Calibration.of(measured[0])
    assert len(measured) == 1


@pytest.mark.parametrize("text", ["", "{", '{"small": 0, "large": 1, "launch": 1}', '{"small": 1e400}', "[]"])
def test_a_damaged_file_is_measured_anew(text: str, measured: list[Pace], tmp_path: Path) -> None:
    REAL_HERE(unheard, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    assert REAL_HERE(unheard, tmp_path) == Calibration.of(measured[1])
    assert REAL_HERE(unheard, tmp_path) == Calibration.of(measured[1])


def test_where_nothing_can_be_kept_each_run_measures(measured: list[Pace], tmp_path: Path) -> None:
    place = tmp_path / "a file"
    place.touch()
    assert REAL_HERE(unheard, place / "caches") != REAL_HERE(unheard, place / "caches")


def test_a_user_without_a_home_keeps_nothing(measured: list[Pace], monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert REAL_HERE(unheard) != REAL_HERE(unheard)
    assert len(measured) == 2


def test_another_library_is_another_machine(
    measured: list[Pace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    REAL_HERE(unheard, tmp_path)
    monkeypatch.setattr(calibration.choice, "installed", lambda: False)
    REAL_HERE(unheard, tmp_path)
    assert len(measured) == 2


def train_job(tmp_path: Path) -> Job:
    spec = tmp_path / "tiny_imp.yaml"
    spec.write_text(imp_text())
    return next(job for job in request(spec).plan.jobs.values() if job.stage == "train")


def test_a_kind_that_took_longer_is_expected_to(tmp_path: Path) -> None:
    job = train_job(tmp_path)
    effort = find("train").effort(job)
    usual = UNMEASURED.work(job, effort, "cpu"), UNMEASURED.launches(job, effort.launches, "cpu")
    seen = {kind_of(job, "cpu"): Seen().followed_by(100.0, 300.0)}
    slow = UNMEASURED.model_copy(update={"seen": seen})
    assert slow.known(job, "cpu")
    assert not UNMEASURED.known(job, "cpu")
    for before, now in zip(
        usual, (slow.work(job, effort, "cpu"), slow.launches(job, effort.launches, "cpu")), strict=True
    ):
        assert now == pytest.approx(before * 302 / 102)


@pytest.mark.parametrize(("processor", "learns"), [(1000.0, True), (None, False)])
def test_a_job_teaches_by_its_processor_time(processor: float | None, learns: bool, tmp_path: Path) -> None:
    job, store = train_job(tmp_path), Store(tmp_path / "store")
    made = {**describe("cpu", 1, ""), "seconds": 1.0, "processor_seconds": processor, "beside": 1}
    store.write(job, Artifact({"weights.x": torch.zeros(1)}), made)
    learnt = UNMEASURED.learnt([job], store)
    assert learnt.known(job, "cpu") is learns
    effort = find("train").effort(job)
    assert (learnt.work(job, effort, "cpu") > 5 * UNMEASURED.work(job, effort, "cpu")) is learns


def test_snapshots_share_the_launches_of_their_training(tmp_path: Path) -> None:
    """What a group takes as forecast teaches nothing new, however many snapshots its trainings have."""
    first, store = train_job(tmp_path), Store(tmp_path / "store")
    stop = int(first.params["stop"])
    jobs = [
        Job("train", {**first.params, "order": seed, "stop": stop + later}, first.inputs)
        for seed in (1, 2)
        for later in range(3)
    ]
    assert len({job.trajectory for job in jobs}) == 2
    plan = Plan.of(jobs)
    computing = forecast(plan, lambda job: job not in jobs, Machine()).computing
    made = {**describe("cpu", 1, ""), "seconds": 1.0, "processor_seconds": computing / len(jobs), "beside": len(jobs)}
    for job in jobs:
        store.write(job, Artifact({"weights.x": torch.zeros(1)}), made)
    (seen,) = UNMEASURED.learnt(jobs, store).seen.values()
    assert seen.expected == pytest.approx(seen.taken)
    assert seen.taken == pytest.approx(computing)


def test_networks_of_other_names_and_sizes_are_other_kinds(tmp_path: Path) -> None:
    lenet = train_job(tmp_path)
    larger, resnet = (
        Job("train", {**lenet.params, "network": network}, lenet.inputs)
        for network in (
            {"name": "lenet", "hidden": [3000, 1000]},
            {"name": "resnet", "widths": [4, 8], "blocks": 1, "activation": "relu"},
        )
    )
    kinds = {kind_of(job, "cpu") for job in (lenet, larger, resnet)}
    assert len(kinds) == 3
    assert all(kind.startswith("cpu train ") for kind in kinds)


@pytest.mark.skipif(not choice.installed(), reason="nothing is compiled without Numba")
def test_compiling_is_told_once_before_and_only_where_something_is() -> None:
    from numba import njit

    told: list[str] = []
    double, triple = (njit(lambda x: 2 * x), njit(lambda x: 3 * x))
    with noticed(lambda: told.append(f"{len(double.signatures)} compiled")):
        assert (double(2), triple(2)) == (4, 6)
    assert told == ["0 compiled"]
    with noticed(lambda: told.append("again")):
        assert (double(3), triple(3)) == (6, 9)
    assert len(told) == 1


@pytest.mark.parametrize("quiet", [True, False])
def test_a_user_is_told_of_compiling_unless_quiet(
    quiet: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def compiles(compiling: Callable[[], None]) -> Calibration:
        compiling()
        return UNMEASURED

    monkeypatch.setattr(calibration, "here", compiles)
    Computing(backends.chosen("cpu"), threads=1, quiet=quiet).machine()
    said = capsys.readouterr()
    assert said.out == ""
    assert ("compiling" in said.err) is not quiet


def test_what_was_seen_before_fades() -> None:
    seen = Seen()
    for _ in range(50):
        seen = seen.followed_by(100.0, 300.0)
    assert seen.factor == pytest.approx(3.0, rel=0.02)
    for _ in range(50):
        seen = seen.followed_by(100.0, 50.0)
    assert seen.factor == pytest.approx(0.5, rel=0.05)


def test_a_forecast_follows_the_machine(tmp_path: Path) -> None:
    spec = tmp_path / "tiny_imp.yaml"
    spec.write_text(imp_text())
    plan = request(spec).plan
    faster = Calibration(small=2 * UNMEASURED.small, large=UNMEASURED.large, launch=UNMEASURED.launch / 2)
    usual, fast, shared = (
        forecast(plan, lambda job: False, machine)
        for machine in (Machine(), Machine(calibration=faster), Machine(share=0.5))
    )
    assert fast.computing == pytest.approx(usual.computing / 2)
    assert shared.seconds == pytest.approx(2 * usual.seconds)
    assert usual.least < usual.seconds < usual.most
    assert sum(usual.expected.values()) == pytest.approx(usual.seconds - usual.start)


def test_a_run_teaches_the_next_plan(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "caches"
    monkeypatch.setattr(calibration, "sample", lambda: REFERENCE)
    monkeypatch.setattr(calibration, "here", lambda compiling: REAL_HERE(compiling, folder))
    monkeypatch.setattr(calibration, "keep", lambda known, _=None: REAL_KEEP(known, folder))
    place = Place(tmp_path)
    spec = place.write(imp_text())
    assert place.verify(spec, "--device", "cpu", "--threads", "1", "--workers", "1").code == 0
    kept = REAL_HERE(unheard, folder)
    assert {name.split()[1] for name in kept.seen} >= {"train", "evaluate", "line", "prune"}
    assert all(seen.taken > 0 for seen in kept.seen.values())
    row = cli("plan", spec, "--store", tmp_path / "other", "--device", "cpu", "--threads", "1", "--json").json[0]
    assert row["least"] < row["seconds"] < row["most"]
