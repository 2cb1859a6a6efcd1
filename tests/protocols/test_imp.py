"""What IMP's observations are made of."""

import math

import pytest

from harness.observation import NoValue, Observation
from harness.protocols.common.matching import beyond_sd, deviation
from harness.protocols.common.matching import drops as drops_of
from harness.protocols.imp.derived import at_best_rewind


def drops(values: dict[int, list[float]]) -> list[Observation]:
    """Rewinding iteration -> accuracy drop of each initialisation."""
    at = {"arm": "imp", "level": 3, "split": "test"}
    return [
        Observation("accuracy_drop", {**at, "rewind": rewind}, seed, 0, value)
        for rewind, ones in values.items()
        for seed, value in enumerate(ones)
    ]


def best(values: dict[int, list[float]]) -> list[float]:
    return [one.value for one in at_best_rewind(drops(values), "accuracy_drop")]


def test_the_best_rewinding_iteration_is_where_the_drop_is_least() -> None:
    assert best({0: [3.0, 3.1, 2.9], 100: [0.1, 0.2, 0.3], 200: [1.0, 1.0, 1.0]}) == [0.1, 0.2, 0.3]


def test_no_initialisation_chooses_by_its_own_luck() -> None:
    """Each is lucky at one place; by the others it is sent to a place where it is not."""
    assert best({0: [-1.0, 1.0, 1.0], 100: [1.0, -1.0, 1.0], 200: [1.0, 1.0, -1.0]}) == [1.0, 1.0, 1.0]


def test_a_single_initialisation_has_no_others() -> None:
    assert best({0: [2.0], 100: [1.0]}) == [1.0]


def test_each_arm_has_its_own_best_rewinding_iteration() -> None:
    """At its best point by the others, never by its own luck; the modes of normalisation are apart."""
    seen = [
        Observation("instability", {**at, "arm": arm, "rewind": rewind, "level": 3, "split": "test"}, seed, 0, value)
        for arm, rewinds in {"imp": {0: [8.0, 9.0], 100: [1.0, 2.0]}, "random_prune": {0: [30.0], 100: [40.0]}}.items()
        for rewind, values in rewinds.items()
        for seed, value in enumerate(values)
        for at in ({"batch_norm": "interpolated"},)
    ]
    found = at_best_rewind(seen, "instability")
    assert {one.quantity for one in found} == {"best_instability"}
    assert [(one.at["arm"], one.value) for one in found] == [("imp", 1.0), ("imp", 2.0), ("random_prune", 30.0)]
    assert found[0].at == {"arm": "imp", "level": 3, "split": "test", "batch_norm": "interpolated"}


def accuracies(full: list[float], pruned: list[float]) -> list[Observation]:
    at = {"arm": "imp", "rewind": 0, "split": "test"}
    return [
        Observation("accuracy", {**at, "level": level}, seed, 0, value)
        for level, values in ((0, full), (1, pruned))
        for seed, value in enumerate(values)
    ]


def test_a_drop_is_held_against_the_full_networks_own_deviation() -> None:
    seen = accuracies([90.0, 91.0, 92.0], [88.0, 91.0, 93.0])
    drops = drops_of(seen)
    beyond = {one.initialisation: one.value for one in beyond_sd(seen, drops) if one.at["level"] == 1}
    assert beyond == {0: 1.0, 1: -1.0, 2: -2.0}
    best = beyond_sd(seen, at_best_rewind(drops, "accuracy_drop"))
    assert {one.quantity for one in best} == {"best_drop_beyond_sd"}
    assert [one.value for one in best if one.at["level"] == 1] == [1.0, -1.0, -2.0]


def test_a_single_initialisation_has_no_deviation() -> None:
    seen = accuracies([90.0], [88.0])
    (one,) = (one for one in beyond_sd(seen, drops_of(seen)) if one.at["level"] == 1)
    assert math.isnan(one.value)
    assert one.why == "a single initialisation tells no standard deviation of the full network"


def test_a_deviation_is_that_of_single_trainings() -> None:
    """Orders count as initialisations do: 100 of them, of deviation 3 between and 4 inside, give about 5."""
    from harness import seeds

    between = 3 * seeds.normal(seeds.stream("test", "between"), 100).double()
    inside = 4 * seeds.normal(seeds.stream("test", "inside"), 300).double().reshape(100, 3)
    assert deviation((between[:, None] + inside).tolist()) == pytest.approx(5, rel=0.1)
    assert isinstance(deviation([]), NoValue)
