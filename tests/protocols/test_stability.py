"""From where on copies are stable: one definition for forks and for rewinding iterations."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.observation import Observation
from harness.protocols import protocols
from harness.protocols.common.stability import STABLE_FROM, stable_from
from tests.support import Place, claim, instability_text


def stabilities(by_step: Mapping[int, list[float]], axis: str) -> list[float]:
    at = {"arm": "imp", "level": 8, "split": "test", "batch_norm": "interpolated"}
    seen = [
        Observation("instability", {**at, axis: step}, 0, pair, value)
        for step, values in by_step.items()
        for pair, value in enumerate(values)
    ]
    found = stable_from(seen, axis, [0, 100, 500], threshold=2.0, end=800)
    assert all(one.at == at for one in found), "the step is no condition of it"
    return [one.value for one in found]


@pytest.mark.parametrize("axis", ["fork", "rewind"])
@pytest.mark.parametrize(
    ("by_step", "first"),
    [
        ({0: [1.0], 100: [0.5], 500: [2.0]}, [0]),
        ({0: [9.0], 100: [1.0, 2.9], 500: [0.0]}, [100]),
        ({0: [1.0], 100: [9.0], 500: [0.0]}, [500]),
        ({0: [9.0], 100: [9.0], 500: [9.0]}, [800]),
        ({0: [9.0], 500: [0.0]}, []),
    ],
    ids=["from the first", "mean of pairs", "not again", "at none", "one is missing"],
)
def test_stable_from_the_point_after_which_all_are(
    by_step: dict[int, list[float]], first: list[float], axis: str
) -> None:
    assert stabilities(by_step, axis) == first


def test_both_experiments_have_the_one_quantity() -> None:
    imp, instability = (protocols()[name].quantities["stable_from"] for name in ("imp", "instability"))
    assert instability == STABLE_FROM.along("further")
    assert imp == STABLE_FROM.along("arm", "level")


def test_a_claim_on_forks_is_judged_by_the_times_of_initialisations(tmp_path: Path) -> None:
    """With a threshold that every instability keeps, each initialisation is stable from the first fork on."""
    expect = "{kind: at_most, estimand: mean, bound: 0.0}"
    text = instability_text(claim("a", "stable_from", at="{split: train}", expect=expect))
    place = Place(tmp_path)
    said = place.verify(place.write(text.replace("stable_below: 2.0", "stable_below: 100.0")))
    assert said.code == 0, said.out + said.err
    assert "HOLDS" in said.out
