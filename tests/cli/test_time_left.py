"""The time left: nothing before enough was seen, then what the rate of the last minute says."""

import pytest

from harness.cli import show
from harness.cli.time_left import TimeLeft
from harness.execution.run import Progress


def test_nothing_is_said_before_enough_was_seen() -> None:
    """A minute's run whose first unit took a second was said to take hours."""
    left = TimeLeft(100.0)
    assert left.after(101.0, 1, 60_000) is None
    assert left.after(110.0, 900, 60_000) is None
    assert left.after(104.0 + 16, 20_000, 60_000) == pytest.approx(40.0)


def test_not_before_five_seconds_however_much_is_done() -> None:
    left = TimeLeft(0.0)
    assert left.after(4.0, 90, 100) is None
    assert left.after(6.0, 90, 100) == pytest.approx(6 * 10 / 90)


def test_a_long_run_is_told_of_after_a_minute() -> None:
    left = TimeLeft(0.0)
    for second in range(1, 60):
        assert left.after(float(second), second, 1_000_000) is None
    assert left.after(61.0, 61, 1_000_000) == pytest.approx(1_000_000, rel=0.01)


def test_it_follows_the_rate_of_late() -> None:
    left = TimeLeft(0.0)
    left.after(0.1, 500, 1_000)  # from a checkpoint
    for second in range(1, 200):
        found = left.after(float(second), 500 + second, 1_000)
    assert found == pytest.approx(1_000 - 699, rel=0.05)


def test_standing_still_says_nothing() -> None:
    left = TimeLeft(0.0)
    for second in range(300):
        found = left.after(float(second), min(second, 50), 100)
    assert found is None


def test_lines_tell_no_time_at_the_start_of_a_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(show.time, "monotonic", lambda: clock[0])
    with show.progress_of("spec", quiet=False) as tell:
        for clock[0], done in ((21.0, 1), (42.0, 5_000)):
            tell(Progress(done, 10_000, ["training: level 3"]))
    first, second = capsys.readouterr().err.splitlines()
    assert first == "spec: 0% (training: level 3)"
    assert second == "spec: 50%, about 42 s left (training: level 3)"
