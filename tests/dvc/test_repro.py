"""``dvc repro``: runs everything once, then only what changed; whatever is killed, nothing is lost or stored twice."""

import json
import sys
from pathlib import Path

import pytest

from tests.dvc.repository import KILLED, SPECS, Repository, created, program
from tests.support import cli, edited, request


def verdicts(repository: Repository) -> dict[str, dict[str, dict[str, object]]]:
    found: dict[str, dict[str, dict[str, object]]] = json.loads((repository.root / "verdicts/toy.json").read_text())
    return found


def edit(repository: Repository, old: str, new: str) -> Path:
    spec = repository.root / "specs" / "tiny.yaml"
    spec.write_text(edited(spec.read_text(), old, new))
    return spec


def params(repository: Repository, *, scale: str, reports: str) -> None:
    file = repository.root / "params.yaml"
    text = edited(file.read_text(), "\n  scale: toy\n", f"\n  scale: {scale}\n")
    file.write_text(edited(text, "\nreports: toy\n", f"\nreports: {reports}\n"))


def test_a_fresh_clone_runs_the_catalogue(recorded: Repository) -> None:
    assert {spec: set(claims) for spec, claims in verdicts(recorded).items()} == {
        "tiny": {"stable"},
        "tiny_imp": {"density"},
    }
    for name in SPECS:
        assert (recorded.root / "reports" / "toy" / f"{name}-toy.html").is_file()
        assert name in (recorded.root / "reports" / "index.html").read_text()
    new = set(recorded.git("status", "--porcelain").splitlines())
    assert new == {
        "?? dvc.lock",
        "?? reports/index.html",
        "?? reports/over_specs.json",
        "?? reports/toy/",
        "?? verdicts/",
    }, "dvc edits no .gitignore"


def test_again_is_a_no_op(recorded: Repository) -> None:
    before = (recorded.root / "dvc.lock").read_bytes()
    said = recorded.dvc("repro")
    assert [line for line in said.splitlines() if line.startswith("Stage")] == [
        f"Stage '{name}' didn't change, skipping" for name in ("measure", "report", "index", "gate")
    ]
    assert "up to date" in recorded.dvc("status")
    assert (recorded.root / "dvc.lock").read_bytes() == before


def test_nothing_is_stored_twice(recorded: Repository) -> None:
    assert len(recorded.place.keys()) > 50
    assert recorded.files(".harness", "jobs") == recorded.files(".dvc", "cache")
    assert not (recorded.root / ".dvc" / "cache" / "runs").exists()


def test_the_gate_comes_last(recorded: Repository) -> None:
    stages = [
        line.split("'")[1] for line in recorded.dvc("repro", "--dry", "--force").splitlines() if "stage '" in line
    ]
    assert stages == ["measure", "report", "index", "gate"]


def test_another_scale_has_a_folder_of_its_own(repository: Repository) -> None:
    params(repository, scale="mid", reports="mid")
    for spec in (repository.root / "specs").iterdir():
        spec.write_text(spec.read_text().replace("toy:", "mid:"))
    before = repository.place.artifacts()
    repository.dvc("repro", "index")
    assert repository.place.artifacts() == before, "the same jobs under another name"
    assert "mid/tiny-mid.html" in (repository.root / "reports" / "index.html").read_text()
    changed = {line[3:] for line in repository.git("status", "--porcelain").splitlines()}
    assert {"reports/mid/", "verdicts/mid.json"} <= changed
    assert not [name for name in changed if name.startswith(("reports/toy", "reports/paper"))]


def test_reports_that_are_kept_are_not_emptied(repository: Repository) -> None:
    params(repository, scale="paper", reports="paper")
    repository.commit("Too near the kept reports")
    assert "both a dependency and an output in stage: report" in repository.refused("repro", "report")
    assert repository.git("status", "--porcelain") == ""


