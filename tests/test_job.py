"""Keys of jobs: pinned, canonical, and of nothing but what decides a result."""

import hashlib
import json
import math
from dataclasses import replace

import pytest

from harness import job as module
from harness.job import VERSIONS, Job, ancestry, canonical
from harness.protocols import (
    approximation_options,
    cliff_jobs,
    cliff_options,
    curvature,
    eigenvector_drift,
    hessian_spectrum,
    lineage,
    quadratic_jobs,
)
from harness.protocols.quadratic_options import (
    BatchOptions,
    NoisyQuadraticOptions,
    RelaxationOptions,
    StaircaseOptions,
)
from harness.steps import Duration
from tests.stages.bench import setting

QUADRATIC = NoisyQuadraticOptions(
    rates=(0.01, 0.1),
    curvatures=(1.0,),
    momenta=(0.0, 0.9),
    noises=(1.0,),
    batch=BatchOptions(rates=(0.1,)),
    staircase=StaircaseOptions(rates=(0.1, 0.01)),
    relaxation=RelaxationOptions(rates=(0.01,), momenta=(0.5,)),
)


def jobs_of_every_stage() -> dict[str, Job]:
    """One job of each stage, as the protocols plan them."""
    here = setting()
    initial = lineage.initial(here, 0)
    trunk = lineage.trunk(here, 0, 6)
    a, b = (lineage.train(here, trunk, 6, 14, order=lineage.copy_order(0, order)) for order in range(2))
    mask = lineage.prune(here, a, None, output_layer=True, fraction=0.2)
    hessian = curvature.hessian(here, a, curvature.ObjectiveOptions())
    spectrum = hessian_spectrum.HessianSpectrumOptions(reference=Duration(5, "it"))
    drift = eigenvector_drift.EigenvectorDriftOptions(checkpoints=(Duration(5, "it"),))
    asked = replace(here, options=approximation_options.QuadraticApproximationOptions())
    cliffs = replace(here, options=cliff_options.CliffOptions(width=Duration(2, "it"), every=Duration(1, "it")))
    lines = approximation_options.parabolas(asked, a, hessian, 0)
    return {
        "init": initial,
        "train": a,
        "prune": mask,
        "shuffle": Job("shuffle", {"seed": "shuffle/0"}, {"mask": mask}),
        "evaluate": lineage.evaluate(here, a),
        "displacement": cliff_jobs.displacement(cliffs, 0, 10),
        "plane": cliff_jobs.plane(cliffs, 0, 10),
        "descend": cliff_jobs.descent(cliffs, 0, 10, "top"),
        "line": lineage.line(here, a, b, lineage.LineOptions()),
        "compare": lineage.compare(here, a, b),
        "distance": lineage.distance(initial, a, mask),
        "loss": curvature.loss(here, a, curvature.ObjectiveOptions()),
        "hessian": hessian,
        "extremes": curvature.extremes(here, a, curvature.ObjectiveOptions(), curvature.ExtremesOptions()),
        "spectrum": hessian_spectrum.spectrum(hessian, spectrum),
        "concentration": hessian_spectrum.concentration(hessian, spectrum, 317),
        "overlap": eigenvector_drift.overlap(hessian, hessian, drift, 317),
        "parabolas": lines,
        "minima": approximation_options.minima(lines, asked.options),
        "newton": approximation_options.newton(asked, a, hessian),
        "density": hessian_spectrum.density(asked, a, hessian_spectrum.DensityOptions(), 0),
        "gradient_noise": approximation_options.gradient_noise(asked, a, hessian, 0),
        "quadratic_level": quadratic_jobs.grid(QUADRATIC, 0),
        "quadratic_relaxation": quadratic_jobs.relaxation(QUADRATIC, 0.01, 0.5, 0),
        "quadratic_staircase": quadratic_jobs.stairs(QUADRATIC.staircase, 0),
        "valley_walk": quadratic_jobs.valley(QUADRATIC.valley, 0),
    }


KEYS = {
    "init": "ec3423efdd72c06175de7af80aeed6e1a42f91b6d17f2a48c71fc974624c1ad1",
    "train": "79f4819915374ab5108e5265bc544f27092b661121c5c455b0ef57f07afcfd55",
    "prune": "00c97e801edf5bc66b48c2701be734de365813269fbad8c39586c76045d41568",
    "shuffle": "475fe0156d9b2f4c2896b1391b1b2b2cd41d0de84a8f5e157acf827bac140506",
    "evaluate": "7b1bac24f8769016cf7349a5a920b46b59709fe97a5488a5ad77b84db95d51bb",
    "line": "ff1a922350171298326fb3231098ed9bfdb62fb72ef3197741b6110072086970",
    "compare": "78241c1fa96351af7319e4fb7f0932f68ebd5f85429e5e3f18d83fb701410677",
    "distance": "cab2164ad060d254012b746c10ba543327ea11d897fa2d2a05ec7a5f376210bb",
    "quadratic_level": "5462407ce77ed23b6b98b25e3097449288360f9a09c06d9db12fc841bbf20fd2",
    "quadratic_relaxation": "2a8f668b7728cacf26b60edcd555e5598a05cf7cd21bf31aafc065fd7d56fa2e",
    "quadratic_staircase": "8336251b8b00d0a7ff1d8728477d19f36f24028209a31497310edda01496b8d3",
    "valley_walk": "3e6c9c6e90563ca00c7dab59f2c1b53812178b4062e0dfc4845164ee202bda24",
    "loss": "3ffdd5f327fbb27d5361058febca84f845e8190b8a48f528f37f9faf9d86f65f",
    "hessian": "79c46e79be2319be2ebd74ae5d33a45957fe341f4581880e1826e4fe115d6040",
    "extremes": "36f399e88e04477dd38211852b8913fd9bf3a62eab233f1caa6fb7c5af9506d9",
    "spectrum": "9228abbbc9198bc6c2f9a597d3fe2626117475151bac07cdd5586f063ec9d1e7",
    "concentration": "44f60c40bbc981ec14945de1dcef7f5d83539196f400427611c99c4f0f926ab8",
    "overlap": "98716d24921643b06d4f882099c81c6cabcd5c58d060827c4e9ba2e94307c09f",
    "parabolas": "7b095367151577de87318990ae8837d27b02fda639d5c04fe66a83f25ed042a9",
    "minima": "fa2b5cc1e92cba90c3dee7703eaa182cd3066c7ca06a236416f6edf26316fd4b",
    "newton": "e274bdfba40c659f552a948037c9c132f9e53a021f05cade97776afbc601b76b",
    "density": "e88456ee1593f60b86cf870c68fe46f27871cf6b70670dc5cee0848ea8d97a87",
    "gradient_noise": "e1d2812e7750884d2ccdac4324be01afc829d996f6b390c0604a6d3032a57c8c",
    "displacement": "6551b5d7bed51b355b708475e83dc8c2eaa39fd50cd34329e0f840159d7f5382",
    "plane": "9ffd2389de98ddef0fd5fc5b7901f1bbbe720c5a2a398143e1ed0d2d74ca40ef",
    "descend": "69ae608a268d610742083814a99034311c0d4f60f85994c2a74e8b29f5e2d16d",
}


