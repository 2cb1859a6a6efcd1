"""The whole pipeline through the command line: what is kept, what is run again, what a verdict costs when it is no."""

import contextlib
import json
import re
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import torch

from harness.jobs.job import Job
from harness.protocols.instability.protocol import Instability
from tests.support import Place, claim, cli, counted, edited, imp_text, instability_text, request, stages_of

FIRST = {"compare": 4, "distance": 12, "evaluate": 12, "init": 2, "line": 4, "train": 10}
"""Jobs of ``instability_text``: 2 initialisations, 2 forks (one at 0: no trunk to train), 2 orders."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place where both tiny specs were verified; only to be copied."""
    place = Place(tmp_path_factory.mktemp("verified"))
    assert place.verify(place.write(instability_text()), place.write(imp_text())).code == 0
    return place


@pytest.fixture
def known(verified: Place, place: Place) -> Place:
    """A copy of that place."""
    shutil.copytree(verified.root, place.root, dirs_exist_ok=True)
    return place


def ran(place: Place, *specs: Path, code: int = 0, more: tuple[str, ...] = ()) -> list[Job]:
    """The jobs that verifying really ran."""
    with counted() as jobs:
        said = place.verify(*specs, more=more)
    assert said.code == code, said.out + said.err
    return jobs


def test_the_first_run_runs_every_job_once(place: Place) -> None:
    jobs = ran(place, place.write(instability_text()))
    assert stages_of(jobs) == FIRST
    assert len({job.key for job in jobs}) == len(jobs)
    assert {job.key for job in jobs} == place.keys()


def test_the_second_run_runs_nothing_and_reports_the_same(known: Place) -> None:
    specs = known.write(instability_text()), known.write(imp_text())
    files = sorted(path for path in known.reports.iterdir())
    known.verify(*specs)  # in its own folder: the reports name the spec's path
    before = {path: path.read_text() for path in files}
    assert ran(known, *specs) == []
    assert sorted(known.reports.iterdir()) == files
    for path in files:
        assert _timeless(path.read_text()) == _timeless(before[path]), path.name


def _timeless(text: str) -> list[str]:
    """Lines of a report without those that say when, how long, and how much was found in the store."""
    text = re.sub(r'\b(time|timestamp)="[^"]*"', "", text)
    changing = re.compile(r"second|\bdate|20\d\d-\d\d-\d\d|found in|cached|wall|computing|time of", re.IGNORECASE)
    return [line for line in text.splitlines() if not changing.search(line)]


@pytest.mark.parametrize("kind", ["comment", "claim", "tolerance", "title", "departures", "threshold"])
def test_words_and_judgements_are_not_trained(known: Place, kind: str) -> None:
    text = instability_text()
    edits = {
        "comment": text + "# a remark\n",
        "claim": instability_text(claim(), claim("other", "accuracy", expect="{kind: at_least, bound: 0.0}")),
        "tolerance": edited(text, "bound: 100.0", "bound: 99.0"),
        "title": edited(text, "title: A tiny experiment", "title: Another title"),
        "departures": edited(text, "[a toy]", "[a toy, of digits]"),
        "threshold": edited(text, "stable_below: 2.0", "stable_below: 3.0"),
    }
    assert ran(known, known.write(edits[kind])) == []