def test_an_edited_spec_runs_its_own_jobs_and_the_gate_tells(repository: Repository) -> None:
    before = repository.place.artifacts()
    spec = edit(repository, "forks: [0it, 10it]", "forks: [0it, 20it]")
    edit(repository, "kind: at_most, estimand: mean, bound: 50.0", "kind: at_least, estimand: mean, bound: 99.0")
    missing = request(spec).plan.jobs.keys() - repository.place.keys()
    repository.dvc("repro", "measure")
    assert repository.place.keys() == {name.split("/")[0] for name in before} | missing
    after = repository.place.artifacts()
    assert {name: after[name] for name in before} == before
    repository.assert_nothing_is_stored_twice()

    repository.commit("A bolder claim")
    rows = [line.split() for line in repository.dvc("metrics", "diff", "HEAD~1", "HEAD").splitlines()]
    assert ["verdicts/toy.json", "tiny.stable.verdict", "HOLDS", "FAILS", "-"] in rows
    assert not [row for row in rows if "tiny_imp" in row[1]], "what did not change is not told"

    assert "tiny.stable: FAILS" in repository.refused("repro", "--single-item", "gate")


def test_what_hangs_on_open_choices_renews_the_reports_and_measures_nothing(repository: Repository) -> None:
    (repository.root / "reports" / "sensitivity" / "other.toy.json").write_text("{}\n")
    said = repository.dvc("repro")
    assert "Running stage 'report'" in said
    assert "Running stage 'measure'" not in said


def test_what_verify_ran_is_recorded_and_not_run_twice(repository: Repository) -> None:
    spec = edit(repository, "forks: [0it, 10it]", "forks: [0it, 20it]")
    assert repository.place.verify(spec).code == 0, "read-only links are as good as files"
    before = repository.place.artifacts()
    assert "measure" in repository.dvc("status")
    repository.dvc("repro", "measure")
    assert repository.place.artifacts() == before
    assert "up to date" in repository.dvc("status", "measure")
    repository.assert_nothing_is_stored_twice()


@pytest.mark.slow
def test_a_killed_run_resumes(tmp_path: Path, recorded: Repository) -> None:
    repository = created(tmp_path / "first")
    program(tmp_path, "-c", KILLED)
    alone = Repository(repository.root, {"KILL_AFTER": "20", "KILL_WHOM": "harness"})
    alone.refused("repro", "measure")
    first = repository.place.artifacts()
    assert len(repository.place.keys()) == 20
    together = Repository(repository.root, {"KILL_AFTER": "30", "KILL_WHOM": "all"})
    killed = together.run(sys.executable, "-m", "dvc", "repro", "measure")
    assert killed.returncode == -9
    second = repository.place.artifacts()
    assert len(repository.place.keys()) == 50
    assert not (repository.root / "dvc.lock").exists()
    program(tmp_path, "-m", "harness")
    repository.dvc("repro", "measure")
    assert repository.place.keys() == recorded.place.keys()
    last = repository.place.artifacts()
    assert {name: second[name] for name in first} == first
    assert {name: last[name] for name in second} == second
    assert verdicts(repository) == verdicts(recorded)
    repository.assert_nothing_is_stored_twice()


@pytest.mark.slow
def test_a_corrupt_artifact_does_not_come_back_from_the_cache(repository: Repository) -> None:
    look = ("store", "check", "--store", repository.place.store, "--cache", repository.root / ".dvc" / "cache")
    victim = sorted(repository.place.store.glob("jobs/*/*/table.json"))[0]
    content = victim.read_bytes()
    victim.chmod(0o644)
    victim.write_bytes(content[:-1] + b" ")  # in the cache too: it is the same file
    victim.chmod(0o444)
    assert str(victim.parent) in cli(*look).err
    said = repository.refused("repro", "measure", "--force")
    assert "is corrupt" in said
    assert "harness store check --store .harness --remove" in said
    assert cli(*look, "--remove").code == 0
    repository.dvc("repro", "measure")
    assert victim.read_bytes() == content, "computed again"
    assert cli(*look).code == 0
    repository.assert_nothing_is_stored_twice()
