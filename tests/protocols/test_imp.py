"""What IMP's observations are made of."""

from harness.observation import Observation
from harness.protocols.imp.derived import best_drops


def drops(values: dict[int, list[float]]) -> list[Observation]:
    """Rewinding iteration -> accuracy drop of each initialisation."""
    at = {"arm": "imp", "level": 3, "split": "test"}
    return [
        Observation("accuracy_drop", {**at, "rewind": rewind}, seed, 0, value)
        for rewind, ones in values.items()
        for seed, value in enumerate(ones)
    ]


def best(values: dict[int, list[float]]) -> list[float]:
    return [one.value for one in best_drops(drops(values))]


def test_the_best_rewinding_iteration_is_where_the_drop_is_least() -> None:
    assert best({0: [3.0, 3.1, 2.9], 100: [0.1, 0.2, 0.3], 200: [1.0, 1.0, 1.0]}) == [0.1, 0.2, 0.3]


def test_no_initialisation_chooses_by_its_own_luck() -> None:
    """Each is lucky at one place; by the others it is sent to a place where it is not."""
    assert best({0: [-1.0, 1.0, 1.0], 100: [1.0, -1.0, 1.0], 200: [1.0, 1.0, -1.0]}) == [1.0, 1.0, 1.0]


def test_a_single_initialisation_has_no_others() -> None:
    assert best({0: [2.0], 100: [1.0]}) == [1.0]
