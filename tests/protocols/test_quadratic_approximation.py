"""What is observed of planted tables, and that noise is turned into the right level."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import seeds
from harness.jobs.job import Job
from harness.measure.normal_plot import straightness
from harness.observation import Condition, Observation
from harness.protocols.common.base import Measured
from harness.protocols.common.heavy_ball import largest_stable
from harness.protocols.quadratic_approximation.observations import of_lines
from harness.protocols.quadratic_approximation.protocol import predicted_level
from tests.support import ROOT, approximation_text, request


def observed(folder: Path, lost: Sequence[str] = ()) -> Sequence[Observation]:
    """What is observed where the loss falls from 2 to 1 over 40 iterations, and Newton gets a quarter of the way."""
    path = folder / "tiny_approximation.yaml"
    path.write_text(approximation_text())
    asked = request(path)

    def read(job: Job) -> dict[str, list[Any]] | None:
        if job.stage in lost or job.stage == "parabolas":
            return None
        if job.stage == "minima":
            return {
                "band": ["top", "top", "low"],
                "rank": [1, 2, 50],
                "spread": [0.1, 0.3, 9.0],
                "r2": [0.9, 1.0, 0.5],
                "rejected": [True, False, None],
                "curvature": [4.0, 2.0, -1.0],
                "sd": [0.5, 1.0, None],
                "slope": [-1.0] * 3,
            }
        if job.stage == "gradient_noise":
            return {"eigenvalue": [2.0, -3.0, 1e9], "sd": [0.4, 1.0, 1.0]}
        here = 2 - job.inputs["state"].params.get("stop", 0) / 40
        return {"share": [1.0, 0.1, 0.01], "loss": [here, here - 0.25, None], "here": [here] * 3}

    return asked.protocol.observe(asked.setting, read)


def value(observations: Sequence[Observation], quantity: str, **at: Condition) -> list[float]:
    return [
        one.value
        for one in observations
        if one.quantity == quantity and one.initialisation == 0 and {**one.at, **at} == one.at
    ]


def test_planted_tables_are_observed(tmp_path: Path) -> None:
    found = observed(tmp_path)
    assert value(found, "fit_r2", checkpoint=0, band="top") == [0.95]
    assert value(found, "curvature_spread", checkpoint=0, band="top") == [0.2]
    assert value(found, "with_minimum", checkpoint=0) == [100.0, 0.0]
    share, none = value(found, "rejected_share", checkpoint=0)
    assert share == 50.0
    assert math.isnan(none), "no minima, no share"
    assert value(found, "sigma_slope", checkpoint=40) == [-1.0]
    assert value(found, "minimum_sd", checkpoint=0, rank=2) == [1.0]
    assert value(found, "fitted_curvature", checkpoint=0) == [4.0, 2.0]
    assert value(found, "loss", checkpoint=20) == [1.5]
    assert value(found, "newton_loss", checkpoint=20) == [1.25]
    assert value(found, "threshold_loss", checkpoint=20) == [1.5, 1.25]
    assert value(found, "explained", checkpoint=0) == [25.0]
    assert value(found, "explained", checkpoint=20) == [50.0]
    assert value(found, "explained", checkpoint=40) == [], "nothing falls after the end"


def lines(folder: Path, losses: np.ndarray, minima: Sequence[float | None]) -> dict[tuple[str, str], Observation]:
    """(quantity, band) -> what a table of parabolas says of batches [N, 5] along one top direction."""
    path = folder / "tiny_approximation.yaml"
    path.write_text(approximation_text())
    asked = request(path)
    count = len(losses)
    table: dict[str, list[Any]] = {
        "band": ["top"] * count,
        "rank": [1] * count,
        "batch": list(range(count)),
        "curvature": [1.0] * count,
        "minimum": list(minima),
        "reach": [1.0] * count,
        **{f"loss_{point}": losses[:, point].tolist() for point in range(5)},
    }
    measurement = next(one for one in asked.protocol.measurements(asked.setting) if one.job.stage == "parabolas")
    seen = of_lines(Measured(asked.setting, measurement, table, lambda job: None))
    return {(one.quantity, str(one.at["band"])): one for one in seen}


PLACES = np.linspace(-1, 1, 5)


def test_a_slope_hides_neither_a_parabola_nor_its_absence(tmp_path: Path) -> None:
    """A straight line has an R² of more than 0.99 through both."""
    normal = seeds.normal(seeds.stream("test", "minima"), 64).tolist()
    slope = 1 + np.outer(np.linspace(1, 2, 64), 9 * PLACES)
    parabolas = lines(tmp_path, slope + PLACES**2, normal)
    assert parabolas["parabola_over_line", "top"].value == pytest.approx(1.0)
    assert parabolas["normal_plot_r2", "top"].value == straightness(normal)
    assert lines(tmp_path, slope + PLACES**3, normal)["parabola_over_line", "top"].value == pytest.approx(0, abs=1e-9)


def test_lines_and_minima_that_tell_nothing_say_why(tmp_path: Path) -> None:
    straight = lines(tmp_path, 1 + np.outer(np.ones(64), PLACES) + 1e-9 * PLACES**2, [None] * 64)
    assert "leave a straight line by rounding only" in str(straight["parabola_over_line", "top"].why)
    assert "none is tested" in str(straight["normal_plot_r2", "top"].why)
    equal = lines(tmp_path, 1 + np.outer(np.ones(64), PLACES**2), [0.5] * 64)
    assert "none is tested" in str(equal["normal_plot_r2", "top"].why)
    rounding = lines(tmp_path, 1 + np.outer(np.ones(64), PLACES**2), [1e-9 * number for number in range(64)])
    assert "no further apart than rounding" in str(rounding["normal_plot_r2", "top"].why)


def test_the_level_is_that_of_the_rate_that_led_to_the_checkpoint(tmp_path: Path) -> None:
    found = observed(tmp_path)
    noise = {"eigenvalue": [2.0], "sd": [0.4]}
    assert value(found, "overprediction", checkpoint=0) == []
    assert value(found, "overprediction", checkpoint=20) == [pytest.approx(4 * predicted_level(noise, 0.1, 0.9))]
    assert value(found, "overprediction", checkpoint=40) == [pytest.approx(4 * predicted_level(noise, 0.001, 0.9))]


@pytest.mark.parametrize(
    ("lost", "gone"),
    [
        ("newton", {"loss", "newton_loss", "threshold_loss", "explained", "overprediction"}),
        ("gradient_noise", {"overprediction"}),
        ("minima", {"fit_r2", "curvature_spread", "with_minimum", "rejected_share", "sigma_slope", "minimum_sd"}),
    ],
)
def test_a_lost_table_takes_what_rests_on_it(tmp_path: Path, lost: str, gone: set[str]) -> None:
    whole, rest = ({one.quantity for one in observed(tmp_path, names)} for names in ([], [lost]))
    assert rest == whole - gone - ({"fitted_curvature"} if lost == "minima" else set())


def test_the_predicted_level_is_that_of_simulated_descent() -> None:
    """Heavy ball on (λ/2) x² with independent noise on the gradient."""
    rate, momentum, steps, chains = 0.3, 0.5, 300, 4000
    curvatures, deviations = np.array([2.0, 0.5]), np.array([1.0, 0.7])
    noise = seeds.normal(seeds.stream("test", 8), steps * chains * 2).reshape(steps, chains, 2).numpy()
    x, v = np.zeros((chains, 2)), np.zeros((chains, 2))
    for each in noise:
        v = momentum * v + curvatures * x + deviations * each
        x = x - rate * v
    simulated = (curvatures * x**2 / 2).mean(0).sum()
    table = {"eigenvalue": curvatures.tolist(), "sd": deviations.tolist()}
    assert predicted_level(table, rate, momentum) == pytest.approx(simulated, rel=0.06)


def test_directions_without_a_level_are_left_out() -> None:
    edge = largest_stable(0.1, 0.9)
    noise = {"eigenvalue": [edge * 1.01, 0.0, -1.0], "sd": [1.0] * 3}
    assert predicted_level(noise, 0.1, 0.9) == 0
    assert predicted_level({"eigenvalue": [edge * 0.99], "sd": [1.0]}, 0.1, 0.9) > 0


@pytest.mark.parametrize("scale", ["toy", "paper"])
def test_the_shipped_spec_shares_its_hessians(scale: str) -> None:
    hessians = [
        {
            key
            for key, job in request(ROOT / "specs" / f"{name}.yaml", scale).plan.jobs.items()
            if job.stage == "hessian"
        }
        for name in ("quadratic_approximation", "hessian_spectrum")
    ]
    assert hessians[0]
    assert hessians[0] <= hessians[1]
