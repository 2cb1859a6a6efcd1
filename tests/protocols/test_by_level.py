"""Stability and matching by level of pruning, of times that are told by hand."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from harness.judging.cautions import censoring
from harness.observation import Observation
from harness.protocols.common.matching import matching_from
from harness.protocols.imp.by_level import falls_at_stability, lags, matching_to

REWINDS = [0, 11, 44, 110]
END = 800


def times(quantity: str, by_level: Mapping[int, float], arm: str = "imp", **at: Any) -> list[Observation]:
    return [
        Observation(quantity, {"arm": arm, "level": level, "split": "test", **at}, 0, 0, value)
        for level, value in by_level.items()
    ]


@pytest.mark.parametrize(
    ("stable", "matching", "steps"),
    [(44, 44, 0), (44, 110, 1), (110, 0, -3), (110, END, 1), (11, END, 3)],
    ids=["together", "a step later", "long before", "at none, by a step", "at none, by three"],
)
def test_a_lag_is_in_steps_of_the_grid(stable: float, matching: float, steps: int) -> None:
    found = list(
        lags(
            times("stable_from", {4: stable, 7: 0.0}, batch_norm="recomputed"),
            times("matching_from", {4: matching}),
            REWINDS,
        )
    )
    assert [(one.at["level"], one.at["batch_norm"], one.value) for one in found] == [(4, "recomputed", steps)]


def test_a_lag_of_what_has_no_value_has_none() -> None:
    nothing = [Observation("matching_from", {"arm": "imp", "level": 4, "split": "test"}, 0, 0, math.nan, why="no sd")]
    (lag,) = lags(times("stable_from", {4: 11.0}, batch_norm="interpolated"), nothing, REWINDS)
    assert lag.why == "no sd"


def test_what_is_never_stable_and_never_matches_is_not_together() -> None:
    (lag,) = lags(times("stable_from", {4: END}, batch_norm="recomputed"), times("matching_from", {4: END}), REWINDS)
    assert lag.why is not None
    assert "neither stable nor matching" in lag.why


def courses(errors: Sequence[float]) -> list[Observation]:
    """Two copies, a point apart on either side of each error."""
    return [
        Observation(
            "error", {"arm": "imp", "level": 4, "split": "test", "rewind": rewind}, 0, copy, error + copy * 2 - 1
        )
        for rewind, error in zip(REWINDS, errors, strict=True)
        for copy in (0, 1)
    ]


@pytest.mark.parametrize(
    ("stable", "step", "fall"),
    [(44, 2, 6.0 - 1.5), (110, 3, 1.0 - 4.0), (11, 1, 2.0 - 3.5)],
    ids=["falls when it becomes stable", "after the fall", "before it"],
)
def test_how_much_more_error_falls_at_stability_than_at_other_steps(stable: int, step: int, fall: float) -> None:
    """Errors of 20, 18, 12 and 11: the fall is from 11 to 44."""
    found = falls_at_stability(
        times("stable_from", {4: stable}, batch_norm="recomputed"), courses([20.0, 18.0, 12.0, 11.0]), REWINDS
    )
    assert {one.quantity: one.value for one in found} == {
        "steps_until_stable": step,
        "fall_at_stability": pytest.approx(fall),
    }


@pytest.mark.parametrize(("stable", "step", "why"), [(0, 0, "from the first"), (END, 4, "from no rewinding")])
def test_no_fall_where_no_step_is_at_stability(stable: int, step: int, why: str) -> None:
    found = falls_at_stability(
        times("stable_from", {4: stable}, batch_norm="recomputed"), courses([20.0, 18.0, 12.0, 11.0]), REWINDS
    )
    steps, fall = found
    assert steps.value == step
    assert fall.why is not None
    assert why in fall.why


@pytest.mark.parametrize(
    ("by_level", "sparsest"),
    [({1: 0.1, 4: 0.5, 7: 0.6}, 4), ({1: 2.0, 4: 2.0}, 0), ({1: 2.0, 4: 0.0, 7: 2.0}, 4), ({1: 0.0, 7: -1.0}, 7)],
    ids=["then no more", "at none", "the most extreme one", "up to the last"],
)
def test_matching_to_the_most_extreme_level(by_level: dict[int, float], sparsest: int) -> None:
    """At the best rewinding iteration, over levels that every arm has; the full network is none."""
    name = "best_drop_beyond_sd"
    other = times(name, {0: -1.0, **dict.fromkeys(by_level, 0.0), 9: 0.0}, arm="random_prune")
    lost = times(name, {1: 0.0}, arm="random_reinit")
    found = matching_to([*times(name, by_level), *other, *lost], [0, *by_level], within=0.5)
    assert {one.at["arm"]: one.value for one in found} == {"imp": sparsest, "random_prune": max(by_level)}


def test_matching_to_without_a_deviation_says_so() -> None:
    at = {"arm": "imp", "level": 4, "split": "test"}
    (to,) = matching_to([Observation("best_drop_beyond_sd", at, 0, 0, math.nan, why="no sd")], [4], within=0.5)
    assert to.why == "no sd"


def beyond(by_rewind: Mapping[int, Sequence[float]]) -> list[Observation]:
    at = {"arm": "imp", "level": 4, "split": "test"}
    return [
        Observation("drop_beyond_sd", {**at, "rewind": rewind}, 0, repeat, value)
        for rewind, values in by_rewind.items()
        for repeat, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("last", "first"), [([0.1, 0.9], 44), ([0.1, 1.1], END)], ids=["the mean of copies within", "the mean beyond"]
)
def test_matching_from_where_the_mean_of_copies_stays_within_the_margin(last: list[float], first: int) -> None:
    seen = beyond({0: [0.0, 0.0], 11: [0.6, 0.6], 44: [-1.0, 1.0], 110: last})
    (found,) = matching_from(seen, REWINDS, within=0.5, end=END)
    assert found.value == first


def test_censored_values_are_counted_on_both_sides() -> None:
    ones = {0: {0: 44.0}, 1: {0: 800.0}, 2: {0: 800.0}}
    (words,) = censoring([ones, {0: {0: 110.0}, 1: {0: 800.0}}], [800.0, 800.0])
    assert words.startswith("3 of 5 values are censored: 800 stands for")
    assert censoring([ones], [None]) == ()
    assert censoring([{0: {0: 44.0}}], [800.0]) == ()