def test_one_more_initialisation_is_the_only_one_trained(known: Place) -> None:
    text = instability_text()
    jobs = ran(known, known.write(edited(text, "initialisations: 2", "initialisations: 3")))
    assert stages_of(jobs) == {stage: count // 2 for stage, count in FIRST.items()}
    assert [job.params["seed"] for job in jobs if job.stage == "init"] == [2]
    assert ran(known, known.write(text), more=("--replicates", "3")) == []


def test_the_first_seed_gives_fresh_replicates(known: Place) -> None:
    spec = known.write(instability_text())
    jobs = ran(known, spec, more=("--first-seed", "2"))
    assert stages_of(jobs) == FIRST
    assert ran(known, spec, more=("--first-seed", "1", "--replicates", "3")) == []


def test_one_more_order_adds_copies_and_pairs_only(known: Place) -> None:
    text = instability_text()
    jobs = ran(known, known.write(edited(text, "orders: 2", "orders: 3")))
    assert stages_of(jobs) == {"compare": 8, "distance": 4, "evaluate": 4, "line": 8, "train": 4}


def test_a_learning_rate_leaves_the_initialisations(known: Place) -> None:
    text = instability_text()
    jobs = ran(known, known.write(edited(text, "rate: 0.002", "rate: 0.003")))
    expected = {**FIRST, "evaluate": 10, "distance": 10}  # of the state at 0, and of it from itself, both known
    del expected["init"]
    assert stages_of(jobs) == expected


def test_a_later_fork_trains_itself_only(known: Place) -> None:
    text = instability_text()
    jobs = ran(known, known.write(edited(text, "[0it, 10it]", "[0it, 10it, 20it]")))
    starts = sorted((job.params["start"], job.params["stop"]) for job in jobs if job.stage == "train")
    assert starts == [(0, 20)] * 2 + [(20, 40)] * 4
    assert "init" not in stages_of(jobs)


def test_a_later_rewind_trains_itself_only(known: Place) -> None:
    text = imp_text()
    jobs = ran(known, known.write(edited(text, "rewinds: [0it]", "rewinds: [0it, 20it]")))
    assert {job.params["start"] for job in jobs if job.stage == "train"} == {0, 20}
    assert [job.params["stop"] for job in jobs if job.stage == "train" and job.params["start"] == 0] == [20, 20]


def test_a_further_level_prunes_on_from_the_last(known: Place) -> None:
    text = imp_text()
    jobs = ran(known, known.write(edited(text, "levels: 2}", "levels: 3}")))
    assert stages_of(jobs) == {"evaluate": 2, "prune": 2, "train": 4}  # level 2 once more, in the chain's own order


def test_specs_share_jobs(place: Place) -> None:
    instability, imp = place.write(instability_text()), place.write(imp_text())
    together = ran(place, instability, imp)
    assert len({job.key for job in together}) == len(together)
    apart = Place(place.root / "apart")
    apart.root.mkdir()
    alone = ran(apart, apart.write(imp_text()))
    shared = {job.key for job in alone if job.stage == "train" and not job.inputs.get("mask")}
    assert shared, "level 0 of IMP is the unpruned network"
    assert shared <= {job.key for job in together if job.stage == "train"}
    assert len(together) < len(alone) + sum(FIRST.values())


def test_report_writes_again_without_running(place: Place) -> None:
    spec = place.write(instability_text())
    where = ["--store", str(place.store), "--report", str(place.reports)]
    said = cli("report", spec, *where)
    assert said.code == 2
    assert "44 of 44 jobs" in said.err
    assert "harness verify" in said.err
    ran(place, spec)
    html = place.reports / "tiny-toy.html"
    html.unlink()
    with counted() as jobs:
        assert cli("report", spec, *where).code == 0
    assert jobs == []
    assert html.is_file()


def test_a_report_written_again_is_the_same_byte_for_byte(place: Place) -> None:
    """Though looking results up takes less time than computing them did."""
    specs = [place.write(instability_text()), place.write(imp_text())]
    assert place.verify(*specs).code == 0
    folders = [place.root / "first", place.root / "second"]
    for folder in folders:
        assert cli("report", *specs, "--store", place.store, "--report", folder).code == 0
    computed, first, second = (
        {path.name: path.read_bytes() for path in folder.iterdir()} for folder in (place.reports, *folders)
    )
    assert first.keys() >= {"tiny-toy.html", "tiny_imp-toy.json", "tiny-toy.md", "junit.xml"}
    assert computed == first == second


def test_a_report_names_its_spec_from_the_working_folder(known: Place) -> None:
    spec, named = known.root / "tiny.yaml", []
    for folder in (known.root, known.reports):
        with contextlib.chdir(folder):
            said = cli("report", spec, "--store", known.store, "--report", known.reports, "--json")
        named.append(said.json[0]["spec_path"])
    assert named == ["tiny.yaml", str(spec)]


def test_a_claim_of_the_opposite_fails(known: Place) -> None:
    text = instability_text(claim(), claim("opposite", expect="{kind: at_least, bound: 100.0}"))
    said = known.verify(known.write(text))
    assert said.code == 1
    assert "FAILS opposite" in said.out
    assert "100" in said.out
    (suite,) = ET.parse(known.reports / "junit.xml").getroot().iter("testsuite")
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert any("opposite" in str(name) and case.find("failure") is not None for name, case in cases.items())
    assert any("stable" in str(name) and case.find("failure") is None for name, case in cases.items())


def test_a_value_that_is_off_fails_and_the_right_one_holds(known: Place) -> None:
    at = "{rewind: 0it, level: 2}"
    wrong = claim("wrong", "density", at, "{kind: equals, value: 60, margin: 1}")
    right = claim("right", "density", at, "{kind: equals, value: 64, margin: 1}")
    assert known.verify(known.write(imp_text(right))).code == 0
    said = known.verify(known.write(imp_text(right, wrong)))
    assert said.code == 1
    assert "FAILS wrong" in said.out


def test_a_broken_job_loses_its_descendants_only(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The copies that part at 10 diverge; those that part at 0 are judged."""
    from harness.errors import InvariantBroken
    from harness.stages.line import STAGE

    run = STAGE.run

    def breaking(self: object, work: object, context: object) -> list[object]:
        found = list(run(work, context))
        for place_, one in enumerate(work):
            if one.job.inputs["a"].params["start"] == 10:
                found[place_] = InvariantBroken("the line tore")
        return found

    monkeypatch.setattr(type(STAGE), "run", breaking)
    at10 = claim("late", at="{fork: 10it}")
    said = place.verify(place.write(instability_text(claim(), at10)))
    assert said.code == 3
    assert "BROKE line:" in said.out
    assert "the line tore" in said.out
    assert re.search(r"NOT RUN late", said.out)
    assert "NOT RUN stable" not in said.out
    junit = (place.reports / "junit.xml").read_text()
    assert "the line tore" in junit
    assert "<error" in junit
    assert len(place.keys()) == sum(FIRST.values()) - 2
    monkeypatch.undo()
    jobs = ran(place, place.write(instability_text(claim(), at10)))
    assert stages_of(jobs) == {"line": 2}


def test_a_wrong_parameter_count_breaks_with_both_numbers(place: Place) -> None:
    spec = place.write(edited(instability_text(), "parameters: 1210", "parameters: 1211"))
    said = place.verify(spec)
    assert said.code in (2, 3)
    words = " ".join((said.out + said.err).split())
    assert "1,210 trainable parameters" in words
    assert "1,211" in words
    assert "correct the network or the number" in words


def test_divergence_is_told_with_a_remedy_and_no_verdict(place: Place) -> None:
    text = edited(edited(instability_text(), "{name: adam}", "{name: sgd}"), "rate: 0.002", "rate: 1.0e+30")
    said = place.verify(place.write(text))
    assert said.code == 3
    words = " ".join(said.out.split())
    assert "the loss was not finite at step" in words
    assert "lower training.schedule.rate" in words
    assert "NOT RUN" in words


def test_a_corrupt_artifact_is_named_with_a_remedy(known: Place) -> None:
    spec = known.write(instability_text())
    asked = request(spec)
    read = next(one.job for one in asked.protocol.measurements(asked.setting))
    (victim,) = known.store.glob(f"jobs/*/{read.key}/table.json")
    victim.write_bytes(victim.read_bytes()[:-1])
    said = known.verify(spec)
    assert said.code == 3
    assert str(victim) in said.err
    assert f"harness store check --store {known.store} --remove" in said.err


@pytest.mark.parametrize("where", ["observe", "figures"])
def test_an_experiment_that_can_make_nothing_of_its_results_is_told(
    known: Place, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("band")

    monkeypatch.setattr(Instability, where, broken)
    said = known.verify(known.write(instability_text()))
    assert said.code == 3
    shown = " ".join(said.err.split())
    assert "tiny.yaml: the experiment 'instability' can make nothing of its results in" in shown
    assert "KeyError: 'band' (test_verify.py, line" in shown


def test_the_number_of_threads_does_not_decide_the_key(known: Place) -> None:
    spec = known.write(instability_text())
    assert ran(known, spec, more=("--threads", "2")) == []
    torch.set_num_threads(1)


def test_the_global_random_state_is_left_alone(place: Place) -> None:
    before = torch.random.get_rng_state()
    ran(place, place.write(imp_text()))
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_machine_report_holds_every_claim(known: Place) -> None:
    said = known.verify(known.write(instability_text()), more=("--json",))
    (outcome,) = said.json
    assert json.loads((known.reports / "tiny-toy.json").read_text()).keys() == outcome.keys()
    assert "stable" in json.dumps(outcome)
