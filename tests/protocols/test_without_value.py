"""Numbers that would mean nothing are none: a reason stands in their place, up to the report."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.jobs.job import Job
from harness.jobs.store import Table
from harness.observation import NoValue, Observation, observed, ratio
from harness.pipeline.request import Request
from harness.protocols.common import series
from harness.protocols.common.base import Experiment, Measured, Read
from harness.protocols.common.curvature import Eigenvalue
from harness.protocols.edge_of_stability import protocol as edge_of_stability
from harness.protocols.hessian_spectrum.observations import Spectrum, mass
from harness.protocols.loss_cliffs import observations
from harness.protocols.loss_cliffs.jobs import gated_from
from harness.protocols.loss_cliffs.protocol import PROTOCOL as CLIFFS
from harness.protocols.noisy_quadratic import protocol as noisy_quadratic
from harness.protocols.quadratic_approximation import protocol as quadratic_approximation
from harness.protocols.quadratic_approximation.observations import of_minima
from tests.support import (
    Place,
    approximation_text,
    claim,
    cliffs_text,
    edited,
    instability_text,
    quadratic_text,
    request,
    spectrum_text,
)


def asked(folder: Path, text: str, name: str) -> Request:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return request(path)


def seen(
    protocol: Experiment[Any], setting: Any, reads: Any, table: Table, read: Read = lambda job: None
) -> list[Observation]:
    """What a table says by the first measurement that a function reads."""
    one = next(one for one in protocol.measurements(setting) if one.reads is reads)
    return list(reads(Measured(setting, one, table, read)))


def words(found: float | NoValue) -> str:
    assert isinstance(found, NoValue), f"{found} is a value"
    return found.why


def test_a_convex_loss_has_no_negative_part_to_halve(tmp_path: Path) -> None:
    """Softmax regression: nothing of its Hessian is negative, whatever the rounding's signs."""
    halves = claim("halves", "negative_ratio", "{}", "{kind: at_most, bound: 0.5}")
    share = claim("share", "negative_share", "{}", "{kind: at_most, bound: 0.0}")
    text = spectrum_text(halves, share)
    text = edited(text, "{name: resnet, widths: [4], blocks: 1, activation: gelu}", "{name: lenet, hidden: []}")
    place = Place(tmp_path)
    said = place.verify(place.write(edited(text, "parameters: 398", "parameters: 650")))
    assert said.code == 1, said.out + said.err
    (report,) = place.reports.glob("*-toy.json")
    claims = {one["id"]: one for one in json.loads(report.read_text())["claims"]}
    assert (claims["share"]["verdict"], claims["share"]["estimate"]["value"]) == ("HOLDS", 0.0)
    assert (claims["halves"]["verdict"], claims["halves"]["estimate"]) == ("NOT RUN", None)
    assert "no eigenvalue is negative beyond the error of" in claims["halves"]["why"]
    for suffix in ("html", "md", "json"):
        (shown,) = place.reports.glob(f"*-toy.{suffix}")
        text = shown.read_text()
        assert "no eigenvalue is negative beyond the error of" in " ".join(text.split())
        assert not [part for part in (">nan", " nan", "NaN", "not a number") if part in text], shown.name
    (shown,) = place.reports.glob("*-toy.md")
    assert any("NOT RUN" in line and "| – |" in line for line in shown.read_text().splitlines())


def test_a_ratio_is_of_numbers_that_are_known() -> None:
    assert ratio(3.0, -2.0, error=1.0, of="x") == -1.5
    assert words(ratio(1.0, 0.0, error=0.0, of="the length")) == "the length is 0"
    assert "no more than its error of 1e-6" in words(ratio(1.0, -1e-7, error=1e-6, of="the length"))
    assert isinstance(ratio(1.0, 5e-324, error=0.0, of="x"), NoValue)


def test_a_point_without_a_value_is_not_drawn() -> None:
    values: Mapping[int, list[float | NoValue]] = {0: [1.0, 2.0], 1: [3.0, NoValue("x")], 2: [5.0, 6.0]}
    found = [observed("q", {"k": k}, seed, 0, value) for k, pair in values.items() for seed, value in enumerate(pair)]
    line = series.curve(found, "q", "k", {}, label="q", role="q")
    assert (line.x, line.y) == ([0.0, 2.0], [1.5, 5.5])
    assert series.pick(found, "q", {"k": 1}) == {0: [3.0]}


