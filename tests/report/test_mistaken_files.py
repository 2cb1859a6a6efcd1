"""A file of another command, given in place of the one that is wanted: what it is and what to do."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import jsonfile
from harness.errors import RequestError
from harness.protocols import protocols
from harness.regress import files
from harness.report.read import read
from harness.report.sensitivity import read as read_sensitivity
from harness.report.verdicts import read_verdicts
from harness.schema.load import load
from tests.support import ROOT, cli

OURS: dict[jsonfile.Kind, Path] = {
    "verdicts": ROOT / "verdicts" / "toy.json",
    "report": ROOT / "reports" / "toy" / "lenet_imp-toy.json",
    "baseline": ROOT / "reports" / "baseline" / "lenet_imp.toy.json",
    "sensitivity": ROOT / "reports" / "sensitivity" / "lenet_stability.toy.json",
}
READERS: dict[jsonfile.Kind, Callable[[Path], object]] = {
    "verdicts": read_verdicts,
    "report": lambda path: read(path, path.name),
    "baseline": files.read,
    "sensitivity": lambda path: read_sensitivity(
        path, load(ROOT / "specs" / "lenet_stability.yaml", protocols()), "toy"
    ),
}
WORDS: dict[jsonfile.Kind, str] = {
    "verdicts": "a verdicts file, as `harness measure` writes",
    "report": "the machine report of a spec, as `harness verify` writes",
    "baseline": "a baseline, as `harness regress --update` writes",
    "sensitivity": "a file of `harness sensitivity`",
}


@pytest.mark.parametrize("wanted", READERS)
@pytest.mark.parametrize("given", OURS)
def test_each_reader_says_what_it_was_given(wanted: jsonfile.Kind, given: jsonfile.Kind) -> None:
    if given == wanted:
        READERS[wanted](OURS[given])
        return
    with pytest.raises(RequestError) as told:
        READERS[wanted](OURS[given])
    words = str(told.value)
    assert str(OURS[given]) in words
    assert f"but {WORDS[given]}" in words
    assert re.search(r"[Ww]rite it again|Remove it|restore the file|write it again", words), "and what to do"
    assert "Field required" not in words


def test_the_gate_tells_a_report_from_verdicts() -> None:
    said = cli("gate", OURS["report"])
    assert said.code == 2
    assert "is no verdicts file but the machine report of a spec" in said.err
    assert "harness measure SPEC... --verdicts FILE" in said.err


@pytest.mark.parametrize("value", [None, [], {}, {"a": 1}, {"a": {"b": 1}}, {"spec": "a", "scale": "b"}])
def test_what_no_command_writes_is_not_named(value: object) -> None:
    assert jsonfile.unlike(value, "verdicts") == ""
