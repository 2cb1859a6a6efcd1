"""What is under way, in words: of what, under which conditions, in which replicates."""

from pathlib import Path

import pytest

from harness.jobs.job import Job
from harness.pipeline.request import Request
from harness.pipeline.under_way import UnderWay
from tests.support import edited, imp_text, instability_text, quadratic_text, request


@pytest.fixture
def imp(tmp_path: Path) -> Request:
    text = edited(
        edited(imp_text(), "rewinds: [0it]", "rewinds: [0it, 10it]"), "initialisations: 2", "initialisations: 6"
    )
    path = tmp_path / "tiny_imp.yaml"
    path.write_text(text)
    return request(path)


def jobs(
    asked: Request, stage: str, *, level: int, arms: tuple[str, ...] = ("imp",), seeds: set[int] | None = None
) -> list[Job]:
    """The jobs of a stage that are measured at a level, or the states that they measure."""
    measured = [
        measurement
        for measurement in asked.protocol.measurements(asked.setting)
        if measurement.at.get("level") == level
        and measurement.at.get("arm") in arms
        and (seeds is None or measurement.initialisation in seeds)
    ]
    given = (job for measurement in measured for job in (measurement.job, *measurement.job.inputs.values()))
    return [job for job in dict.fromkeys(given) if job.stage == stage]


def test_a_training_is_named_by_what_is_measured_of_it(imp: Request) -> None:
    """Not by the later levels, which rest on it too."""
    words = UnderWay(imp)
    some = jobs(imp, "train", level=1, seeds={0, 1, 2, 3})
    assert words(some) == "training: arm imp, rewind 0it and 10it, level 1, replicates 0-3"
    assert words(jobs(imp, "train", level=1, seeds={4})[:1]) == "training: arm imp, rewind 0it, level 1, replicate 4"


def test_a_measurement_is_named_by_its_conditions(imp: Request) -> None:
    words = UnderWay(imp)
    baselines = jobs(imp, "line", level=2, arms=("random_prune", "random_reinit"), seeds={0, 2, 5})
    expected = "lines: arm random_prune and random_reinit, rewind 0it and 10it, level 2, replicates 0, 2 and 5"
    assert words(baselines) == expected
    every = jobs(imp, "line", level=2, arms=("imp", "random_prune", "random_reinit"), seeds={0, 1, 3, 5})
    assert words(every) == "lines: every arm, rewind 0it and 10it, level 2, replicates 0, 1 ... 5"


def test_what_only_some_of_a_group_have_is_left_out(imp: Request) -> None:
    trunk = next(job for job in imp.plan.jobs.values() if job.stage == "train" and job.params["stop"] == 10)
    group = [trunk, *jobs(imp, "train", level=1, seeds={0})]
    assert UnderWay(imp)(group) == "training: rewind 0it and 10it, replicate 0"


def test_points_in_a_row_are_a_range(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(edited(instability_text(), "forks: [0it, 10it]", "forks: [0it, 10it, 20it, 30it]"))
    asked = request(path)
    lines = [job for job in asked.plan.jobs.values() if job.stage == "line"]
    assert UnderWay(asked)(lines) == "lines: fork 0it to 30it, further remaining, replicates 0-1"


def test_without_conditions_and_without_measurements(imp: Request, tmp_path: Path) -> None:
    path = tmp_path / "tiny_quadratic.yaml"
    path.write_text(quadratic_text())
    quadratic = request(path)
    walks = [job for job in quadratic.plan.jobs.values() if job.stage == "valley_walk"]
    assert UnderWay(quadratic)(walks) == "valley walk: replicates 0-1"
    assert UnderWay(imp)(walks) == "valley walk", "a job of another request"
