"""Durations: a whole number and its unit, nothing else."""

import pytest

from harness.steps import Duration


@pytest.mark.parametrize(
    ("text", "count", "unit"),
    [("2000it", 2000, "it"), ("3ep", 3, "ep"), ("0it", 0, "it"), (" 12 ep ", 12, "ep"), ("007it", 7, "it")],
)
def test_reads_a_number_with_its_unit(text: str, count: int, unit: str) -> None:
    found = Duration.parse(text)
    assert (found.count, found.unit) == (count, unit)
    assert Duration.parse(str(found)) == found


@pytest.mark.parametrize(
    "text",
    ["2000", "2000 its", "it", "-1it", "1.5ep", "1e3it", "3EP", "3 ep 2it", "", "٣ep x", 2000, None, True, ["1it"]],
)
def test_refuses_all_else_and_says_what_to_write(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration: write a whole number with its unit") as error:
        Duration.parse(text)
    assert repr(text) in str(error.value)


def test_epochs_become_iterations_and_iterations_stay() -> None:
    assert Duration(3, "ep").iterations(391) == 1173
    assert Duration(3, "it").iterations(391) == 3
