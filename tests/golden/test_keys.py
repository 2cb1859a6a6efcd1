"""The keys of all jobs of all specs at all scales are those of the golden file."""

from pathlib import Path

import pytest

from tests.golden.bless import golden, keys_of
from tests.support import SPECS


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_keys_of_a_spec_are_the_blessed_ones(path: Path) -> None:
    blessed = {name: value for name, value in golden("keys.json").items() if name.split(".")[0] == path.stem}
    assert keys_of(path) == blessed, (
        "jobs have other keys, so that stores have no results for them: run `make bless` and read its diff; raise the "
        "version in harness/jobs/stages.py if the meaning of a stage changed"
    )


def test_nothing_else_is_blessed() -> None:
    assert {name.split(".")[0] for name in golden("keys.json")} == {path.stem for path in SPECS}
