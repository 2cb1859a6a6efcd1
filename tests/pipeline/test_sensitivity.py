"""Open choices flipped through the command line: shared jobs, planted answers, the file, the reports that name them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.jobs import stages
from harness.jobs.job import Job
from harness.pipeline.flipping import Study, plan_study
from tests.pipeline.test_gaps import diverging
from tests.support import ROOT, Place, Said, claim, cli, counted, edited, instability_text, loaded, stages_of

MOVED = claim("moved", "travel_after", "{fork: 10it}", "{kind: at_least, bound: 0.01}")
"""A network that is trained moves: known to stand, and known to fall where the rate is next to nothing."""
STABLE = claim("stable", "instability", "{fork: 10it}", "{kind: at_most, bound: 100.0}")
GONE = claim("gone", "travel_after", "{fork: 0it}", "{kind: at_least, bound: 0.01}")
REACHED = claim("reached", "accuracy", "{fork: 0it}", "{kind: at_least, bound: 5.0}")
TYPICAL = claim("typical", "travel_after", "{fork: 10it}", "{kind: at_least, estimand: median, bound: 0.01}")

STILL = "{field: training.schedule.rate, value: 1e-30, claims: [%s], margin: 1e-3, why: The paper names no rate.}"
RESET = "{field: settings.optimiser_at_fork, value: reset, claims: [%s], margin: 50.0, why: The paper does not say.}"
DRAWN = "{field: settings.stable_below, value: 3.0, claims: [%s], margin: 1e-3, why: Only figures have it.}"


def text(*entries: str, claims: tuple[str, ...] = (MOVED, STABLE)) -> str:
    whole = instability_text(*claims)
    return (
        whole
        + "".join(f"{'' if number else 'sensitivity:'}\n  - {entry}" for number, entry in enumerate(entries))
        + "\n"
    )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def told(place: Place, spec: Path, *more: str) -> Said:
    options = place.options()
    at = options.index("--report")
    return cli("sensitivity", spec, *options[:at], *options[at + 2 :], "--sensitivity", place.root / "open", *more)


def rows(place: Place, name: str = "tiny") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((place.root / "open" / f"{name}.toy.json").read_text())["comparisons"]
    return found


def study(place: Place, spec: Path) -> Study:
    return plan_study(loaded(spec), "toy", place.root / "data")


def runs(place: Place, spec: Path, *more: str) -> list[Job]:
    with counted() as jobs:
        said = told(place, spec, *more)
    assert said.code == 0, said.out + said.err
    assert len({job.key for job in jobs}) == len(jobs)
    return jobs


def verified(place: Place, spec: Path) -> Said:
    return place.verify(spec, more=("--sensitivity", str(place.root / "open")))


def depends(said: Said) -> bool:
    """Whether the table of verdicts, and the words below it, say that a claim hangs on the rate."""
    words = " ".join(said.out.split())
    in_table, below = (
        "depends on" in words,
        "moved: Depends on training.schedule.rate: HOLDS with 0.002, FAILS" in words,
    )
    assert in_table == below
    return below


def test_a_planted_flip_is_found_and_named_where_the_claim_stands(place: Place) -> None:
    spec = place.write(text(STILL % "moved"))
    said = told(place, spec)
    assert said.code == 0, said.out + said.err
    (row,) = rows(place)
    assert (row["outcome"], row["own_verdict"], row["flipped_verdict"]) == ("flips", "HOLDS", "FAILS")
    assert (row["own"], row["value"]) == (0.002, 1e-30)
    assert row["difference"]["n"] == len(row["differences"]) == 2
    assert "FLIPS moved, training.schedule.rate: HOLDS as the spec has it, FAILS flipped" in " ".join(said.out.split())
    before = place.verify(spec)
    after = verified(place, spec)
    assert before.code == after.code == 0, "no verdict and no count changes"
    assert not depends(before)
    assert depends(after)
    shown = (place.reports / "tiny-toy.md").read_text()
    assert "| ✓ HOLDS, depends on training.schedule.rate |" in shown
    assert "Depends on training.schedule.rate: HOLDS with 0.002, FAILS with 1e-30 (n = 2, same seeds)" in shown
    assert shown.count("depends on") == 1
    assert "2 of 2 claims hold at toy scale" in shown
    assert "depends on training.schedule.rate" in (place.reports / "tiny-toy.html").read_text()
    moved, stable = json.loads((place.reports / "tiny-toy.json").read_text())["claims"]
    assert moved["depends_on"] == ["training.schedule.rate"]
    assert stable["depends_on"] == []
    assert cli("index", place.reports).code == 0
    assert "depends on training.schedule.rate" in (place.reports / "index.html").read_text()


def test_a_flip_that_changes_no_job_is_the_same_by_pairs(place: Place) -> None:
    """Two initialisations never decide a median, and their differences are 0, exactly."""
    spec = place.write(text(DRAWN % "moved", claims=(MOVED,)))
    own = study(place, spec).own
    assert stages_of(runs(place, spec)) == stages_of(list(own.plan.jobs.values()))
    (row,) = rows(place)
    assert row["outcome"] == "same conclusion"
    assert set(row["differences"].values()) == {0.0}
    assert (row["difference"]["low"], row["difference"]["high"]) == (0.0, 0.0)


def test_too_few_initialisations_leave_a_median_undecided_and_tell_how_many_it_takes(place: Place) -> None:
    spec = place.write(text(STILL % "typical", claims=(TYPICAL,)))
    said = told(place, spec)
    assert said.code == 0
    (row,) = rows(place)
    assert (row["outcome"], row["own_verdict"]) == ("undecided", "INCONCLUSIVE")
    assert (row["difference"]["low"], row["needed"]) == (None, 5)
    assert told(place, spec, "--replicates", "5").code == 0
    assert rows(place)[0]["outcome"] == "flips"


def test_jobs_that_do_not_depend_on_the_field_run_once(place: Place) -> None:
    """The trunks and the first weights are shared; of the forks only the one that the claim names is run."""
    spec = place.write(text(RESET % "stable"))
    jobs = runs(place, spec)
    planned = study(place, spec)
    assert {job.key for job in jobs} == planned.plan.jobs.keys()
    assert stages_of(jobs) == {"evaluate": 8, "init": 2, "line": 4, "train": 10}
    # Two first weights and two trunks are the same with either choice.
    assert planned.shared == 4
    assert runs(place, spec) == []


def test_what_was_verified_is_found_again(place: Place) -> None:
    spec = place.write(text(RESET % "stable"))
    assert place.verify(spec).code == 0
    jobs = runs(place, spec)
    assert {job.key for job in jobs} == study(place, spec).plan.jobs.keys() - study(place, spec).own.plan.jobs.keys()
    assert stages_of(jobs)["train"] == 4


def test_only_flips_what_is_named_and_keeps_the_rest(place: Place) -> None:
    spec = place.write(text(STILL % "moved", RESET % "stable"))
    assert told(place, spec).code == 0
    first = rows(place)
    assert [row["field"] for row in first] == ["training.schedule.rate", "settings.optimiser_at_fork"]
    assert told(place, spec, "--only", "settings.optimiser_at_fork", "--replicates", "3").code == 0
    again, kept = rows(place)
    assert (kept, again["field"], len(again["differences"])) == (first[0], "settings.optimiser_at_fork", 3)
    wrong = told(place, spec, "--only", "training.batch")
    assert wrong.code == 2
    assert "it has training.schedule.rate, settings.optimiser_at_fork" in " ".join(wrong.err.split())


def test_of_one_claim_only_its_jobs_are_run(place: Place) -> None:
    """An accuracy at the end of training from 0 needs neither lines nor comparisons nor the other fork."""
    spec = place.write(text(STILL % "moved", STILL % "reached", claims=(MOVED, REACHED)))
    jobs = runs(place, spec, "--claim", "reached")
    # Two initialisations of two copies, with either rate.
    assert stages_of(jobs) == {"init": 2, "train": 8, "evaluate": 8}
    assert {job.params["stop"] for job in jobs if job.stage == "train"} == {40}
    assert [found["claim"] for found in rows(place)] == ["reached"]


def test_lenets_accuracy_needs_no_lines_and_no_other_fork(place: Place) -> None:
    planned = plan_study(loaded(ROOT / "specs" / "lenet_stability.yaml"), "paper", place.root, claims=["accuracy"])
    assert [flip.field for flip in planned.flips] == ["training.initialisation.weights", "training.data.normalise"]
    # Three initialisations (Kaiming's are those of both normalisations) of three copies, three versions.
    assert stages_of(list(planned.plan.jobs.values())) == {"init": 6, "train": 27, "evaluate": 27}
    assert {job.params["start"] for job in planned.plan.jobs.values() if job.stage == "train"} == {0}


def test_the_rows_of_other_claims_are_kept(place: Place) -> None:
    spec = place.write(text(STILL % "moved, gone", RESET % "stable", claims=(MOVED, GONE, STABLE)))
    assert told(place, spec).code == 0
    first = {found["claim"]: found for found in rows(place)}
    assert told(place, spec, "--claim", "moved", "--replicates", "3").code == 0
    again, *kept = rows(place)
    assert (again["claim"], len(again["differences"])) == ("moved", 3)
    assert kept == [first["gone"], first["stable"]]
    assert told(place, spec, "--claim", "stable", "--claim", "gone", "--replicates", "3").code == 0
    assert sorted((found["claim"], len(found["differences"])) for found in rows(place)) == [
        ("gone", 3),
        ("moved", 3),
        ("stable", 3),
    ]


@pytest.mark.parametrize("more", [["--claim", "stabel"], ["--only", "training.schedule.rate", "--claim", "stable"]])
def test_a_claim_that_no_open_choice_judges_is_refused(place: Place, more: list[str]) -> None:
    spec = place.write(text(STILL % "moved", RESET % "stable"))
    with counted() as jobs:
        wrong = told(place, spec, *more)
    assert (wrong.code, jobs) == (2, [])
    there = "moved" if "--only" in more else "moved, stable"
    words = f"--claim \"{more[-1]}\": no open choice of this claim at the scale 'toy'; it has {there}"
    assert " ".join(wrong.err.split()).endswith(words)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("margin: 1e-3", "margin: 2e-3"),
        ("bound: 0.01", "bound: 0.02"),
        ("value: 1e-30", "value: 1e-29"),
        ("batch: 50", "batch: 51"),
    ],
)
def test_what_was_found_of_another_spec_is_passed_over(place: Place, old: str, new: str) -> None:
    spec = place.write(text(STILL % "moved"))
    assert told(place, spec).code == 0
    place.write(edited(text(STILL % "moved"), old, new))
    assert not depends(verified(place, spec))


@pytest.mark.parametrize(("stage", "passed_over"), [("train", True), ("distance", True), ("line", False)])
def test_what_older_stages_gave_is_passed_over(
    place: Place, monkeypatch: pytest.MonkeyPatch, stage: str, passed_over: bool
) -> None:
    """The way of a copy rests on trainings and a distance, and on no line."""
    spec = place.write(text(STILL % "moved"))
    assert told(place, spec, "--replicates", "3").code == 0
    assert rows(place)[0]["stages"].keys() == {"init", "train", "distance"}
    newer = replace(stages.row(stage), version=stages.row(stage).version + 1)
    monkeypatch.setattr(stages, "_OWN_BY_NAME", {**stages._OWN_BY_NAME, stage: newer})
    assert depends(verified(place, spec)) is not passed_over
    assert told(place, spec).code == 0
    (now,) = rows(place)
    assert now["initialisations"] == (2 if passed_over else 3)


def test_a_row_of_versions_that_told_no_stages_is_passed_over(place: Place) -> None:
    spec, file = place.write(text(STILL % "moved")), place.root / "open" / "tiny.toy.json"
    assert told(place, spec).code == 0
    known = json.loads(file.read_text())
    for told_then in known["comparisons"]:
        del told_then["stages"], told_then["initialisations"]
    file.write_text(json.dumps(known))
    assert not depends(verified(place, spec))
    assert told(place, spec).code == 0
    assert depends(verified(place, spec))


def test_fewer_initialisations_take_no_place_of_more(place: Place) -> None:
    """Whatever came of them: what stays is told, and what the run found is in its table."""
    spec = place.write(text(STILL % "moved", RESET % "stable"))
    assert told(place, spec, "--replicates", "3").code == 0
    more = rows(place)
    said = told(place, spec, "--only", "training.schedule.rate")
    assert rows(place) == more
    words = "what was there of moved and training.schedule.rate stays: it has 3 initialisations, more than this run"
    assert words in " ".join(said.err.split())
    assert "n = 2" in said.out
    same = told(place, spec, "--replicates", "3", "--first-seed", "1")
    assert "stays" not in same.err
    assert [list(found["differences"]) for found in rows(place)] == [["1", "2", "3"]] * 2


def test_what_broke_takes_no_place_of_what_was_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = place.write(text(STILL % "moved"))
    assert told(place, spec).code == 0
    before = rows(place)
    shutil.rmtree(place.store)
    diverging(monkeypatch, 0)
    said = told(place, spec)
    assert said.code == 3
    assert "stays: it has 2 initialisations" in " ".join(said.err.split())
    assert rows(place) == before


def test_words_and_replicates_leave_it_valid(place: Place) -> None:
    whole = text(STILL % "moved")
    assert told(place, place.write(whole)).code == 0
    spec = place.write(
        edited(edited(whole, "[a toy]", "[a toy, of digits]"), "initialisations: 2", "initialisations: 3")
    )
    assert depends(verified(place, spec))


def test_flips_are_told_as_json(place: Place) -> None:
    said = told(place, place.write(text(STILL % "moved")), "--json")
    assert said.code == 0
    assert said.json["comparisons"] == rows(place)


def test_a_flip_that_breaks_leaves_its_claim_undecided_and_is_told(place: Place) -> None:
    broken = (STILL % "moved").replace("1e-30", "1e30")
    spec = place.write(edited(text(broken, RESET % "stable"), "{name: adam}", "{name: sgd}"))
    said = told(place, spec)
    assert said.code == 3
    diverged, sound = rows(place)
    assert (diverged["outcome"], diverged["flipped_verdict"], diverged["difference"]) == ("undecided", "NOT RUN", None)
    assert sound["outcome"] == "same conclusion"
    assert "BROKE" in said.out


def test_a_damaged_file_is_refused_before_anything_runs(place: Place) -> None:
    spec = place.write(text(STILL % "moved"))
    (place.root / "open").mkdir()
    (place.root / "open" / "tiny.toy.json").write_text('{"schema": 1}')
    with counted() as jobs:
        said = told(place, spec)
    assert (said.code, jobs) == (2, [])
    assert "is no file of sensitivity" in said.err
    assert verified(place, spec).code == 2


def test_a_spec_without_open_choices_is_told_so(place: Place) -> None:
    said = told(place, place.write(instability_text(MOVED)))
    assert said.code == 2
    assert "no open choice is flipped at the scale 'toy'" in said.err
