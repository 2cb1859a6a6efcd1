"""Cores that a process may use: affinity, control groups' quotas, what Slurm was asked for."""

import os
from pathlib import Path

import pytest

from harness.engine.cores import cpu_threads, usable_cores


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)


def seen(folder: Path, own: str = "0::/", environment: dict[str, str] | None = None, **files: str) -> int:
    """Cores where control groups have these files, ``__`` being a folder's end, and the process is in ``own``."""
    for name, text in files.items():
        path = folder / "groups" / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "own").write_text(own)
    return usable_cores(environment or {}, folder / "groups", folder / "own")


@pytest.mark.usefixtures("eight")
def test_the_cores_that_it_may_run_on(tmp_path: Path) -> None:
    assert seen(tmp_path) == 8
    assert usable_cores({}, tmp_path / "absent", tmp_path / "absent") == 8


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("1000 100000", 1), ("9900000 100000", 8), ("", 8)],
)
def test_a_quota_is_rounded_up(quota: str, cores: int, tmp_path: Path) -> None:
    assert seen(tmp_path, **{"cpu.max": quota}) == cores


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/user.slice/run.scope", {"user.slice__run.scope__cpu.max": "200000 100000"}, 2),
        (
            "0::/user.slice/run.scope",
            {"user.slice__cpu.max": "300000 100000", "user.slice__run.scope__cpu.max": "max 100000"},
            3,
        ),
        ("0::/other.slice", {"user.slice__cpu.max": "300000 100000"}, 8),
        (
            "3:cpuset:/\n1:cpu:/job",
            {"cpu__job__cpu.cfs_quota_us": "300000", "cpu__job__cpu.cfs_period_us": "100000"},
            3,
        ),
        (
            "4:cpu,cpuacct:/job",
            {"cpu,cpuacct__job__cpu.cfs_quota_us": "100000", "cpu,cpuacct__job__cpu.cfs_period_us": "50000"},
            2,
        ),
        ("4:cpu,cpuacct:/", {"cpu__cpu.cfs_quota_us": "-1", "cpu__cpu.cfs_period_us": "50000"}, 8),
        ("no control group", {"cpu.max": "400000 100000"}, 4),
    ],
)
def test_the_quota_of_the_groups_that_it_is_in(own: str, files: dict[str, str], cores: int, tmp_path: Path) -> None:
    assert seen(tmp_path, own, **files) == cores


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("asked", "cores"), [("4", 4), ("64", 8), ("0", 8), ("", 8), ("many", 8), ("-2", 8), ("9" * 5000, 8)]
)
def test_what_slurm_was_asked_for(asked: str, cores: int, tmp_path: Path) -> None:
    assert seen(tmp_path, environment={"SLURM_CPUS_PER_TASK": asked}) == cores


def test_this_process_may_use_one_at_least_and_no_more_than_there_are() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


def test_threads_are_those_asked_for_or_no_more_than_cores() -> None:
    assert cpu_threads(7) == 7
    assert 1 <= cpu_threads(None) <= usable_cores()
