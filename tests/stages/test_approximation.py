"""The stages of the quadratic approximation, on a small network and on losses that are planted quadratics."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from harness import seeds, stages
from harness.errors import BrokenError
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure.curvature import Objective
from harness.measure.newton import components
from harness.protocols.common import curvature
from harness.protocols.common.bands import BandOptions
from harness.protocols.common.setting import TrainingSetting
from harness.protocols.quadratic_approximation.options import (
    QuadraticApproximationOptions,
    gradient_noise,
    minima,
    newton,
    parabolas,
)
from harness.stages.base import Work
from tests.engine.oracles import TINY_LENET
from tests.stages.bench import Bench, setting

SIZE = 317


def here(batch: int = 23, **changed: float) -> TrainingSetting:
    """LeNet in double precision; a batch of 23 is all there is, in some order."""
    options = QuadraticApproximationOptions(
        objective=curvature.ObjectiveOptions(precision="fp64"),
        bands=BandOptions(top=3, middle=9),
        directions=3,
        batches=6,
        rise=1e-9,
        thresholds=4,
    ).model_copy(update=changed)
    plain = {"flip": False, "crop_padding": 0}
    return replace(setting(TINY_LENET, batch=batch, rate=0.02, augment=plain), options=options)


def jobs(setting: TrainingSetting) -> tuple[Job, Job]:
    state = setting.recipe.trunk(0, 8)
    return state, curvature.hessian(setting.recipe, state, setting.options.objective)


def planted(bench: Bench, hessian: Job) -> Tensor:
    """The axes as eigenvectors, with eigenvalues from 8 to -2, in the place of the Hessian's."""
    values = torch.linspace(8, -2, SIZE, dtype=torch.float64)
    bench.made[hessian.key] = Artifact({"eigenvalues": values, "eigenvectors": torch.eye(SIZE)})
    return values


def test_parabolas_of_the_whole_training_set_have_the_curvatures_of_its_hessian() -> None:
    bench, asked = Bench(), here()
    state, hessian = jobs(asked)
    table = bench[parabolas(asked, state, hessian, 0)].table
    assert len(table["rank"]) == 9 * 6
    values = bench[hessian].tensors["eigenvalues"].tolist()
    assert table["eigenvalue"] == [values[rank - 1] for rank in table["rank"]]
    assert table["rank"][: 3 * 6 : 6] == [1, 2, 3]
    top = [row for row, band in enumerate(table["band"]) if band == "top"]
    assert [table["curvature"][row] for row in top] == pytest.approx(
        [table["eigenvalue"][row] for row in top], rel=1e-3
    )
    assert min(table["r2"][row] for row in top) > 1 - 1e-6
    slopes = bench[gradient_noise(asked, state, hessian, 0)].table
    for row in top:
        expected = -slopes["mean"][table["rank"][row] - 1] / table["eigenvalue"][row]
        assert table["minimum"][row] == pytest.approx(expected, rel=1e-2)
    assert max(slopes["sd"]) < 1e-9, "every batch is the same"


def test_lines_reach_to_an_equal_rise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted quadratics with a minimum of each batch's own: curvature, place and R² are recovered exactly."""
    bench, asked = Bench(), here(batch=5, rise=0.04, flattest=0.25)
    state, hessian = jobs(asked)
    values = planted(bench, hessian)
    count = iter(range(6))

    def quadratic(batch: Objective, points: Tensor) -> Tensor:
        start = points.unflatten(0, (9, 5))[:, 2].mean(0)  # the middle of every line is the state
        place = 0.01 * next(count)
        return (values * (points - start - place).square()).sum(1) / 2 + 1.5

    monkeypatch.setattr("harness.stages.parabolas.losses_at", quadratic)
    table = bench[parabolas(asked, state, hessian, 0)].table
    assert table["curvature"] == pytest.approx(table["eigenvalue"], rel=1e-6)
    assert table["r2"] == pytest.approx([1.0] * len(table["r2"]), abs=1e-9)
    for row, value in enumerate(table["eigenvalue"]):
        assert table["reach"][row] == pytest.approx((0.08 / max(abs(value), 2.0)) ** 0.5)
        expected = pytest.approx(0.01 * table["batch"][row], abs=1e-6) if value > 0 else None
        assert table["minimum"][row] == expected


def test_batches_are_drawn_from_all_examples_and_differ() -> None:
    bench, asked = Bench(), here(batch=5)
    state, hessian = jobs(asked)
    table = bench[parabolas(asked, state, hessian, 0)].table
    assert len(set(table["loss_2"][:6])) == 6
    middle = [table["loss_2"][start : start + 6] for start in range(0, 54, 6)]
    assert all(one == pytest.approx(middle[0], rel=1e-12) for one in middle), "one set of batches for all directions"
    other = bench[parabolas(asked, state, hessian, 1)].table
    assert other["loss_2"][:6] != table["loss_2"][:6]