@pytest.mark.parametrize("stage", VERSIONS)
def test_keys_are_pinned(stage: str) -> None:
    """A changed key makes every store forget its results of this stage and of all that rest on it."""
    assert jobs_of_every_stage()[stage].key == KEYS[stage]


def test_a_key_is_the_hash_of_the_description() -> None:
    start = Job("init", {"seed": 1})
    one = Job("shuffle", {"b": [1, 2.5], "a": "é"}, {"state": start})
    text = '{"inputs":{"state":"' + start.key + '"},"params":{"a":"\\u00e9","b":[1,2.5]},"stage":"shuffle","version":1}'
    assert one.key == hashlib.sha256(text.encode()).hexdigest()


def test_order_of_params_and_inputs_and_kind_of_sequence_do_not_matter() -> None:
    a, b = Job("init", {"seed": 1}), Job("init", {"seed": 2})
    one = Job("line", {"x": 1, "y": (1, 2)}, {"a": a, "b": b})
    other = Job("line", {"y": [1, 2], "x": 1}, {"b": b, "a": a})
    assert one.key == other.key
    assert one == other
    assert len({one, other}) == 1


def test_everything_that_decides_a_result_is_in_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = Job("init", {"seed": 1}), Job("init", {"seed": 2})
    jobs = [
        Job("line", {"x": 1}, {"a": a, "b": b}),
        Job("line", {"x": 2}, {"a": a, "b": b}),
        Job("line", {"x": "1"}, {"a": a, "b": b}),
        Job("line", {"x": 1, "y": None}, {"a": a, "b": b}),
        Job("line", {"x": 1}, {"a": b, "b": a}),
        Job("line", {"x": 1}, {"a": a}),
        Job("compare", {"x": 1}, {"a": a, "b": b}),
    ]
    keys = {job.key for job in jobs}
    assert len(keys) == len(jobs)
    monkeypatch.setattr(module, "VERSIONS", {**VERSIONS, "line": 2})
    assert Job("line", {"x": 1}, {"a": a, "b": b}).key not in keys
    monkeypatch.setattr(module, "VERSIONS", {**VERSIONS, "init": 2})
    fresh = [Job("init", {"seed": seed}) for seed in (1, 2)]
    assert Job("line", {"x": 1}, {"a": fresh[0], "b": fresh[1]}).key not in keys  # a new input is a new job


def test_a_key_never_changes_once_asked_for() -> None:
    params = {"x": [1]}
    one = Job("init", params)
    key = one.key
    params["x"].append(2)
    assert one.key == key
    assert one.description["params"] == {"x": [1]}


def test_numbers_that_are_not_finite_have_no_key() -> None:
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not JSON compliant"):
            assert Job("init", {"x": value}).key


def test_canonical_text() -> None:
    assert (
        canonical({"b": [1, 0.1, 1e-8], "a": {"d": None, "c": True}}) == '{"a":{"c":true,"d":null},"b":[1,0.1,1e-08]}'
    )
    assert json.loads(canonical({"x": 0.1 + 0.2}))["x"] == 0.1 + 0.2


def test_a_job_is_not_equal_to_other_things() -> None:
    one = Job("init", {})
    assert one != one.key
    assert repr(one) == f"init:{one.key[:12]}"


def test_ancestry_lists_inputs_first_and_each_job_once() -> None:
    jobs = jobs_of_every_stage()
    found = ancestry(
        [jobs["line"], jobs["distance"], jobs["init"], Job("line", jobs["line"].params, jobs["line"].inputs)]
    )
    places = {key: place for place, key in enumerate(found)}
    assert len(found) == 7  # init, trunk, two copies, line, mask, distance
    for key, job in found.items():
        assert key == job.key
        assert all(places[given.key] < places[key] for given in job.inputs.values())


def test_ancestry_of_a_long_chain_needs_no_recursion() -> None:
    job = Job("init", {})
    for step in range(3000):
        job = Job("train", {"step": step}, {"state": job})
        assert job.key
    assert len(ancestry([job])) == 3001
