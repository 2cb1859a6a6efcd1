"""Jobs without their seeds: how many kinds there are, and what readers call them."""

import pytest

from harness.errors import BrokenError
from harness.jobs.job import Job
from harness.pipeline.request import Request, prepare
from harness.protocols import protocols
from harness.protocols.common.recipe import Recipe
from harness.regress.kinds import Kind, kinds
from harness.schema.load import load
from tests.support import ROOT, SPECS


def request(name: str, **more: int) -> Request:
    return prepare(load(ROOT / "specs" / name, protocols()), "toy", ROOT / "no-such-folder", **more)


def pairs(found: dict[str, Kind]) -> set[tuple[str, str]]:
    return {(kind.label, kind.digest) for kind in found.values()}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_seeds_and_their_number_make_no_kinds(path: str) -> None:
    few = kinds(request(path, initialisations=2).plan.jobs)
    more = kinds(request(path, initialisations=3, first_seed=50).plan.jobs)
    assert pairs(few) == pairs(more)
    assert {kind.initialisation for kind in more.values()} == {50, 51, 52}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_label_names_one_kind(path: str) -> None:
    found = pairs(kinds(request(path, initialisations=1).plan.jobs))
    labels = [label for label, _ in found if label.startswith(("init", "train", "prune", "shuffle", "evaluate"))]
    assert len(labels) == len(set(labels))


def test_labels_are_readable() -> None:
    labels = {kind.label for kind in kinds(request("lenet_imp.yaml", initialisations=1).plan.jobs).values()}
    assert {
        "init",
        "init reinit",
        "train 0it → 1000it, chain",
        "train 0it → 1000it, copy, level 15",
        "train 0it → 1000it, copy, level 15, reinit",
        "train 0it → 1000it, copy, level 15, shuffle",
        "prune of (train 0it → 1000it, chain, level 14)",
        "evaluate of (init)",
    } <= labels


@pytest.mark.parametrize("seed", [3, "reinit/3", "lab/0/3"])
def test_the_number_at_a_seeds_end_is_the_replicate(seed: int | str) -> None:
    job = Job("init", {"seed": seed, "step": 0})
    assert kinds({job.key: job})[job.key].initialisation == 3


@pytest.mark.parametrize("seed", ["lab/0/a", "lab", "", None, [1, 2]])
def test_a_seed_without_a_number_at_its_end_is_told_with_its_stage(seed: object) -> None:
    job = Job("quadratic_level", {"noise": seed})
    with pytest.raises(BrokenError) as caught:
        kinds({job.key: job})
    told = str(caught.value)
    assert f"the stage 'quadratic_level' has a job without inputs whose seed noise is {seed!r}, which names" in told
    assert "a seed is a number, or a text that begins with the name of its stream and ends with a number" in told


def test_copies_that_start_late_are_another_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    before = pairs(kinds(request("lenet_stability.yaml", initialisations=1).plan.jobs))
    trunk = Recipe.trunk
    monkeypatch.setattr(Recipe, "trunk", lambda self, seed, k: trunk(self, seed, k + 1))
    assert pairs(kinds(request("lenet_stability.yaml", initialisations=1).plan.jobs)) != before
