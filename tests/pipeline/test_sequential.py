"""Initialisations until decided, through the command line: looks, what they run, what they say, budgets."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.errors import RequestError
from harness.jobs.job import Job
from harness.jobs.store import Store
from harness.judging.sequential import Look
from harness.pipeline import sequential
from harness.pipeline.forecast import Machine
from harness.pipeline.outcome import Outcome
from harness.pipeline.request import Request, prepare
from harness.pipeline.sequential import Budget, primary_claims, until_decided
from harness.schema.model import Spec
from tests.support import Place, Said, claim, counted, instability_text, loaded

MEAN = claim("at_once", "accuracy", "{fork: 0it}", "{kind: at_least, bound: 0.0}")
TYPICAL = claim("typical", "accuracy", "{fork: 0it}", "{kind: at_least, estimand: median, bound: 20.0}")
TRAININGS = 5
"""Of an initialisation of the tiny spec: a trunk, and two copies that part at each of two forks."""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def decided(place: Place, spec: Path, *more: str, code: int = 0) -> tuple[list[Job], Said]:
    """The jobs that really ran, and what was said."""
    with counted() as jobs:
        said = place.verify(spec, more=("--until-decided", *more))
    assert said.code == code, said.out + said.err
    return jobs, said


def seeds(jobs: list[Job]) -> list[int]:
    """Of the initialisations among jobs."""
    return sorted(job.params["seed"] for job in jobs if job.stage == "init")


def report(place: Place) -> Any:
    return json.loads((place.reports / "tiny-toy.json").read_text())


def test_what_the_first_look_decides_runs_no_more(place: Place) -> None:
    jobs, said = decided(place, place.write(instability_text(MEAN)))
    assert seeds(jobs) == [0, 1]
    assert "look 1 of 5, 2 initialisations: decided at_once" in said.out
    (found,) = report(place)["claims"]
    assert found["why"].endswith("Look 1 of 5, at 1.8 % one-sided.")


def test_looks_go_on_until_the_last_claim_is_decided(place: Place) -> None:
    """A median takes six of six here, which are the fourth look; the other claim keeps its first verdict."""
    spec = place.write(instability_text(MEAN, TYPICAL))
    jobs, said = decided(place, spec)
    assert seeds(jobs) == [0, 1, 2, 3, 4, 5]
    assert len({job.key for job in jobs}) == len(jobs)
    at_once, typical = report(place)["claims"]
    assert (at_once["verdict"], at_once["estimate"]["n"]) == ("HOLDS", 2)
    assert "Decided then; all 6 initialisations of look 4 of 5: HOLDS" in at_once["why"]
    assert (typical["verdict"], typical["estimate"]["n"]) == ("HOLDS", 6)
    assert typical["why"].endswith("Look 4 of 5, at 1.6 % one-sided.")
    looks = report(place)["looks"]
    assert looks["plan"].startswith("2, 3, 4, 6, 8 initialisations")
    assert looks["look 2 of 5, 3 initialisations"] == "decided nothing more"
    assert looks["look 4 of 5, 6 initialisations"] == "decided typical"
    assert looks["ended"].startswith("every primary claim is decided at look 4 of 5")
    assert "ended: every primary claim" in said.out
    for name in ("tiny-toy.html", "tiny-toy.md"):
        assert "every primary claim is decided at look 4 of 5" in (place.reports / name).read_text()

    again, _ = decided(place, spec)
    assert again == []
    assert report(place)["claims"] == [at_once, typical]


def test_the_plan_ends_with_its_last_look(place: Place) -> None:
    jobs, said = decided(place, place.write(instability_text(TYPICAL)), "--most", "4", code=1)
    assert seeds(jobs) == [0, 1, 2, 3]
    assert "ended: the plan has no further look" in said.out
    assert "open: typical" in said.out
    assert report(place)["claims"][0]["verdict"] == "INCONCLUSIVE"


def test_a_budget_of_trainings_leaves_out_the_look_that_does_not_fit(place: Place) -> None:
    spec, budget = place.write(instability_text(TYPICAL)), ("--budget", f"{4 * TRAININGS - 1} trainings")
    jobs, said = decided(place, spec, *budget, code=1)
    assert seeds(jobs) == [0, 1, 2]
    assert "look 3 of 5 is not begun: it needs about 5 trainings, and 4 trainings are left" in _one_line(said.out)
    jobs, said = decided(place, spec, *budget)  # what is found costs nothing
    assert seeds(jobs) == [3, 4, 5]
    assert f"spent: {3 * TRAININGS} trainings and" in said.out


def test_a_first_look_that_no_budget_pays_is_refused(place: Place) -> None:
    spec = place.write(instability_text(TYPICAL))
    for budget, needs in ((f"{2 * TRAININGS - 1} trainings", "10 trainings"), ("0.001s", "s, and 0 s are left")):
        jobs, said = decided(place, spec, "--budget", budget, code=2)
        assert jobs == []
        assert needs in _one_line(said.err)
        assert "raise --budget" in _one_line(said.err)


def test_replicates_are_those_of_the_first_look(place: Place) -> None:
    jobs, _ = decided(place, place.write(instability_text(TYPICAL)), "--replicates", "6", "--first-seed", "7")
    assert seeds(jobs) == [7, 8, 9, 10, 11, 12]
    assert report(place)["looks"]["plan"].startswith("6, 9, 12, 18, 24 initialisations")


def test_a_broken_job_ends_the_looks(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.errors import InvariantBroken
    from harness.stages.line import STAGE

    def breaking(self: object, work: Any, context: Any) -> list[Any]:
        return [InvariantBroken("torn") for _ in work]

    monkeypatch.setattr(type(STAGE), "run", breaking)
    jobs, said = decided(place, place.write(instability_text(TYPICAL)), code=3)
    assert seeds(jobs) == [0, 1]
    assert "ended: jobs broke at look 1 of 5" in said.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--budget", "2h"), "add it, or leave them out"),
        (("--most", "9"), "add it, or leave them out"),
        (("--until-decided", "--budget", "2 weeks"), "'2 weeks' is no budget"),
        (("--until-decided", "--budget", "0h"), "'0h' is no budget"),
        (("--until-decided", "--most", "1"), "the first look has 2 initialisations"),
    ],
)
def test_options_that_do_not_fit_are_refused(place: Place, options: tuple[str, ...], words: str) -> None:
    said = place.verify(place.write(instability_text()), more=options)
    assert said.code == 2
    assert words in _one_line(said.err)
    assert not place.store.exists()


def test_one_spec_at_a_time(place: Place) -> None:
    specs = [place.write(instability_text(identity=name)) for name in ("one", "two")]
    said = place.verify(*specs, more=("--until-decided",))
    assert said.code == 2
    assert "takes one spec" in said.err


def _one_line(text: str) -> str:
    return " ".join(text.split())


class TestBudget:
    @pytest.mark.parametrize(
        ("text", "budget"),
        [
            ("90s", Budget(90, "seconds")),
            ("30min", Budget(1800, "seconds")),
            ("1.5 h", Budget(5400, "seconds")),
            ("2d", Budget(172_800, "seconds")),
            ("500 trainings", Budget(500, "trainings")),
            ("1training", Budget(1, "trainings")),
        ],
    )
    def test_is_read(self, text: str, budget: Budget) -> None:
        assert Budget.parse(text) == budget

    @pytest.mark.parametrize("text", ["", "2", "h", "-1h", "1h30min", "two hours", "1e3s", "0 trainings"])
    def test_is_no_other(self, text: str) -> None:
        with pytest.raises(ValueError, match="is no budget"):
            Budget.parse(text)

    def test_of_time_is_held_against_the_forecast(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """A look that takes 40 s of 100 s leaves 60 s, then 20 s, which the third does not fit in."""
        now, asked = [0.0], loaded(place.write(instability_text(TYPICAL)))
        monkeypatch.setattr(sequential, "forecast", lambda *_: SimpleNamespace(seconds=30.0))

        def verified(request: Request, decided: Any) -> Outcome:
            now[0] += 40
            assert not decided
            assert request.look == Look(len(seen) + 1, (2, 3, 4, 6, 8))
            seen.append(request.setting.replicates.initialisations)
            return _undecided(request)

        seen: list[int] = []
        outcome = until_decided(
            (2, 3, 4, 6, 8),
            lambda n: prepare(asked, "toy", place.root, initialisations=n),
            verified,
            budget=Budget.parse("100s"),
            store=Store(place.store),
            machine=Machine,
            clock=lambda: now[0],
        )
        assert seen == [2, 3]
        assert outcome.looks["ended"] == "look 3 of 5 is not begun: it needs about 30 s, and 20 s are left"
        assert outcome.looks["spent"] == "25 trainings and 1.33 min by this command, of 1.67 min"

    def test_no_room_ends_the_looks_but_refuses_the_first(self, place: Place) -> None:
        asked = loaded(place.write(instability_text(TYPICAL)))

        def looked(most: int) -> Outcome:
            def refused(request: Request) -> None:
                if request.setting.replicates.initialisations > most:
                    raise RequestError("no room on the disk")

            return until_decided(
                (2, 3),
                lambda n: prepare(asked, "toy", place.root, initialisations=n),
                lambda request, decided: _undecided(request),
                budget=None,
                store=Store(place.store),
                machine=Machine,
                refused=refused,
            )

        assert looked(2).looks["ended"] == "look 2 of 2 is not begun: no room on the disk"
        with pytest.raises(RequestError, match="no room on the disk"):
            looked(1)


def _undecided(request: Request) -> Outcome:
    """An outcome in which every claim is open."""
    from harness.judging.verdict import Judgement, Verdict
    from harness.pipeline.outcome import Cost

    spec = request.loaded.spec
    judgements = [
        Judgement(one, one.checks[request.scale], Verdict.INCONCLUSIVE, None, "%", "", "Open.") for one in spec.claims
    ]
    return Outcome(spec, "", request.scale, judgements, (), (), {}, Cost(0, 0, 0, 0, 0.0, 0.0, 0))


def test_primary_claims_are_those_called_so_or_all_with_a_check() -> None:
    def some(**primary: bool) -> Spec:
        claims = [
            SimpleNamespace(id="a", primary=False, checks={"toy": 1}),
            SimpleNamespace(id="b", primary=False, checks={"toy": 1, "paper": 1}),
        ]
        for one in claims:
            if one.id in primary:
                one.primary = primary[one.id]
        return cast(Spec, SimpleNamespace(claims=claims))

    def names(spec: Spec, scale: str) -> list[str]:
        return [one.id for one in primary_claims(spec, scale)]

    assert names(some(), "toy") == ["a", "b"]
    assert names(some(), "paper") == ["b"]
    assert names(some(a=False, b=True), "toy") == ["b"]
    assert names(some(a=True, b=False), "paper") == ["b"]
