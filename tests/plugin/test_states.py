"""A stage from outside that gives states: it moves one, of any number format, with its optimiser or without."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.engine.state import State
from harness.jobs.job import Job
from harness.jobs.store import Artifact, Store
from harness.stages import products
from tests.plugin.lab import forget, installed
from tests.stages.bench import ADAM, SGD, setting
from tests.stages.test_train import execute_here

PACKAGE = """
from harness.jobs.stage_row import Row
from harness.protocols.common.base import Experiment

class Own(Experiment):
    name = "own"

PROTOCOL = Own()
STAGES = [
    Row(name="lab_perturb", version=1, gives="state", rows=0, fingerprint="norms of the state", module="lab_x.perturb")
]
"""
STAGE = """
from dataclasses import replace
from harness.jobs.store import Artifact
from harness.stages.base import Stage

class Perturb(Stage):
    def run(self, work, context):
        (perturbation,) = work
        state, params = perturbation.state(), perturbation.params
        weights = {name: value * (1 + params["by"]) for name, value in state.weights.items()}
        optimiser = state.optimiser if params["carry"] else {}
        return [Artifact(replace(state, weights=weights, optimiser=optimiser).tensors())]

STAGE = Perturb()
"""


@pytest.fixture(autouse=True)
def _lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    folder = installed(tmp_path / "lab", "lab_x", PACKAGE)
    (folder / "lab_x" / "perturb.py").write_text(STAGE)
    monkeypatch.syspath_prepend(folder)
    forget("lab_x")
    yield
    forget("lab_x")


def perturbed(state: Job, *, carry: bool) -> Job:
    return Job("lab_perturb", {"by": 0.01, "carry": carry}, {"state": state})


@pytest.mark.parametrize("optimiser", [SGD, ADAM], ids=["sgd", "adam"])
@pytest.mark.parametrize("carry", [True, False])
def test_a_moved_state_is_kept_and_trained_on(carry: bool, optimiser: Mapping[str, Any], tmp_path: Path) -> None:
    here = setting(optimiser=optimiser)
    assert here.recipe.training.precision == "fp64"
    moved = perturbed(here.recipe.trunk(0, 6), carry=carry)
    how = "carried" if carry else "reset"
    end = here.recipe.train(moved, 6, 9, order="copy/0/0", optimiser_state=how)
    assert execute_here([end], tmp_path / "store").failed == {}
    state = products.read(Store(tmp_path / "store"), moved)
    assert all(value.dtype == torch.float64 for value in State.of(state.tensors).weights.values())
    assert bool(State.of(state.tensors).optimiser) is carry


def test_the_fresh_state_of_an_initialisation_can_be_moved(tmp_path: Path) -> None:
    moved = perturbed(setting().recipe.initial(0), carry=True)
    assert execute_here([moved], tmp_path / "store").failed == {}


DAMAGE: Mapping[str, tuple[Any, str]] = {
    "half of an optimiser": (lambda tensors: tensors.pop("optimiser:first"), "has no tensor 'optimiser:first'"),
    "another precision": (
        lambda tensors: tensors.update({"weight:output.bias": tensors["weight:output.bias"].float()}),
        "has a tensor 'weight:output.bias' of torch.float32 and shape (3,), where torch.float64",
    ),
    "a tensor too many": (
        lambda tensors: tensors.update({"optimiser:velocity": torch.zeros(1)}),
        "has a tensor 'optimiser:velocity', which its stage does not give",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_moved_state_of_another_form_is_refused(damage: str, tmp_path: Path) -> None:
    change, words = DAMAGE[damage]
    moved, store = perturbed(setting(optimiser=ADAM).recipe.trunk(0, 6), carry=True), Store(tmp_path / "store")
    assert execute_here([moved], store.root).failed == {}
    good = store.read(moved)
    assert products.wrong_with(moved, good) == ""
    tensors = dict(good.tensors)
    change(tensors)
    assert words in products.wrong_with(moved, Artifact(tensors))


def test_a_training_must_keep_the_optimiser_that_it_says() -> None:
    trunk = setting().recipe.trunk(0, 6)
    due = products.product_of(trunk)
    assert due.tensors is not None
    assert "optimiser:velocity" in due.tensors
    assert due.with_them == {}
