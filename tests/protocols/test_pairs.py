"""What a line between copies tells: its rise is over the copies' own errors, whatever the statistics on it are."""

import math
from typing import Any

import pytest

from harness.jobs.job import Job
from harness.protocols.common.base import Measured, Measurement
from harness.protocols.common.pairs import on_line
from harness.protocols.common.recipe import LineOptions, Recipe
from tests.stages.bench import setting

HERE = setting()
START = HERE.recipe.trunk(0, 6)
A, B = (HERE.recipe.train(START, 6, 14, order=Recipe.copy_order(0, order)) for order in range(2))
LINES = {"interpolated": [2.0, 40.0, 4.0], "recomputed": [10.0, 20.0, 12.0]}
EVALUATIONS = {A.key: 2.0, B.key: 4.0}


def rises(*modes: str, lost: bool = False, quantity: str = "instability") -> dict[Any, float]:
    """Mode -> instability, or what else is told, of a line with three points."""
    columns = [
        (mode, alpha, error) for mode in modes for alpha, error in zip((0.0, 0.5, 1.0), LINES[mode], strict=True)
    ]
    table = {
        "batch_norm": [mode for mode, _, _ in columns],
        "alpha": [alpha for _, alpha, _ in columns],
        "error": [error for _, _, error in columns],
        "split": ["test"] * len(columns),
    }

    def read(job: Job) -> dict[str, list[Any]] | None:
        assert job.stage == "evaluate"
        return None if lost else {"split": ["test"], "error": [EVALUATIONS[job.inputs["state"].key]]}

    line = HERE.recipe.line(A, B, LineOptions(alphas=3))
    seen = on_line(Measured(HERE, Measurement(on_line, line, {}, 0), table, read))
    return {one.at["batch_norm"]: one.value for one in seen if one.quantity == quantity}


def test_both_modes_subtract_the_copies_own_errors() -> None:
    assert rises("interpolated", "recomputed") == {"interpolated": 37.0, "recomputed": 17.0}
    assert rises("recomputed", "interpolated") == {"interpolated": 37.0, "recomputed": 17.0}


def test_without_interpolated_statistics_the_copies_are_evaluated() -> None:
    assert rises("recomputed") == {"recomputed": 17.0}
    assert rises("recomputed", lost=True) == {}, "of one copy alone nothing is known"


def test_the_copies_are_on_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recomputing may lower all errors between; the rise is not negative then."""
    monkeypatch.setitem(LINES, "recomputed", [1.0, 1.0, 1.0])
    assert rises("interpolated", "recomputed")["recomputed"] == 1.0


def test_guessing_bounds_what_a_rise_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of C classes guessing is wrong in (C - 1)/C of the examples: from 3 % there are 87 points to go with ten."""
    room = 100 - 100 / HERE.recipe.classes - 3.0
    assert rises("interpolated", quantity="share_of_guessing") == {"interpolated": pytest.approx(37.0 / room)}
    monkeypatch.setitem(LINES, "interpolated", [2.0, 3.0 + room, 4.0])
    assert rises("interpolated", quantity="share_of_guessing") == {"interpolated": pytest.approx(1.0)}


def test_copies_that_guess_have_no_share_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LINES, "interpolated", [95.0, 96.0, 97.0])
    (share,) = rises("interpolated", quantity="share_of_guessing").values()
    assert math.isnan(share), "no number, whose reason the report tells"