def test_noise_is_that_of_the_gradients_of_batches() -> None:
    bench, asked = Bench(), here(batch=5)
    state, hessian = jobs(asked)
    noise, lines = (
        bench[gradient_noise(asked, state, hessian, 0)].table,
        bench[parabolas(asked, state, hessian, 0)].table,
    )
    slopes = torch.tensor([-c * m for c, m in zip(lines["curvature"][:6], lines["minimum"][:6], strict=True)])
    assert noise["mean"][0] == pytest.approx(float(slopes.double().mean()), rel=1e-3)
    assert noise["sd"][0] == pytest.approx(float(slopes.double().std()), rel=1e-3)


def test_minima_that_are_not_normal_are_found_out() -> None:
    normal = seeds.normal(seeds.stream("test", 11), 64 * 8).reshape(8, 64)
    places = [*normal[:4].tolist(), *normal[4:6].exp().tolist(), [*normal[6].tolist()[:63], None], normal[7].tolist()]
    curvatures = [4.0 ** (rank + 1) for rank in range(8)]
    width = [curvature**-0.5 for curvature in curvatures]
    table = {
        "band": ["top"] * 4 * 64 + ["middle"] * 4 * 64,
        "rank": [rank + 1 for rank in range(8) for _ in range(64)],
        "eigenvalue": [1.0] * 8 * 64,
        "batch": list(range(64)) * 8,
        "curvature": [curvature for curvature in curvatures for _ in range(64)],
        "minimum": [None if one is None else one * width[rank] for rank, some in enumerate(places) for one in some],
        "r2": [0.9 if batch % 2 else 0.5 for _ in range(8) for batch in range(64)],
    }
    asked = here()
    job = minima(Job("parabolas", {}), asked.options)
    (found,) = stages.find("minima").run([Work(job, {"parabolas": Artifact(table=table)})], Bench().context())
    assert isinstance(found, Artifact)
    assert found.table["rejected"] == [False] * 4 + [True, True, None, False]
    assert found.table["sd"][6] is None
    assert found.table["curvature"] == curvatures
    assert found.table["spread"] == [0.0] * 8
    assert found.table["r2"] == [0.7] * 8
    assert found.table["slope"][0] == pytest.approx(-0.5, abs=0.15)


def test_newton_explains_all_of_a_quadratic(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, asked = Bench(), here()
    state, hessian = jobs(asked)
    values = planted(bench, hessian).abs()
    bench.made[hessian.key] = Artifact(
        {"eigenvalues": values.sort(descending=True).values, "eigenvectors": torch.eye(SIZE)}
    )
    values = bench[hessian].tensors["eigenvalues"]

    def quadratic(objective: Objective, points: Tensor) -> Tensor:
        return (values * (points - 0.3).square()).sum(-1) / 2

    monkeypatch.setattr("harness.stages.newton.losses_at", quadratic)
    monkeypatch.setattr(
        "harness.stages.newton.gradient",
        lambda objective, weights: (float(quadratic(objective, weights)), values * (weights - 0.3)),
    )
    table = bench[newton(asked, state, hessian)].table
    assert table["share"] == pytest.approx([1, 10 ** (-4 / 3), 10 ** (-8 / 3), 1e-4])
    assert table["threshold"] == pytest.approx([8 * share for share in table["share"]])
    assert table["loss"] == pytest.approx(table["predicted"], abs=1e-9)
    assert table["loss"] == sorted(table["loss"], reverse=True)
    assert table["loss"][-1] == pytest.approx(0, abs=1e-3 * table["here"][0])


def test_newton_starts_from_the_loss_and_knows_its_gradient() -> None:
    bench, asked = Bench(), here()
    state, hessian = jobs(asked)
    table = bench[newton(asked, state, hessian)].table
    loss = bench[curvature.loss(asked.recipe, state, asked.options.objective)].table
    assert table["here"] == loss["loss"] * 4
    slopes = bench[gradient_noise(asked, state, hessian, 0)].table["mean"]
    value = bench[hessian].tensors["eigenvalues"][0]
    assert table["length"][0] == pytest.approx(abs(slopes[0] / float(value)), rel=1e-6)
    assert table["predicted"][0] == pytest.approx(table["here"][0] - slopes[0] ** 2 / float(value) / 2, rel=1e-9)


@pytest.mark.parametrize(
    ("values", "plan", "message"),
    [
        (torch.zeros(SIZE), lambda here, state, hessian: parabolas(here, state, hessian, 0), "no scale for lines"),
        (-torch.ones(SIZE), newton, "largest eigenvalue is -1: the local quadratic has no minimum"),
    ],
)
def test_a_hessian_that_says_nothing_is_told(values: Tensor, plan: object, message: str) -> None:
    bench, asked = Bench(), here()
    state, hessian = jobs(asked)
    bench.made[hessian.key] = Artifact({"eigenvalues": values.double(), "eigenvectors": torch.eye(SIZE)})
    assert callable(plan)
    with pytest.raises(BrokenError, match=message):
        assert bench[plan(asked, state, hessian)]


def test_components_are_inner_products() -> None:
    vectors = seeds.normal(seeds.stream("test", 7), 15).reshape(5, 3)
    torch.testing.assert_close(
        components(vectors.float(), vectors[0].float()), vectors @ vectors[0], rtol=1e-6, atol=1e-6
    )