def test_copies_are_not_measured_by_a_way_of_no_length(tmp_path: Path) -> None:
    request = asked(tmp_path, instability_text(), "tiny")
    columns: dict[str, list[Any]] = {"split": ["train", "test"], "cosine": [None] * 2, "disagreements": [0] * 2}
    columns |= {"l2": [0.0] * 2, "loss_l2": [0.0] * 2}

    def read(job: Any) -> Any:
        return columns if job.stage in ("compare", "distance") else None

    found = {one.quantity: one for one in request.protocol.observe(request.setting, read)}
    assert found["relative_distance"].why == "the length of the way from the first weights is 0"
    assert found["cosine_distance"].why == "the weights of a copy are all zero: they have no direction"
    assert found["l2_distance"].value == 0.0


def test_a_loss_that_is_rounding_falls_by_no_share_of_it(tmp_path: Path) -> None:
    setting = asked(tmp_path, cliffs_text(), "tiny_cliffs").setting
    (known,) = seen(CLIFFS, setting, observations.descended, {"before": [2.0], "after": [1.0]})
    assert known.value == 50.0
    (lost,) = seen(CLIFFS, setting, observations.descended, {"before": [5e-7], "after": [1e-7]})
    assert lost.why == "the loss before is 5e-7, no more than its error of 1e-6"


def test_a_gated_spectrum_is_compared_with_what_is_known_of_it(tmp_path: Path) -> None:
    setting = asked(tmp_path, cliffs_text(), "tiny_cliffs").setting

    def left(before: list[float], after: list[float]) -> dict[str, Observation]:
        starts = [gated_from(setting, seed) for seed in setting.replicates.seeds]

        def read(job: Job) -> Table | None:
            return {"eigenvalue": before if job in starts else after} if job.stage == "hessian" else None

        return {one.quantity: one for one in CLIFFS.derived(setting, [], read)}

    known = left([2.0, -1.0], [1.0, -0.25])
    assert (known["negative_after"].value, known["negative_over_positive_after"].value) == (0.25, 0.5)
    convex = left([2.0, -1e-7], [2.0, -1e-8])
    for quantity in ("negative_after", "negative_over_positive_after"):
        assert "negative eigenvalues before the descent, as far as" in str(convex[quantity].why)
    concave = left([1e-7, -1.0], [1.0, -1.0])
    assert concave["negative_after"].value == 1.0
    assert "positive eigenvalues before the descent" in str(concave["negative_over_positive_after"].why)


def test_where_no_curvature_is_positive_none_is_low(tmp_path: Path) -> None:
    setting = asked(tmp_path, cliffs_text(), "tiny_cliffs").setting
    columns = {"eigenvalue": [-1.0, -2.0], "share": [50.0, 50.0], "transverse": [50.0, 50.0]}
    found = seen(CLIFFS, setting, observations.displaced, {**columns, "along_weights": [0.0, 0.0]})
    without = {one.quantity for one in found if one.why}
    assert without == {"low_share", "transverse_low_share", "low_share_over_null"}
    flat = {**columns, "eigenvalue": [2.0, 2.0], "along_weights": [0.0, 0.0]}
    none = {one.quantity: one.why for one in seen(CLIFFS, setting, observations.displaced, flat)}
    assert none["low_share_over_null"] == "the share of directions below 0.01 of the largest is 0"


def newton(here: float, *losses: float | None) -> dict[str, list[Any]]:
    return {"here": [here] * len(losses), "loss": list(losses)}


def test_what_a_fall_that_is_rounding_explains_is_nothing(tmp_path: Path) -> None:
    setting = asked(tmp_path, approximation_text(), "tiny_approximation").setting
    explained = quadratic_approximation._explained
    assert explained(setting, newton(2.0, 1.5), newton(1.0, 1.0)) == pytest.approx(50.0)
    assert "does not fall until the end: 1 here and 2 there" in words(
        explained(setting, newton(1.0, 0.5), newton(2.0, 1.0))
    )
    tiny = words(explained(setting, newton(1.0, 0.5), newton(1.0 - 5e-7, 1.0)))
    assert tiny == "the fall of the loss until the end is 5e-7, no more than its error of 1e-6"
    assert "ends at a finite loss" in words(explained(setting, newton(1.0, None), newton(0.5, 0.5)))
    noise = {"eigenvalue": [1.0], "sd": [1.0]}
    over = quadratic_approximation._overpredicted
    assert isinstance(over(setting, newton(1.0, 0.5), noise, 20), float)
    assert "lowers the loss of 1" in words(over(setting, newton(1.0, 1.5), noise, 20))
    assert "no more than its error" in words(over(setting, newton(1.0, 1.0 - 5e-7), noise, 20))


