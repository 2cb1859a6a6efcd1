"""Iterations a second: those of late, whatever a checkpoint gave at once."""

import pytest

from harness.cli.pace import Pace


def test_it_is_the_rate_of_late() -> None:
    pace = Pace(0.0)
    for second in range(1, 20):
        pace.after(float(second), 100 * second)
    for second in range(20, 40):
        rate = pace.after(float(second), 2_000 + 500 * (second - 20))
    assert rate == pytest.approx(500)


def test_nothing_is_said_before_enough_was_seen() -> None:
    pace = Pace(0.0)
    assert pace.after(0.1, 1_000) is None
    assert pace.after(1.0, 10_000) is None


def test_what_a_checkpoint_gives_counts_for_nothing() -> None:
    pace = Pace(0.0)
    for second in range(1, 6):
        rate = pace.after(float(second), 1_000_000 + 10 * second)
    assert rate == pytest.approx(10)


def test_where_nothing_trains_there_is_no_rate() -> None:
    pace = Pace(0.0)
    for second in range(30):
        rate = pace.after(float(second), min(second, 5))
    assert rate is None


def test_after_a_silence_nothing_is_said() -> None:
    pace = Pace(0.0)
    for second in range(10):
        pace.after(float(second), 100 * second)
    assert pace.after(300.0, 1_100) is None
