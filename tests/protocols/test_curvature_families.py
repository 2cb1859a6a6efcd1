"""The families on all eigenpairs: what they observe of tables, what they share, and that planted bases are seen."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from harness import seeds, stages
from harness.jobs.job import Job
from harness.jobs.store import Artifact
from harness.measure import tail_laws
from harness.observation import Condition, Observation
from harness.pipeline.request import Request
from harness.protocols.common.bands import BandOptions
from harness.stages.base import Work
from tests.stages.bench import Bench
from tests.support import ROOT, drift_text, request, spectrum_text

SIZE = 398


def planned(folder: Path, text: str) -> Request:
    identity = next(line for line in text.splitlines() if line.startswith("id: ")).removeprefix("id: ")
    path = folder / f"{identity}.yaml"
    path.write_text(text)
    return request(path)


def artifact(values: torch.Tensor, vectors: torch.Tensor) -> Artifact:
    return Artifact({"eigenvalues": values.double(), "eigenvectors": vectors.float()})


def observed(asked: Request, planted: Mapping[int, Artifact]) -> Sequence[Observation]:
    """What is observed where the Hessian at each checkpoint, of every initialisation, is the planted one."""

    def read(job: Job) -> Mapping[str, list[Any]]:
        if job.stage == "hessian":
            return {"eigenvalue": planted[job.inputs["state"].params.get("stop", 0)].tensors["eigenvalues"].tolist()}
        states = {role: hessian.inputs["state"] for role, hessian in job.inputs.items()}
        inputs = {role: planted[state.params.get("stop", 0)] for role, state in states.items()}
        (result,) = stages.find(job.stage).run([Work(job, inputs)], Bench().context())
        assert isinstance(result, Artifact)
        return result.table

    return asked.protocol.observe(asked.setting, read)


def value(observations: Sequence[Observation], quantity: str, **at: Condition) -> float:
    (found,) = (
        one.value
        for one in observations
        if one.quantity == quantity and one.initialisation == 0 and {**one.at, **at} == one.at
    )
    return found


def why(observations: Sequence[Observation], quantity: str, **at: Condition) -> str:
    """Why there is no value."""
    assert math.isnan(value(observations, quantity, **at))
    (found,) = (
        one.why
        for one in observations
        if one.quantity == quantity and one.initialisation == 0 and {**one.at, **at} == one.at
    )
    assert found is not None
    return found


def spectrum(scale: float, exponent: float, negative: float) -> torch.Tensor:
    """100 positive eigenvalues of a power law, 198 zeros, 100 equal negative ones."""
    positive = scale * torch.arange(1, 101).double() ** -exponent
    return torch.cat([positive, torch.zeros(198), torch.full((100,), -negative)])


def rotation(seed: int) -> torch.Tensor:
    return torch.linalg.qr(seeds.normal(seeds.stream("rotation", seed), SIZE * SIZE).reshape(SIZE, SIZE))[0]


def test_planted_spectra_are_observed(tmp_path: Path) -> None:
    asked = planned(tmp_path, spectrum_text())
    turned = rotation(0)
    found = observed(
        asked,
        {
            10: artifact(spectrum(1.0, 0.5, 0.5), turned),
            20: artifact(spectrum(2.0, 1.0, 0.2), turned),
            40: artifact(spectrum(6.0, 1.0, 0.05), torch.eye(SIZE)),
        },
    )
    assert value(found, "power_exponent", checkpoint=10) == pytest.approx(0.5)
    assert value(found, "power_law_r2", checkpoint=10) == pytest.approx(1.0)
    for law in ("exponential", "lognormal"):
        assert value(found, f"power_law_over_{law}", checkpoint=10) == pytest.approx(
            getattr(tail_laws, f"over_{law}")(spectrum(1.0, 0.5, 0.5)[:8].tolist()), abs=1e-6
        )
    assert value(found, "orders", checkpoint=20) == pytest.approx(-torch.tensor(8.0).log10().item())
    assert value(found, "shift", checkpoint=40) == pytest.approx(3.0)
    assert value(found, "shift", checkpoint=20) == 1.0
    assert value(found, "negative_ratio", checkpoint=40) == pytest.approx(0.25)
    assert value(found, "negative_ratio", checkpoint=10) == pytest.approx(2.5)
    assert value(found, "negative_share", checkpoint=40) == pytest.approx(100 * 100 / SIZE)
    assert value(found, "eigenvalue", checkpoint=40, sign="positive", rank=2) == pytest.approx(3.0)
    assert value(found, "eigenvalue", checkpoint=40, sign="negative", rank=1) == pytest.approx(0.05)
    assert "eigenvalues of ranks 101 to 298 are equal" in why(found, "concentration", checkpoint=40, band="low")
    for band in ("top", "middle"):
        assert value(found, "concentration", checkpoint=40, band=band) == 100.0
        assert value(found, "concentration_over_null", checkpoint=10, band=band) == pytest.approx(1.0, abs=0.15)
    assert not [one for one in found if one.quantity == "eigenvalue" and one.value <= 0], "zeros are of no sign"


def test_a_rotation_between_checkpoints_is_observed(tmp_path: Path) -> None:
    asked = planned(tmp_path, drift_text())
    values = spectrum(1.0, 2.0, 0.5)
    planted = {0: torch.eye(SIZE), 10: rotation(1), 40: rotation(1)}
    grown = {0: 1.0, 10: 1.0, 40: 3.0}
    found = observed(asked, {time: artifact(grown[time] * values, basis) for time, basis in planted.items()})
    assert value(found, "own_bin", start=10) == 100.0, "that all curvature grows threefold moves no bin"
    assert value(found, "spectrum_shift", start=10) == pytest.approx(3.0)
    assert value(found, "top_overlap", start=10) == pytest.approx(100, rel=1e-5)
    assert value(found, "self_overlap", start=10, band="middle") == pytest.approx(100, rel=1e-5)
    # A random subspace of 4 in 398: 1 % on average.
    assert value(found, "top_overlap", start=0) < 5
    assert value(found, "self_overlap", start=0, band="middle") == pytest.approx(100 / SIZE, rel=1)
    scale = value(found, "top_overlap", start=0) / value(found, "top_overlap_over_null", start=0)
    assert scale == pytest.approx(100 * 4 / SIZE)
    assert value(found, "bin_overlap", start=0, bin=0, other=0) == pytest.approx(1.0, abs=0.05)


def test_eigenvalues_that_no_power_law_goes_through_are_told(tmp_path: Path) -> None:
    """What needs the law has no value; the rest is observed."""
    asked = planned(tmp_path, spectrum_text())
    broken = artifact(spectrum(1.0, 1.0, 0.1) - 0.3, torch.eye(SIZE))
    found = observed(asked, dict.fromkeys((10, 20, 40), broken))
    for quantity in ("orders", "power_exponent", "power_law_r2", "power_law_over_lognormal", "shift"):
        assert "only 3 of the 8 largest eigenvalues are positive" in why(found, quantity, checkpoint=40)
    assert value(found, "negative_share", checkpoint=40) == pytest.approx(100 * 395 / SIZE)


def test_eigenvalues_within_their_error_are_not_judged(tmp_path: Path) -> None:
    """Both signs of 1e-7 are rounding beside a largest eigenvalue of 1, at the reference too."""
    asked = planned(tmp_path, spectrum_text())
    convex = artifact(spectrum(1.0, 0.5, 1e-7), torch.eye(SIZE))
    found = observed(asked, {10: convex, 20: convex, 40: artifact(spectrum(1.0, 0.5, 5e-8), torch.eye(SIZE))})
    assert value(found, "negative_share", checkpoint=40) == 0.0
    said = why(found, "negative_ratio", checkpoint=40)
    assert said == (
        "at the reference, iteration 20, no eigenvalue is negative beyond the error of 1e-5, so that there is "
        "nothing to compare with"
    )
    bent = artifact(spectrum(1.0, 0.5, 0.5), torch.eye(SIZE))
    found = observed(asked, {10: bent, 20: bent, 40: convex})
    assert value(found, "negative_ratio", checkpoint=40) == 0.0, "nothing is left beyond the error"


@pytest.mark.parametrize(("small", "known"), [(9e-8, True), (9e-6, False)])
def test_the_negative_mass_is_of_what_is_beyond_the_error(small: float, known: bool, tmp_path: Path) -> None:
    """A hundred eigenvalues of -9e-6 may be a mass of 9e-4, or none, beside the -1e-3 that is known."""
    asked = planned(tmp_path, spectrum_text())
    values = spectrum(1.0, 0.5, small)
    values[-1] = -1e-3
    half = values.clone()
    half[-1] = -5e-4
    bases = torch.eye(SIZE)
    found = observed(asked, {10: artifact(half, bases), 20: artifact(values, bases), 40: artifact(half, bases)})
    if known:
        assert value(found, "negative_ratio", checkpoint=40) == pytest.approx(0.5)
    else:
        assert "the ratio may be all error" in why(found, "negative_ratio", checkpoint=40)


def test_equal_eigenvalues_have_no_power_law_to_explain(tmp_path: Path) -> None:
    asked = planned(tmp_path, spectrum_text())
    equal = artifact(spectrum(1.0, 0.0, 0.5), torch.eye(SIZE))
    found = observed(asked, dict.fromkeys((10, 20, 40), equal))
    assert "there is no variance to explain" in why(found, "power_law_r2", checkpoint=40)
    assert value(found, "shift", checkpoint=40) == 1.0


def test_eigenvectors_of_equal_eigenvalues_are_not_compared(tmp_path: Path) -> None:
    asked = planned(tmp_path, drift_text())
    values = spectrum(1.0, 2.0, 0.5)
    values[3] = values[4]  # across the end of the top band
    ends = {0: artifact(spectrum(1.0, 2.0, 0.5), torch.eye(SIZE)), 10: artifact(values, rotation(1))}
    found = observed(asked, {**ends, 40: artifact(spectrum(1.0, 2.0, 0.5), rotation(1))})
    assert "ranks 101 to 298 are equal" not in why(found, "top_overlap", start=0)
    assert "ranks 4 and 5 are equal within their error" in why(found, "top_overlap", start=0)
    assert "at the next checkpoint" in why(found, "top_overlap_over_null", start=0)
    assert "any vectors of their span are eigenvectors" in why(found, "self_overlap", start=0, band="low")
    assert value(found, "self_overlap", start=0, band="middle") < 5
    flat = artifact(spectrum(0.0, 1.0, 0.5), torch.eye(SIZE))
    found = observed(asked, dict.fromkeys((0, 10, 40), flat))
    for quantity in ("spectrum_shift", "own_bin"):
        assert "only 0 eigenvalues are positive beyond their error" in why(found, quantity, start=10)


def test_ratios_need_the_reference(tmp_path: Path) -> None:
    """Where its job failed, the others are still observed."""
    asked = planned(tmp_path, spectrum_text())
    same: dict[str, Any] = {name: [1.0] for name in ("orders", "exponent", "r2", "geometric_mean", "negative_mass")}
    table = {"sign": ["positive"], "rank": [1], "eigenvalue": [1.0], "negative_share": [1.0], "error": [0.0], **same}

    def read(job: Job) -> dict[str, list[Any]] | None:
        hessian = job.inputs.get("hessian", job)
        if job.stage not in ("spectrum", "hessian") or hessian.inputs["state"].params["stop"] == 20:
            return None
        return table if job.stage == "spectrum" else {"eigenvalue": spectrum(1.0, 0.5, 0.1).tolist()}

    found = {(one.quantity, one.at.get("checkpoint")) for one in asked.protocol.observe(asked.setting, read)}
    assert ("orders", 40) in found
    assert not {quantity for quantity, _ in found} & {"shift", "negative_ratio"}


def test_bands_are_ranks_from_the_largest_eigenvalue() -> None:
    bands = BandOptions(top=10, middle=100, low=(0.25, 0.75))
    assert bands.ranks(1382) == {"top": [0, 10], "middle": [10, 100], "low": [346, 1036]}
    assert list(bands.problems(1382)) == []
    assert [problem.location[-1] for problem in bands.problems(99)] == ["middle"]


@pytest.mark.parametrize("scale", ["toy", "paper"])
def test_the_shipped_families_share_their_hessians(scale: str) -> None:
    hessians = [
        {
            key
            for key, job in request(ROOT / "specs" / f"{name}.yaml", scale).plan.jobs.items()
            if job.stage == "hessian"
        }
        for name in ("hessian_spectrum", "eigenvector_drift")
    ]
    assert hessians[0] == hessians[1]
    assert len(hessians[0]) == (5 * 5 if scale == "toy" else 3 * 7), "initialisations times checkpoints"


def test_without_a_checkpoint_of_its_own_the_reference_is_one_more(tmp_path: Path) -> None:
    asked = planned(tmp_path, spectrum_text())
    assert asked.protocol.axes(asked.setting)["checkpoint"] == [10, 20, 40]
    alone = replace(asked.setting, options=asked.setting.options.model_copy(update={"checkpoints": ()}))
    assert asked.protocol.axes(alone)["checkpoint"] == [20, 40]
