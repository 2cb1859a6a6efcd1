"""An experiment with a stage of its own from one folder outside: listed, validated, run, guarded, reported, conforming.

No other file is edited for it: in this test, nothing but that folder is on the path besides the harness.
"""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.plugin.lab import LAB, Lab, installed

SPEC = "tiny_participation.yaml"
WHERE = ("--device", "cpu", "--threads", "1", "--report", "reports")
GUARD = ("harness", "regress", SPEC, "--baseline", "baseline", *WHERE)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    work = tmp_path_factory.mktemp("work")
    (work / SPEC).write_text((LAB / "tiny.yaml").read_text())
    return Lab(installed(tmp_path_factory.mktemp("lab"), "lab_participation", LAB), work)


def test_it_is_listed_and_validated(lab: Lab) -> None:
    listed = lab.run("harness", "list", ".")
    assert listed.returncode == 0, listed.stderr
    assert "(participation; toy)" in listed.stdout
    assert "participation, quadratic_approximation" in " ".join(listed.stdout.split())
    validated = lab.run("harness", "validate", SPEC)
    assert f"{SPEC}: 1 claim, scales toy" in validated.stdout, validated.stderr


def test_it_is_run_in_worker_processes_and_reported_with_its_provenance(lab: Lab) -> None:
    said = lab.run("harness", "verify", SPEC, *WHERE, "--workers", "2", "--store", "store")
    assert said.returncode == 0, said.stderr
    assert "HOLDS" in said.stdout
    outcome = json.loads((lab.work / "reports" / "tiny_participation-toy.json").read_text())
    (words,) = outcome["provenance"]["results made by"]["packages outside"]
    assert words.startswith("lab_participation (lab_participation) 1.0, sources ")
    assert "How many weights carry the network" in (lab.work / "reports" / "tiny_participation-toy.html").read_text()
    records = [json.loads(path.read_text()) for path in (lab.work / "store").glob("jobs/*/*/record.json")]
    assert "participation" in {record["job"]["stage"] for record in records}
    digests = {record["provenance"]["outside"]["lab_participation (lab_participation)"]["digest"] for record in records}
    assert [digest[:12] for digest in digests] == [words.rsplit(" ", 1)[-1]]


def test_the_guard_notices_a_planted_change(lab: Lab, tmp_path: Path) -> None:
    made = lab.run(*GUARD, "--update", "--reason", "first baseline", "--replicates", "6")
    assert made.returncode == 0, made.stderr
    same = lab.run(*GUARD)
    assert same.returncode == 0, same.stdout + same.stderr
    changed = Lab(installed(tmp_path / "lab", "lab_participation", LAB), lab.work)
    stage = changed.path / "lab_participation" / "stage.py"
    stage.write_text(stage.read_text().replace("second**2 / fourth", "second**2 / fourth * 1.001"))
    noticed = changed.run(*GUARD)
    assert noticed.returncode == 1, noticed.stdout + noticed.stderr
    cases = ET.parse(lab.work / "reports" / "regress.xml").getroot().iter("testcase")
    alarms = [f"{case.get('name')}: {one.get('message')}" for case in cases for one in case.iter("failure")]
    assert any("mean of ratio, participation of (train 0it → 10it" in alarm for alarm in alarms), alarms


def test_it_goes_through_the_conformance_tests(lab: Lab) -> None:
    command = ("pytest", "--pyargs", "harness.conformance", "-k", "participation", "-q", "-p", "no:cacheprovider")
    said = lab.run(*command, "--basetemp", lab.work / "pytest")
    assert said.returncode == 0, said.stdout
    last = said.stdout.splitlines()[-1]
    assert "failed" not in last
    assert int(last.split(" passed")[0].split()[-1]) >= 15, said.stdout


def test_conformance_tests_find_what_is_wrong(lab: Lab, tmp_path: Path) -> None:
    """A setting that decides nothing, and a fingerprint that there is none of."""
    wrong = Lab(installed(tmp_path / "lab", "lab_participation", LAB), lab.work)
    for name, old, new in (
        ("protocol.py", "    times: Many[Time]", "    unused: int = 3\n    times: Many[Time]"),
        ("__init__.py", '"means of columns"', '"medians of columns"'),
    ):
        path = wrong.path / "lab_participation" / name
        path.write_text(path.read_text().replace(old, new))
    command = ("pytest", "--pyargs", "harness.conformance", "-k", "participation and not result", "-q")
    said = wrong.run(*command, "-p", "no:cacheprovider", "--basetemp", tmp_path / "pytest")
    assert said.returncode == 1
    for name in ("documented_with_their_origins", "every_setting_of_the_protocol", "its_stages_are_in_the_table"):
        assert f"::test_{name}" in said.stdout or name in said.stdout, said.stdout
