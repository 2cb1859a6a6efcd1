"""Numbers of states, masks and evaluations: what they are, and that replicates are kept apart."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.engine.state import MASK, State
from harness.jobs.job import Job, ancestry
from harness.jobs.store import Artifact, Store
from harness.protocols.common.recipe import Recipe
from harness.regress.fingerprints import fingerprints
from harness.regress.kinds import kinds
from harness.regress.model import Number
from harness.stages import products
from harness.stages.probes import probed
from tests.stages.bench import setting

HERE = setting()


@pytest.fixture(autouse=True)
def _states_of_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The results here are made up, as no stage gives them."""
    monkeypatch.setattr(products, "wrong_with", lambda job, artifact: "")


def seen(folder: Path, results: dict[Job, Artifact], *, closely: bool = False) -> dict[str, Number]:
    store, jobs = Store(folder), ancestry(list(results))
    for job, artifact in results.items():
        store.write(job, artifact, {})
    return fingerprints(jobs, kinds(jobs), store, closely=closely)


def state(weight: float) -> Artifact:
    weights = {"a": torch.full((2,), weight), "b": torch.full((7,), weight)}
    statistics = {"x.mean": torch.tensor([3.0]), "y.mean": torch.tensor([4.0]), "x.variance": torch.tensor([2.0])}
    return Artifact(State(weights, statistics, 5).tensors())


def test_norms_of_states_by_initialisation(tmp_path: Path) -> None:
    found = seen(tmp_path, {HERE.recipe.initial(seed): state(seed + 1.0) for seed in range(3)})
    weights = found["norm of weights, init"]
    assert (weights.n, weights.logarithm) == (3, True)
    assert weights.mean == pytest.approx(math.log(3 * 6 * 9) / 3)
    assert found["norm of running means, init"].mean == pytest.approx(math.log(5.0))
    assert found["norm of running variances, init"].mean == pytest.approx(math.log(2.0))
    assert found["norm of running variances, init"].sd == 0


def test_orders_of_an_initialisation_are_averaged_not_counted(tmp_path: Path) -> None:
    start = HERE.recipe.initial(0)
    copies = [HERE.recipe.train(start, 0, 5, order=Recipe.copy_order(0, order)) for order in range(2)]
    found = seen(tmp_path, {copies[0]: state(1.0), copies[1]: state(3.0)})
    number = found["norm of weights, train 0it → 5it, copy"]
    assert (number.mean, number.n) == (pytest.approx(math.log(3 * 9) / 2), 1)


def test_what_a_training_recorded_is_seen_closely(tmp_path: Path) -> None:
    """Another measure with the same trained bits; a training without probes is seen by its norms alone."""
    plain = HERE.recipe.trunk(0, 5)
    recording = probed(plain, [0, 3], ["gradient_norm"])
    table = {"step": [0, 3], "gradient_norm": [2.0, 5.0]}
    found = seen(tmp_path / "closely", {recording: Artifact(state(1.0).tensors, table)}, closely=True)
    assert found["mean of gradient_norm, train 0it → 5it, trunk"].mean == pytest.approx(3.5)
    assert found["mean of step, train 0it → 5it, trunk"].mean == pytest.approx(1.5)
    norms = seen(tmp_path / "plain", {plain: state(1.0)})
    assert norms.keys() == found.keys() - {name for name in found if name.startswith("mean of")}
    assert seen(tmp_path / "plain closely", {plain: state(1.0)}, closely=True) == norms


def test_a_mask_is_seen_layer_by_layer(tmp_path: Path) -> None:
    """Two masks with as many weights kept, spread otherwise."""
    end = HERE.recipe.trunk(0, 5)
    mask = HERE.recipe.prune(end, None, output_layer=True, fraction=0.5)
    one, two = (
        seen(tmp_path / str(kept), {mask: Artifact({MASK + "a": bits(2, kept), MASK + "b": bits(8, 5 - kept)})})
        for kept in (1, 2)
    )
    (name,) = one
    assert name.startswith("mean density of layers, prune of (train 0it → 5it")
    assert (one[name].mean, two[name].mean) == (pytest.approx(0.5), pytest.approx(0.6875))


def bits(length: int, kept: int) -> Tensor:
    return torch.arange(length) < kept


def test_a_distance_is_compared_by_its_logarithm(tmp_path: Path) -> None:
    start = HERE.recipe.initial(0)
    job = Recipe.distance(start, HERE.recipe.trunk(0, 5))
    found = seen(tmp_path, {job: Artifact(table={"l2": [5.0]})})
    number = found["L2, distance of (init) and (train 0it → 5it, trunk)"]
    assert (number.mean, number.logarithm) == (pytest.approx(math.log(5)), True)


def test_losses_are_compared_by_their_logarithm(tmp_path: Path) -> None:
    job = HERE.recipe.evaluate(HERE.recipe.initial(0))
    table = {"split": ["test", "train"], "error": [1.0, 0.0], "loss": [2.0, 0.0]}
    found = seen(tmp_path, {job: Artifact(table=table)})
    number = found["loss on test images, evaluate of (init)"]
    assert (number.mean, number.logarithm) == (pytest.approx(math.log(2)), True)
    assert found["loss on train images, evaluate of (init)"].mean == pytest.approx(math.log(1e-12))


def test_results_that_are_not_there_are_passed_over(tmp_path: Path) -> None:
    jobs = ancestry([HERE.recipe.initial(0)])
    assert fingerprints(jobs, kinds(jobs), Store(tmp_path)) == {}
