"""Experiments are found by their names, each with its folder."""

import pytest

from harness.protocols import folder_of, protocols


@pytest.mark.parametrize("name", sorted(protocols()))
def test_an_experiment_has_a_folder_with_its_tiny_spec(name: str) -> None:
    assert f"protocol: {name}\n" in (folder_of(name) / "tiny.yaml").read_text()


def test_a_name_that_no_experiment_has_is_told_with_those_there_are() -> None:
    with pytest.raises(KeyError, match=r"there is no experiment 'no-such': known are .*edge_of_stability, .*imp,"):
        folder_of("no-such")
