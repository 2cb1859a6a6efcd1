"""The time left: the forecast's at first, then corrected by how long the run really takes; it does not grow."""

import random

import pytest

from harness.cli import show
from harness.cli.time_left import TimeLeft
from harness.execution.run import Progress


def test_at_first_it_is_the_forecast() -> None:
    left = TimeLeft(100.0)
    assert left.after(100.5, 0.0, 240.0) == pytest.approx(240.0, rel=0.05)


def test_it_follows_what_the_work_really_takes() -> None:
    """A machine of half the speed: what is told waits until the rest takes so long, and is right from then on."""
    left, told = TimeLeft(0.0), []
    for second in range(1, 901):
        told.append(left.after(float(second), second / 2, 600.0))
    assert told[299] == told[9] < 620
    assert told[-1] == pytest.approx(2 * (600 - 450), rel=0.1)


def test_it_does_not_grow_though_the_speed_wavers() -> None:
    left, generator = TimeLeft(0.0), random.Random(1)
    done, told = 0.0, []
    for second in range(1, 400):
        done += generator.choice([0.2, 1.5])
        told.append(left.after(float(second), min(done, 340.0), 340.0))
    assert told == sorted(told, reverse=True)
    assert told[-1] is not None
    assert told[-1] < 20


def test_it_says_so_when_a_run_becomes_much_slower() -> None:
    left = TimeLeft(0.0)
    for second in range(1, 61):
        before = left.after(float(second), float(second), 600.0)
    for second in range(61, 600):
        after = left.after(float(second), 60 + (second - 60) / 10, 600.0)
    assert before is not None
    assert after is not None
    assert after > 2 * before


def test_work_from_a_checkpoint_is_no_speed() -> None:
    left = TimeLeft(0.0)
    left.after(0.1, 500.0, 1_000.0)
    for second in range(1, 701):
        told = left.after(float(second), 500.0 + second / 2, 1_000.0)
    assert told == pytest.approx(2 * (500 - 350), rel=0.1)


def test_work_that_is_told_in_lumps_is_a_speed() -> None:
    """One process tells each second, the other at the end of its jobs of a minute; both exactly as forecast."""
    left, told = TimeLeft(0.0), None
    for second in range(1, 301):
        told = left.after(float(second), second / 2 + 30 * (second // 60), 600.0)
    assert told == pytest.approx(300, rel=0.05)


def test_of_units_of_work_the_speed_tells() -> None:
    left = TimeLeft(0.0)
    assert left.after(4.0, 20.0, 10_000.0, forecast=False) is None
    assert left.after(30.0, 150.0, 10_000.0, forecast=False) is None
    for second in range(31, 61):
        told = left.after(float(second), 100.0 * second, 10_000.0, forecast=False)
    assert told == pytest.approx(40.0, rel=0.1)


def test_nothing_is_said_of_no_work() -> None:
    assert TimeLeft(0.0).after(1.0, 0.0, 0.0) is None


def test_lines_tell_the_time_left_from_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(show.time, "monotonic", lambda: clock[0])
    with show.progress_of("spec", quiet=False) as tell:
        for clock[0], done in ((21.0, 21.0), (42.0, 42.0)):
            tell(Progress(done, 84.0, ["training: level 3"]))
    first, second = capsys.readouterr().err.splitlines()
    assert first == "spec: 25%, about 1 min 3 s left (training: level 3)"
    assert second == "spec: 50%, about 42 s left (training: level 3)"
