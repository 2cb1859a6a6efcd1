"""Cores that a process may use: affinity, a control group's quota, what Slurm was asked for."""

import os
from pathlib import Path

import pytest

from harness.engine.cores import usable_cores


@pytest.fixture(autouse=True)
def _eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)


def cgroup(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_the_cores_that_it_may_run_on(tmp_path: Path) -> None:
    assert usable_cores({}, tmp_path) == 8


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1), ("9900000 100000", 8), ("", 8)],
)
def test_a_quota_is_rounded_up(quota: str, cores: int, tmp_path: Path) -> None:
    assert usable_cores({}, cgroup(tmp_path, **{"cpu.max": quota})) == cores


@pytest.mark.parametrize(("quota", "cores"), [("-1", 8), ("300000", 3)])
def test_a_quota_of_the_first_version(quota: str, cores: int, tmp_path: Path) -> None:
    files = {"cpu__cpu.cfs_quota_us": quota, "cpu__cpu.cfs_period_us": "100000"}
    assert usable_cores({}, cgroup(tmp_path, **files)) == cores


@pytest.mark.parametrize(("asked", "cores"), [("4", 4), ("64", 8), ("0", 8), ("", 8), ("many", 8), ("-2", 8)])
def test_what_slurm_was_asked_for(asked: str, cores: int, tmp_path: Path) -> None:
    assert usable_cores({"SLURM_CPUS_PER_TASK": asked}, tmp_path) == cores


def test_this_process_may_use_one_at_least() -> None:
    assert usable_cores() >= 1
