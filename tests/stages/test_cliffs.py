"""The stages around a loss cliff, on a small network with planted eigenvectors."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from harness.engine.state import STEP, State
from harness.errors import BrokenError, HarnessError, RequestError
from harness.jobs.job import Job
from harness.measure.plane import curvatures
from harness.protocols.common.curvature import ObjectiveOptions, loss
from harness.protocols.common.setting import TrainingSetting
from harness.protocols.loss_cliffs import jobs as cliff_jobs
from harness.protocols.loss_cliffs.options import CliffOptions, GatingOptions, PlaneOptions
from harness.stages.objective import flat_weights
from harness.steps import Duration
from tests.engine.oracles import TINY_LENET
from tests.stages.bench import Bench, setting

OBJECTIVE = ObjectiveOptions(examples=12, chunk=6, precision="fp64")
SIZE = 317


def _setting(**gating: float | int) -> TrainingSetting:
    options = CliffOptions(
        width=Duration(2, "it"),
        every=Duration(1, "it"),
        objective=OBJECTIVE,
        plane=PlaneOptions(points=3, margin=0.5),
        gating=GatingOptions.model_validate({"dimensions": 3, "steps": 4, **gating}),
    )
    return replace(setting(TINY_LENET, augment={"flip": False, "crop_padding": 0}), options=options)


def _planted(bench: Bench, job: Job) -> Tensor:
    """Puts a turned basis of eigenvectors in the place of a Hessian's; gives it."""
    basis = torch.linalg.qr(torch.randn(SIZE, SIZE, generator=torch.Generator().manual_seed(0)).double()).Q.float()
    bench.plant(job, {"eigenvectors": basis, "eigenvalues": torch.linspace(20, -5, SIZE, dtype=torch.float64)})
    return basis


def _flat(bench: Bench, here: TrainingSetting, job: Job) -> Tensor:
    network = bench.context().network(
        loss(here.recipe, job, OBJECTIVE).params, bench.context().images(_data(here), "fp64")
    )
    return flat_weights(network, State.of(bench[job].tensors).weights, torch.float64)


def _data(here: TrainingSetting) -> dict[str, object]:
    return dict(here.recipe.measuring["data"])


def _refused(bench: Bench, job: Job) -> HarnessError:
    (found,) = bench.together(job)
    assert isinstance(found, HarnessError)
    return found


def test_displacement_is_spread_over_the_eigenvectors() -> None:
    here, bench = _setting(), Bench()
    basis = _planted(bench, cliff_jobs.hessian(here, here.recipe.trunk(0, 10)))
    moved = _flat(bench, here, here.recipe.trunk(0, 12)) - _flat(bench, here, here.recipe.trunk(0, 10))
    table = bench[cliff_jobs.displacement(here, 0, 10)].table
    assert sum(table["share"]) == pytest.approx(100, rel=1e-5)
    assert table["share"][7] == pytest.approx(100 * float((basis[7].double() @ moved) ** 2 / (moved @ moved)))
    assert (table["eigenvalue"][0], table["eigenvalue"][-1]) == (20, -5)
    weights = _flat(bench, here, here.recipe.trunk(0, 10))
    along = weights / weights.norm()
    assert table["along_weights"][0] == pytest.approx(100 * float((along @ moved) ** 2 / (moved @ moved)))
    beside = moved - (along @ moved) * along
    assert table["transverse"][7] == pytest.approx(100 * float((basis[7].double() @ beside) ** 2 / (beside @ beside)))


def test_a_state_that_did_not_move_has_no_displacement() -> None:
    here, bench = _setting(), Bench()
    job = cliff_jobs.displacement(here, 0, 10)
    still = Job(job.stage, job.params, {**job.inputs, "after": job.inputs["before"]})
    assert "did not move" in str(_refused(bench, still))


def test_the_plane_holds_the_losses_of_its_states() -> None:
    here, bench = _setting(), Bench()
    table = bench[cliff_jobs.plane(here, 0, 10)].table
    assert table["kind"] == ["grid"] * 9 + ["earlier0", "earlier1", "state", "after"]
    for place, step in ((9, 8), (10, 9), (11, 10), (12, 12)):
        own = bench[loss(here.recipe, here.recipe.trunk(0, step), OBJECTIVE)].table["loss"][0]
        assert table["loss"][place] == pytest.approx(own, rel=1e-9)
    assert (table["x"][12], table["y"][12]) == pytest.approx((1, 0), abs=1e-9)
    assert table["y"][11] == pytest.approx(1)
    earlier = [table["x"][9] + table["x"][10], table["y"][9] + table["y"][10]]
    assert earlier == pytest.approx([0, 0], abs=1e-9)


def test_the_plane_is_of_the_states_around_the_cliff() -> None:
    """The lengths of its axes are those of the way, and the loss on the grid is that of the points there."""
    here, bench = _setting(), Bench()
    a, b, before, after = (_flat(bench, here, here.recipe.trunk(0, step)) for step in (8, 9, 10, 12))
    table = bench[cliff_jobs.plane(here, 0, 10)].table
    along = after - (a + b) / 2
    assert table["length_along"] == pytest.approx([float(along.norm())] * 13)
    across = before - (a + b) / 2
    across -= along * (across @ along) / (along @ along)
    assert table["length_across"] == pytest.approx([float(across.norm())] * 13)
    assert all(abs(value) < 1e3 for value in curvatures(table["x"][:9], table["y"][:9], table["loss"][:9]))


def test_descent_moves_in_the_top_eigenvectors_alone_and_lowers_the_loss() -> None:
    here, bench = _setting(), Bench()
    start = here.recipe.trunk(0, 10)
    basis = _planted(bench, cliff_jobs.hessian(here, start))
    end = cliff_jobs.descent(here, 0, 10, "top")
    moved = basis.double() @ (_flat(bench, here, end) - _flat(bench, here, start))
    assert float(moved[:3].norm()) > 1e-6
    assert float(moved[3:].norm()) < 1e-5 * float(moved[:3].norm())
    table = bench[end].table
    assert table["after"][0] < table["before"][0]
    for job, column in ((start, "before"), (end, "after")):
        assert bench[loss(here.recipe, job, OBJECTIVE)].table["loss"][0] == pytest.approx(table[column][0], rel=1e-9)


def test_random_descent_moves_elsewhere_and_its_end_is_a_state() -> None:
    here, bench = _setting(), Bench()
    start = here.recipe.trunk(0, 10)
    top, other = (cliff_jobs.descent(here, 0, 10, subspace) for subspace in ("top", "random"))
    assert not torch.allclose(_flat(bench, here, top), _flat(bench, here, other))
    assert int(bench[other].tensors[STEP]) == 10
    assert State.of(bench[other].tensors).buffers.keys() == State.of(bench[start].tensors).buffers.keys()
    eigenvalues = bench[cliff_jobs.hessian(here, other)].tensors["eigenvalues"]
    assert len(eigenvalues) == SIZE


def test_descent_that_cannot_be_is_an_error() -> None:
    here, bench = _setting(dimensions=SIZE + 1), Bench()
    found = _refused(bench, cliff_jobs.descent(here, 0, 10, "top"))
    assert isinstance(found, RequestError)
    assert "found 318 dimensions of 317" in str(found)
    here = _setting()
    downwards = -torch.linspace(1, 2, SIZE, dtype=torch.float64)
    bench.plant(cliff_jobs.hessian(here, here.recipe.trunk(0, 10)), {"eigenvalues": downwards})
    found = _refused(bench, cliff_jobs.descent(here, 0, 10, "top"))
    assert isinstance(found, BrokenError)
    assert "the largest eigenvalue is -1" in str(found)
