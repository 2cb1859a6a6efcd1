"""Processes or threads on the CPU: a process a core where networks are small and there is work for all."""

import math
from pathlib import Path

import pytest

from harness.cli import place
from harness.cli.options import Options
from harness.jobs.plan import Plan
from harness.pipeline.forecast import Machine, cpu_processes, forecast
from tests.support import ROOT, cli, imp_text, request, shipped

IMP = ROOT / "specs" / "resnet20_imp.yaml"


@pytest.fixture(scope="module")
def toy() -> Plan:
    return shipped(IMP).plan


def test_a_process_for_each_core_where_networks_are_small(toy: Plan) -> None:
    assert [cpu_processes(toy, cores=cores, free=math.inf) for cores in (1, 2, 5)] == [1, 2, 5]


def test_no_more_processes_than_run_side_by_side() -> None:
    plan = shipped(ROOT / "specs" / "lenet_imp.yaml").plan
    counts = [cpu_processes(plan, cores=cores, free=math.inf) for cores in (8, 64, 1000, 2000)]
    assert counts == sorted(counts)
    assert 8 == counts[0] < counts[-1] == counts[-2]


@pytest.mark.parametrize("name", ["resnet20_imp", "eigenvector_drift", "vgg16_stability"])
def test_threads_where_networks_are_large(name: str) -> None:
    paper = shipped(ROOT / "specs" / f"{name}.yaml", "paper").plan
    assert cpu_processes(paper, cores=4, free=math.inf) == 1


def test_one_process_for_little_work(tmp_path: Path) -> None:
    path = tmp_path / "tiny_imp.yaml"
    path.write_text(imp_text())
    assert cpu_processes(request(path).plan, cores=2, free=math.inf) == 1


def test_processes_are_started_where_they_save_more_than_their_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second thread saves no time of a small network; n processes save all but an n-th of one's."""
    plan = shipped(ROOT / "specs" / "lenet_stability.yaml").plan
    alone = forecast(plan, lambda job: False, Machine()).computing
    assert cpu_processes(plan, cores=2, free=math.inf) == 2
    for cores in (2, 4):
        saved = alone * (1 - 1 / cores)
        for start, count in ((0.99 * saved, cores), (1.01 * saved, 1)):
            monkeypatch.setattr("harness.pipeline.forecast._PROCESS_S", start)
            assert cpu_processes(plan, cores=cores, free=math.inf) == count


def test_threads_are_forecast_to_speed_up_large_networks_only(toy: Plan) -> None:
    large = shipped(IMP, "paper").plan
    for plan, factor in ((toy, 1.0), (large, 2.0)):
        one, two = (forecast(plan, lambda job: False, Machine(threads=threads)).computing for threads in (1, 2))
        assert one == pytest.approx(factor * two, rel=0.1)


def test_as_many_processes_as_memory_holds(toy: Plan) -> None:
    """A process takes 400 MB before it computes, and four fifths of what is free may be taken."""
    assert [cpu_processes(toy, cores=8, free=free) for free in (0.7e9, 2.3e9, 5.7e9)] == [1, 4, 8]


def options(**chosen: object) -> Options:
    plain = {"scale": "toy", "replicates": None, "first_seed": None, "device": "cpu", "threads": None}
    places = {"store": Path("store"), "data": Path("data"), "report": Path("report")}
    return Options(**{**plain, **places, **chosen})  # type: ignore[arg-type]


def test_what_a_user_chose_is_kept(toy: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "usable_cores", lambda: 3)
    for chosen, slots, threads in (
        (options(workers=1, threads=3), 1, 3),
        (options(workers=2, threads=3), 2, 3),
        (options(threads=3), 3, 3),
        (options(threads=2), 2, 2),
        (options(threads=12), 3, 3),
        (options(threads=1), 1, 1),
    ):
        found = place.place_of(chosen, toy, quiet=True)
        assert (len(found.backend.slots), found.threads) == (slots, threads)


def test_a_plan_says_what_a_run_would_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "usable_cores", lambda: 2)
    several = cli("plan", IMP, "--device", "cpu", "--threads", "2").out
    assert "on 2 x cpu, 2 CPU threads" in several
    assert "on cpu, 2 CPU threads" in cli("plan", IMP, "--device", "cpu", "--threads", "2", "--workers", "1").out
