"""What a broken job takes from claims: no verdict is given on the replicates that survived."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import TrainingDiverged
from harness.stages.evaluate import Evaluate
from harness.stages.train import Train
from tests.support import Place, claim, edited, imp_text, instability_text

Patch = pytest.MonkeyPatch
STAY = "{kind: at_least, bound: 0.0}"
ARMS = imp_text(claim("drop", "accuracy_drop", "{rewind: 0it, level: 2}", "{kind: at_most, bound: 100.0}"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


CLAIMS = {
    "equals": claim("kept", "accuracy", "{fork: 10it}", "{kind: equals, value: 50, margin: 50}"),
    "at_least": claim("kept", "accuracy", "{fork: 10it}", STAY),
    "at_most": claim("kept", "accuracy", "{fork: 10it}", "{kind: at_most, bound: 100.0}"),
    "less_than": claim("kept", "error", "{fork: 0it}", "{kind: less_than, than: {fork: 10it}, by: -100}"),
    "first_within": claim(
        "kept", "instability", "{}", "{kind: first_within, axis: fork, threshold: 100, earliest: 0it, latest: 0it}"
    ),
    "last_within": claim(
        "kept", "instability", "{}", "{kind: last_within, axis: fork, threshold: 100, earliest: 10it, latest: 10it}"
    ),
}
THREE = ("initialisations: 2", "initialisations: 3")


def diverging(patch: Patch, seed: int, start: int = 10, order: int = 1) -> None:
    """Copies of one initialisation diverge."""
    real = Train.run

    def run(self: Any, work: Any, context: Any) -> Any:
        found = list(real(self, work, context))
        for number, one in enumerate(work):
            if one.params["order"] == f"copy/{seed}/{order}" and one.params["start"] == start:
                found[number] = TrainingDiverged("the loss was not finite at step 17 of 40")
        return found

    patch.setattr(Train, "run", run)


@pytest.mark.parametrize("kind", CLAIMS)
def test_no_verdict_on_survivors(kind: str, place: Place, monkeypatch: Patch) -> None:
    diverging(monkeypatch, 1)
    other = claim("other", "accuracy", "{fork: 0it}", STAY)
    said = place.verify(place.write(edited(instability_text(CLAIMS[kind], other), *THREE)))
    assert said.code == 3
    words = " ".join(said.out.split())
    assert "NOT RUN kept" in words
    assert "NOT RUN other" not in words  # it needs nothing that broke
    (outcome,) = json.loads(place.verify(place.root / "tiny.yaml", more=("--json",)).out)
    (why,) = [one["why"] for one in outcome["claims"] if one["id"] == "kept"]
    assert "initialisation 1" in why
    assert "not finite at step 17" in why


def test_a_number_derived_from_survivors_is_no_verdict(place: Place, monkeypatch: Patch) -> None:
    """The full network of one order diverged: drops of all levels would be against the other order alone."""
    diverging(monkeypatch, 0, start=0)
    said = place.verify(place.write(ARMS))
    assert "NOT RUN drop" in " ".join(said.out.split())


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_mean_over_the_orders_that_survived_is_no_verdict(
    seed: int, order: int, place: Place, monkeypatch: Patch
) -> None:
    """Of one order's copy at the end, whichever: the mean of what is left of an initialisation is no replicate."""
    diverging(monkeypatch, seed, start=0, order=order)
    text = instability_text(claim("ratio", "relative_distance", "{fork: 10it}", "{kind: at_most, bound: 1000}"))
    said = place.verify(place.write(edited(text, *THREE)))
    assert "NOT RUN ratio" in " ".join(said.out.split()), said.out


def test_an_evaluation_that_is_not_a_number_is_no_verdict(place: Place, monkeypatch: Patch) -> None:
    real = Evaluate.run

    def run(self: Any, work: Any, context: Any) -> Any:
        (one,), (found,) = work, real(self, work, context)
        state = one.job.inputs["state"]
        if (state.params.get("order"), state.params.get("start")) == ("copy/1/0", 10):
            found.table["loss"][0] = float("nan")
        return [found]

    monkeypatch.setattr(Evaluate, "run", run)
    said = place.verify(place.write(instability_text(CLAIMS["at_least"], claim("lines", at="{fork: 10it}"))))
    assert said.code == 3
    words = " ".join(said.out.split())
    assert "NOT RUN kept" in words
    assert "NOT RUN lines" not in words  # the line needs no evaluation


def test_fewer_replicates_by_the_users_wish_are_judged(place: Place) -> None:
    said = place.verify(place.write(edited(instability_text(), *THREE)), more=("--replicates", "2"))
    assert (said.code, "NOT RUN" in said.out) == (0, False)


def test_a_point_that_broke_in_all_initialisations_is_not_passed_over(place: Place, monkeypatch: Patch) -> None:
    for seed in (0, 1):
        diverging(monkeypatch, seed)
    said = place.verify(place.write(instability_text(CLAIMS["first_within"])))
    assert "NOT RUN kept" in " ".join(said.out.split())


def test_the_best_of_several_points_needs_them_all(place: Place, monkeypatch: Patch) -> None:
    """Every training from the first rewinding iteration diverged: the best of the others would be chosen unasked."""
    for seed in (0, 1):
        for order in (0, 1):
            diverging(monkeypatch, seed, start=0, order=order)
    best = claim("best", "best_drop", "{level: 2}", "{kind: at_most, bound: 100.0}")
    said = place.verify(place.write(edited(imp_text(best), "rewinds: [0it]", "rewinds: [0it, 10it]")))
    assert "NOT RUN best" in " ".join(said.out.split()), said.out
