"""The shipped spec finds the wrong formula, the right one, and small errors planted in it; bad settings are refused."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from harness.jobs.job import Job
from harness.jobs.store import Table
from harness.judging.verdict import Judgement, Verdict, judge
from harness.pipeline.request import Request
from harness.protocols.noisy_quadratic import theory
from harness.protocols.noisy_quadratic.protocol import _grid
from harness.report.numbers import estimate_text
from tests.stages.bench import Bench
from tests.support import ROOT, Place, claim, edited, line_of, quadratic_text, request

TEXT = quadratic_text()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="module")
def shipped() -> Request:
    return request(ROOT / "specs" / "noisy_quadratic.yaml")


@pytest.fixture(scope="module")
def tables(shipped: Request) -> dict[str, Table]:
    """The tables of the grid, for every seed of the toy scale."""
    torch.set_num_threads(1)
    bench = Bench()
    jobs = [one.job for one in shipped.protocol.measurements(shipped.setting) if one.reads is _grid]
    return {job.key: bench[job].table for job in jobs}


def judged(asked: Request, tables: Mapping[str, Table]) -> dict[str, Judgement]:
    """Claim -> judgement, of those about the grid."""

    def read(job: Job) -> Table | None:
        return tables.get(job.key)

    protocol, setting = asked.protocol, asked.setting
    observations = protocol.observe(setting, read)
    measured = {one.quantity for one in observations}
    return {
        one.id: judge(
            one,
            "toy",
            observations,
            protocol.quantities[one.quantity],
            protocol.defaults(setting),
            protocol.axes(setting),
            check=protocol.resolve(setting, one.checks["toy"]),
            may_reproduce=False,
            planned_initialisations=setting.replicates.initialisations,
        )
        for one in asked.loaded.spec.claims
        if one.quantity in measured and "toy" in one.checks
    }


def test_the_wrong_formula_is_found_out_and_that_is_in_order(shipped: Request, tables: dict[str, Table]) -> None:
    found = judged(shipped, tables)
    wrong = {name for name, one in found.items() if one.verdict is Verdict.FAILS}
    assert wrong == {"printed_momentum", "printed_momentum_half", "printed_momentum_sign"}
    assert all(one.as_expected for one in found.values())
    assert found["printed_momentum"].claim.derivation


@pytest.mark.parametrize("factor", [0.98, 1.02])
@pytest.mark.parametrize("formula", ["exact", "printed"])
def test_an_error_of_two_percent_is_found_out(
    formula: str, factor: float, shipped: Request, tables: dict[str, Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = getattr(theory, f"{formula}_level")
    before = judged(shipped, tables)
    monkeypatch.setattr(theory, f"{formula}_level", lambda *point: factor * right(*point))
    after = judged(shipped, tables)
    about = {name for name, one in before.items() if one.claim.quantity.endswith(formula) and one.verdict.good}
    assert about
    for name in about:
        assert after[name].verdict is Verdict.FAILS, name
        assert not after[name].as_expected


def test_the_level_of_tiny_noise_is_judged_by_its_own_size(place: Place) -> None:
    """σ = 1e-6: the exact level αλ²σ²/(1 − αλ) is 1.0101e-14, and at α = .1 it is 1.11e-13."""
    at = '{rate: "0.01", momentum: "0"}'
    exact = theory.exact_level(0.01, 1.0, 0.0, 1e-6)
    assert exact == pytest.approx(1e-16 / 0.99 * 100, rel=1e-12)
    expected = {
        "right": (f"{{kind: equals, value: {exact:.5e}, margin: 3.0e-15}}", Verdict.HOLDS),
        "fifty_times": ("{kind: equals, value: 5.0e-13, margin: 1.0e-14}", Verdict.FAILS),
        "a_hundredth": ("{kind: at_most, bound: 1.0e-16}", Verdict.FAILS),
        "lower": ('{kind: less_than, than: {rate: "0.1"}}', Verdict.HOLDS),
    }
    text = quadratic_text(*(claim(name, "level", at, expect) for name, (expect, _) in expected.items()))
    for old, new in (
        ("rates: [0.05, 0.1]\n", "rates: [0.01, 0.1]\n"),
        ("curvatures: [1.0, 2.0]", "curvatures: [1.0]"),
        ("momenta: [0.0, 0.5]\n      noises: [1.0]\n", "momenta: [0.0]\n      noises: [1.0e-6]\n"),
        ("replicas: 8\n      samples: 20", "replicas: 1024\n      samples: 200"),
        ("initialisations: 2", "initialisations: 4"),
    ):
        text = edited(text, old, new)
    torch.set_num_threads(1)
    asked, bench = request(place.write(text)), Bench()
    jobs = [one.job for one in asked.protocol.measurements(asked.setting) if one.reads is _grid]
    found = judged(asked, {job.key: bench[job].table for job in jobs})
    assert {name: one.verdict for name, one in found.items()} == {name: one for name, (_, one) in expected.items()}
    estimate = found["right"].estimate
    assert estimate is not None
    assert estimate.value == pytest.approx(exact, rel=0.1)
    assert estimate.sd
    assert not any("agree exactly" in warning for one in found.values() for warning in one.warnings)
    assert "e-14 [" in estimate_text(estimate, "")


BAD: Mapping[str, tuple[str, str, list[str]]] = {
    "divergence": (
        "rates: [0.05, 0.1]\n",
        "rates: [0.05, 0.6]\n",
        ["settings.rates", "found 0.6", "diverges at curvature 2 and momentum 0", "< 1 + momentum = 1"],
    ),
    "divergence of the batch": ("rates: [0.1]}", "rates: [1.5]}", ["settings.batch.rates", "found 1.5", "diverges"]),
    "divergence in many dimensions": (
        "{dimensions: 3,",
        "{dimensions: 3, largest: 20.0,",
        ["settings.spectrum.rate", "diverges at curvature 20"],
    ),
    "a value twice": ("momenta: [0.0, 0.5]\n", "momenta: [0.5, 0.5]\n", ["settings.momenta[1]", "a second time"]),
    "no drop": (
        "rates: [0.1, 0.05], momentum",
        "rates: [0.05, 0.05], momentum",
        ["settings.staircase.rates[1]", "found 0.05 after 0.05", "must fall"],
    ),
    "a swinging mean": ("rates: [0.02]", "rates: [0.05]", ["settings.relaxation.rates", "found 0.05", "swings"]),
    "momentum of one": ("momenta: [0.0, 0.5]\n", "momenta: [0.0, 1.0]\n", ["settings.momenta[1]", "less than 1"]),
    "copies": ("initialisations: 2\n", "initialisations: 2\n      orders: 2\n", ["orders", "compares no copies"]),
    "training": (
        "    settings:\n",
        "    training: {}\n    settings:\n",
        ["training"],
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_are_refused(name: str, place: Place) -> None:
    old, new, words = BAD[name]
    said = place.verify(place.write(edited(TEXT, old, new)))
    assert said.code == 2
    for word in words:
        assert word in said.err.replace("\n", " "), said.err
    assert not place.keys()


def test_conditions_that_are_not_measured_are_refused(place: Place) -> None:
    text = quadratic_text(claim("a", "level", '{rate: "0.02", momentum: "0"}'))
    said = place.verify(place.write(text))
    assert said.code == 2
    line = line_of(text, 'rate: "0.02"')
    assert f":{line}" in said.err
    assert "add it to settings.rates" in said.err
    said = place.verify(place.write(quadratic_text(claim("a", "batch_over_rate", '{rate: "0.05", momentum: "0"}'))))
    assert "add it to settings.batch.rates" in said.err


def test_a_number_is_meant_however_it_is_written(place: Place) -> None:
    at = '{rate: "5e-2", curvature: 2, momentum: "0.50"}'
    text = quadratic_text(claim("a", "level", at, "{kind: at_least, bound: 0.0}"))
    said = place.verify(place.write(text))
    assert said.code == 0, said.out + said.err
    assert "HOLDS" in said.out