def test_parabolas_through_rounding_have_no_curvature(tmp_path: Path) -> None:
    request = asked(tmp_path, approximation_text(), "tiny_approximation")
    table: dict[str, list[Any]] = {
        "band": ["top", "low", "low"],
        "rank": [1, 9, 10],
        "eigenvalue": [2.0, 1e-9, 0.5],
        "curvature": [2.0, 1e-7, 0.5],
        "spread": [0.1, 30.0, 0.2],
        "r2": [1.0, 0.3, 0.9],
        "sd": [None, None, 0.0],
        "p": [None, None, 1.0],
        "rejected": [None, None, False],
        "slope": [None] * 3,
    }
    lines = {"rank": [1, 9, 10], "reach": [1.0] * 3, "loss_0": [2.0, 1.0, 1.5], "loss_1": [1.0, 1.0 + 1e-7, 1.0]}
    some = seen(request.protocol, request.setting, of_minima, table, lambda job: lines)
    found = {(one.quantity, one.at.get("band")): one for one in some}
    assert (found["fit_r2", "top"].value, found["curvature_spread", "top"].value) == (1.0, 0.1)
    assert (
        found["fit_r2", "low"].why == "along the eigenvectors of ranks 9 the losses of a batch vary by their rounding"
    )
    assert "ranks 9 the mean fitted curvature is all rounding" in str(found["curvature_spread", "low"].why)
    assert "none is tested" in str(found["rejected_share", "low"].why), "equal minima have no law to reject"
    assert "ranks 9 the mean fitted curvature" in str(found["with_minimum", "low"].why)
    assert "fewer than three directions" in str(found["sigma_slope", None].why)


def test_a_simulation_that_does_not_decay_has_no_relaxation_time(tmp_path: Path) -> None:
    request = asked(tmp_path, quadratic_text(), "tiny_quadratic")
    here = request.protocol, request.setting, noisy_quadratic._relaxation
    (none,) = seen(*here, {"mean": [1.0, 1.0, 1.0, 2.0]})
    assert none.why == "E[x] goes from 1 to 2: that is no decay"
    (known,) = seen(*here, {"mean": [1.0, 1.0, 1.0, 0.5]})
    assert math.isfinite(known.value)


def spectrum(largest: float, negative: list[float]) -> Spectrum:
    return Spectrum([largest, *(0.0 for _ in range(50)), *negative], 3, 1e-5)


def test_a_negative_part_that_stays_is_not_said_to_fall_where_the_largest_eigenvalue_rises() -> None:
    stays = [*[-1e-5] * 10, *[-1e-3] * 10]
    assert mass(spectrum(16.0, stays), spectrum(1.0, stays), 20) == 1.0
    tail = [-1e-3 / rank for rank in range(1000, 0, -1)]  # more of it lies within the error than beyond
    assert isinstance(mass(spectrum(16.0, tail), spectrum(1.0, tail), 20), NoValue)


@pytest.mark.parametrize(("here", "there"), [(-2e-5, -2e-5), (-0.99e-5, -1.01e-5)])
def test_a_negative_part_at_the_error_has_no_ratio(here: float, there: float) -> None:
    found = mass(spectrum(16.0 if here == there else 1.0, [here] * 9), spectrum(1.0, [there] * 9), 20)
    assert isinstance(found, NoValue)


@pytest.mark.parametrize(("value", "error", "shown"), [(-3e-8, 1e-6, 0.0), (2e-17, 1e-16, 0.0), (-3e-5, 1e-6, -3e-5)])
def test_an_eigenvalue_that_may_be_rounding_is_0(value: float, error: float, shown: float) -> None:
    assert edge_of_stability._number(Eigenvalue(value, error)) == shown
