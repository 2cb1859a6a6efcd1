"""Processes or threads on the CPU: a process a core where networks are small and there is work for all."""

import math
from pathlib import Path

import pytest

from harness.jobs.plan import Plan
from harness.pipeline.forecast import cpu_processes
from tests.support import ROOT, imp_text, request


@pytest.fixture(scope="module")
def toy() -> Plan:
    return request(ROOT / "specs" / "resnet20_imp.yaml").plan


def test_a_process_for_each_core_where_networks_are_small(toy: Plan) -> None:
    counts = [cpu_processes(toy, lambda job: False, cores=cores, free=math.inf) for cores in (1, 2, 5)]
    assert counts == [1, 2, 5]


def test_threads_where_networks_are_large() -> None:
    paper = request(ROOT / "specs" / "resnet20_imp.yaml", "paper").plan
    assert cpu_processes(paper, lambda job: False, cores=2, free=math.inf) == 1


def test_one_process_where_little_is_missing(toy: Plan, tmp_path: Path) -> None:
    assert cpu_processes(toy, lambda job: True, cores=2, free=math.inf) == 1
    path = tmp_path / "tiny_imp.yaml"
    path.write_text(imp_text())
    assert cpu_processes(request(path).plan, lambda job: False, cores=2, free=math.inf) == 1


def test_one_process_where_there_are_fewer_starts_than_cores(toy: Plan) -> None:
    starts = sum(not job.inputs for job in toy.jobs.values())
    assert cpu_processes(toy, lambda job: False, cores=starts, free=math.inf) == starts
    assert cpu_processes(toy, lambda job: False, cores=starts + 1, free=math.inf) == 1


def test_one_process_where_memory_is_short(toy: Plan) -> None:
    assert cpu_processes(toy, lambda job: False, cores=2, free=1e5) == 1
