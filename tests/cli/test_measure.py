"""Verdicts as data, and the gate: exit codes, what is told, what is written."""

import json
from pathlib import Path

import pytest

from tests.support import Place, Said, claim, cli, counted, imp_text, instability_text

STANDS = claim("stands")
FALLS = claim("falls", expect="{kind: at_least, bound: 99.0}")
KNOWN = FALLS.replace("falls", "known") + "        known: {verdict: fails, why: An erratum.}\n"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def measured(place: Place, *specs: Path, more: tuple[str, ...] = ()) -> Said:
    where = ("--store", place.store, "--data", place.root / "data", "--verdicts", place.root / "verdicts" / "toy.json")
    return cli("measure", *specs, *where, "--device", "cpu", "--threads", "1", *more)


def gated(place: Place) -> Said:
    return cli("gate", place.root / "verdicts" / "toy.json")


def test_verdicts_are_data_whatever_they_are(place: Place) -> None:
    spec = place.write(instability_text(STANDS, FALLS))
    said = measured(place, spec)
    assert said.code == 0
    found = json.loads((place.root / "verdicts" / "toy.json").read_text())
    assert {name: row["verdict"] for name, row in found["tiny"].items()} == {"stands": "HOLDS", "falls": "FAILS"}
    assert not place.reports.exists()
    gate = gated(place)
    assert gate.code == 1
    assert "tiny.falls: FAILS, " in gate.err
    assert "n = 2" in gate.err
    assert "stands" not in gate.err


def test_what_stands_or_is_known_passes_the_gate(place: Place) -> None:
    assert measured(place, place.write(instability_text(STANDS, KNOWN)), place.write(imp_text())).code == 0
    gate = gated(place)
    assert gate.code == 0, gate.err
    assert "all 3 claims of 2 specs are in order" in gate.out


def test_a_spec_without_a_checked_claim_does_not_pass_the_gate(place: Place) -> None:
    (place.root / "verdicts").mkdir()
    (place.root / "verdicts" / "toy.json").write_text('{"tiny": {}}')
    gate = gated(place)
    assert gate.code == 1
    assert "tiny: no claim is checked" in gate.err


def test_what_verify_ran_is_not_run_again_and_the_other_way_round(place: Place) -> None:
    spec = place.write(instability_text(STANDS))
    assert place.verify(spec).code == 0
    with counted() as jobs:
        assert measured(place, spec, more=("--quiet",)) == Said(0, "", "")
        assert place.verify(spec).code == 0
    assert jobs == []


def test_a_wrong_request_runs_nothing(place: Place) -> None:
    spec = place.write(instability_text())
    assert measured(place, spec, more=("--scale", "moon")).code == 2
    assert cli("measure", spec).code == 2
    assert cli("measure", spec, "--verdicts", place.root).code == 2
    assert place.keys() == set()


def test_a_broken_job_leaves_the_earlier_verdicts_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured(place, place.write(instability_text())).code == 0
    before = (place.root / "verdicts" / "toy.json").read_text()
    said = measured(place, place.write(instability_text().replace("rate: 0.002", "rate: 1.0e+30")))
    assert said.code == 3
    assert "jobs of tiny broke" in said.err
    assert "BROKE" in said.out
    assert (place.root / "verdicts" / "toy.json").read_text() == before


def test_a_gate_without_its_file_is_a_wrong_request(place: Place) -> None:
    said = gated(place)
    assert said.code == 2
    assert "No such file" in said.err
