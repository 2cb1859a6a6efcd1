"""What follows from several tables of copies, of numbers that are reckoned by hand."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import RequestError
from harness.observation import Condition, Observation
from harness.protocols.common.base import Measurement
from harness.protocols.common.relations import grounds, relations, split_gaps, unrelated
from harness.protocols.imp.derived import over_imp, relative_distances
from harness.protocols.instability.derived import trends
from harness.schema.model import Replicates
from tests.stages.bench import setting
from tests.support import claim, instability_text, request

HERE = replace(setting(), replicates=Replicates(initialisations=1, orders=3, pairing="all"))
TEST: Mapping[str, Any] = {"split": "test"}


def seen(quantity: str, value: float, repeat: int = 0, seed: int = 0, why: str | None = None, **at: Any) -> Observation:
    return Observation(quantity, at, seed, repeat, value, why=why)


def values(found: Iterable[Observation], name: str) -> dict[tuple[Condition, ...], float]:
    """Conditions in the order of their axes, initialisation and replicate -> value."""
    return {
        (*(one.at[axis] for axis in sorted(one.at)), one.initialisation, one.repeat): one.value
        for one in found
        if one.quantity == name
    }


def related(*observations: Observation) -> list[Observation]:
    return list(relations(HERE, observations, "fork"))


def test_gaps_are_of_one_pair() -> None:
    pair = [
        seen("instability", value, repeat, fork=0, split=split)
        for repeat, (train, test) in enumerate([(9.0, 4.0), (1.0, 2.5)])
        for split, value in (("train", train), ("test", test))
    ]
    assert values(related(*pair), "instability_gap") == {(0, 0, 0): 5.0, (0, 0, 1): -1.5}
    assert list(split_gaps(pair[:1], "instability", "instability_gap")) == [], "one split alone has no gap"


def test_what_is_kept_is_over_the_mean_of_the_copies_from_0_of_the_same_initialisation() -> None:
    found = related(
        seen("disagreements", 10, 0, fork=0, **TEST),
        seen("disagreements", 30, 1, fork=0, **TEST),
        seen("disagreements", 5, 0, fork=8, **TEST),
        seen("disagreements", 7, 0, fork=0, split="train"),
        seen("disagreements", 5, 0, seed=1, fork=8, **TEST),
    )
    assert values(found, "disagreements_kept") == {(8, "test", 0, 0): 0.25}


def test_a_distance_below_0_by_rounding_is_none() -> None:
    """As of a state and itself, where copies part at the end."""
    found = related(seen("cosine_distance", 0.5, fork=0), seen("cosine_distance", -1e-12, fork=8))
    assert values(found, "cosine_distance_kept") == {(8, 0, 0): 0.0}


def test_what_has_no_value_keeps_its_reason() -> None:
    found = related(seen("cosine_distance", 0.5, fork=0), seen("cosine_distance", math.nan, fork=8, why="no direction"))
    assert [one.why for one in found if one.quantity == "cosine_distance_kept"] == ["no direction"]


def test_differences_as_a_share_of_what_errors_allow() -> None:
    """A tenth and a twentieth of the test images wrong: copies can differ in 15 % of them, and do in 5 %."""
    images = HERE.recipe.data.n_test
    errors = [seen("error", error, order, fork=0, **TEST) for order, error in enumerate((10.0, 5.0))]
    differing = seen("disagreements", 0.05 * images, fork=0, **TEST)
    assert HERE.replicates.pairs[0] == (0, 1)
    assert values(related(*errors, differing), "share_of_differences") == {(0, "test", 0, 0): pytest.approx(1 / 3)}
    assert values(related(errors[0], differing), "share_of_differences") == {}
    right = [seen("error", 0.0, order, fork=0, **TEST) for order in range(2)]
    (none,) = [one for one in related(*right, differing) if one.quantity == "share_of_differences"]
    assert none.why == "the number of examples that the copies have wrong is 0"


def test_the_way_ahead_is_over_the_way_behind() -> None:
    ways = [seen("travel_before", 2.0, fork=8), seen("travel_before", 0.0, fork=0)]
    ends = [seen("travel_after", 6.0, 0, fork=8), seen("travel_after", 4.0, 1, fork=8), seen("travel_after", 9, fork=0)]
    assert values(related(*ways, *ends), "way_ahead") == {(8, 0, 0): 3.0, (8, 0, 1): 2.0}


@pytest.mark.parametrize(
    ("quantity", "at", "steps", "word"),
    [
        ("l2_distance_kept", {"fork": 8}, [0, 8], None),
        ("l2_distance_kept", {"fork": 8}, [8], "add 0it to settings.forks"),
        ("l2_distance_kept", {"fork": 0}, [0, 8], "later fork"),
        ("way_ahead", {"fork": 8}, [8], None),
        ("way_ahead", {"fork": 0}, [0], "later fork"),
        ("relative_distance", {"fork": 0}, [0], None),
        ("relative_distance", {"fork": 8}, [8], "add 0it"),
        ("instability_gap", {"fork": 0}, [0], None),
    ],
)
def test_what_a_setting_does_not_tell(
    quantity: str, at: Mapping[str, Condition], steps: list[int], word: str | None
) -> None:
    found = unrelated(quantity, "fork", at, steps)
    assert found is None if word is None else word in str(found)


def test_what_is_held_against_the_copies_from_0_waits_for_them() -> None:
    first, other, mine = (
        Measurement(lambda measured: (), None, {"fork": fork}, 0)  # type: ignore[arg-type]
        for fork in (0, 5, 10)
    )
    asked = [
        [grounds(quantity, "fork", {"fork": 10}, one) for one in (first, other, mine)]
        for quantity in ("l2_distance_kept", "l2_distance")
    ]
    assert asked == [[True, False, True], [False, False, True]]


def falling(law: Mapping[int, float], distance: str = "l2") -> list[Observation]:
    return [seen(f"{distance}_distance", value, fork=fork) for fork, value in law.items()]


def test_a_fall_with_the_logarithm_is_told_from_one_with_k() -> None:
    forks = [10, 40, 160]
    logarithmic = falling({fork: 20 - 2 * math.log(fork) for fork in forks})
    straight = falling({fork: 20 - 0.1 * fork for fork in forks}, "cosine")
    found = values(trends([*logarithmic, *straight], forks), "distance_trend")
    assert found["log_k", "l2", 0, 0] == pytest.approx(-1)
    assert found["k", "cosine", 0, 0] == pytest.approx(-1)
    assert found["k", "l2", 0, 0] == found["log_k", "cosine", 0, 0] == pytest.approx(-150 / math.sqrt(2 * 12600))


def test_pairs_of_an_initialisation_are_averaged_before_their_trend() -> None:
    pairs = [
        seen("l2_distance", level + noise, repeat, fork=fork)
        for fork, level in ((1, 3.0), (2, 2.0), (4, 1.0))
        for repeat, noise in enumerate((-0.5, 0.5))
    ]
    assert values(trends(pairs, [1, 2, 4]), "distance_trend")["log_k", "l2", 0, 0] == pytest.approx(-1)


def test_no_trend_of_too_few_or_of_equal_distances() -> None:
    law = {1: 3.0, 2: 2.0, 4: 1.0}
    assert list(trends(falling(law), [1, 2])) == []
    assert list(trends(falling({1: 3.0, 2: 2.0}), [1, 2, 4])) == [], "one is missing"
    flat = list(trends(falling(dict.fromkeys(law, 1.0)), list(law)))
    assert {one.why for one in flat} == {"the distances between copies are all equal"}
    lost = [*falling({1: 3.0, 2: 2.0}), seen("l2_distance", math.nan, fork=4, why="no direction")]
    assert {one.why for one in trends(lost, [1, 2, 4])} == {"a distance between copies has no value"}


def test_a_trend_of_too_few_forks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "few.yaml"
    path.write_text(instability_text(claim("a", "distance_trend", "{}", "{kind: at_most, bound: 0}")))
    with pytest.raises(RequestError, match="a trend needs 3 forks after 0 before the rate drops"):
        request(path)


def test_arms_are_held_against_imp() -> None:
    at: dict[str, Any] = {"rewind": 0, "level": 2, "split": "test"}
    found = over_imp(
        [
            seen("loss_distance", 2.0, 0, arm="imp", **at),
            seen("loss_distance", 4.0, 1, arm="imp", **at),
            seen("loss_distance", 6.0, 0, arm="random_prune", **at),
            seen("loss_distance", 6.0, 0, seed=1, arm="random_prune", **at),
        ]
    )
    expected = {("imp", 0): 2 / 3, ("imp", 1): 4 / 3, ("random_prune", 0): 2.0}
    assert {(one.at["arm"], one.repeat): one.value for one in found} == pytest.approx(expected)


def test_sparse_copies_are_held_against_the_way_of_those_rewound_to_0() -> None:
    found = relative_distances(
        [
            seen("travel_after", 8.0, 0, rewind=0, level=2),
            seen("travel_after", 12.0, 1, rewind=0, level=2),
            seen("travel_after", 1.0, 0, rewind=5, level=2),
            seen("l2_distance", 5.0, arm="imp", rewind=5, level=2),
            seen("l2_distance", 5.0, arm="random_prune", rewind=5, level=2),
            seen("l2_distance", 5.0, arm="imp", rewind=5, level=4),
        ]
    )
    assert values(found, "relative_distance") == {(2, 5, 0, 0): 0.5}
