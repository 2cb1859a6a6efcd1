"""Pretraining in place of rewinding: what is compared with what, and what shares its work with other experiments."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import yaml

from harness.errors import RequestError
from harness.execution.backends.in_process import InProcess
from harness.execution.run import execute
from harness.jobs.job import Job, ancestry
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.observation import Condition, Observation
from harness.pipeline.request import Request
from harness.pipeline.result_invariants import check_results
from harness.protocols.common.pruning import OneShot
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.setting import TrainingSetting
from harness.protocols.early_phase_perturbations.jobs import Origin as PerturbationOrigin
from harness.protocols.early_phase_pretraining import derived
from harness.protocols.early_phase_pretraining.jobs import Origin, Pretrained
from harness.protocols.early_phase_pretraining.options import PretrainingOptions
from harness.protocols.early_phase_pretraining.pretexts import FROZEN, PRETEXTS, REFERENCES, PretextName
from harness.protocols.early_phase_pretraining.protocol import PROTOCOL
from harness.regress.smoke_run import shrunk
from harness.schema.task import Task
from harness.steps import Duration
from tests.protocols.made_up import made_up
from tests.support import ROOT, request

PATH = ROOT / "specs" / "pilot" / "early_pretraining.yaml"


def asked(scale: str = "toy") -> Request:
    return request(PATH, scale)


def setting_of(path: Path, scale: str = "toy") -> TrainingSetting[Any]:
    setting = request(path, scale).setting
    assert isinstance(setting, TrainingSetting)
    return setting


def origin(seed: int = 0, **options: Any) -> Origin:
    setting = setting_of(PATH)
    return Origin.of(replace(setting, options=setting.options.model_copy(update=options)), seed)


def arms(here: Origin) -> dict[tuple[str, str, int], tuple[Pretrained, Job, Job]]:
    """Arm, dense or sparse, length -> what was pretrained, what is handed on, the trained network."""
    found = {}
    for one in here.pretrained():
        state = here.handed_on(one)
        found[one.arm, one.under, one.length] = one, state, here.trained(state, one.length)
    return found


def seen(arm: str, value: float, length: int = 0, seed: int = 0) -> Observation:
    at: dict[str, Condition] = {"arm": arm, "pretrained": "dense", "length": length, "split": "test"}
    return Observation("accuracy", at, seed, 0, value)


def test_accuracies_are_compared_with_those_of_the_same_initialisation() -> None:
    observations = [
        seen("full", 98.0),
        seen("rewound_0", 94.0),
        seen("rewound_k", 97.0, 44),
        seen("rotation", 96.0, 110),
        seen("rotation", 50.0, 110, seed=1),
    ]
    values = {(one.quantity, one.at["arm"]): one.value for one in derived.comparisons(observations)}
    assert values == {
        ("accuracy_drop", "rewound_0"): 4.0,
        ("accuracy_drop", "rewound_k"): 1.0,
        ("accuracy_drop", "rotation"): 2.0,
        ("gain", "full"): 4.0,
        ("gain", "rewound_k"): 3.0,
        ("gain", "rotation"): 2.0,
        ("beyond_half_way", "full"): 2.5,
        ("beyond_half_way", "rotation"): 0.5,
    }


def test_pretexts_have_their_tasks() -> None:
    here = arms(origin(task_seed=5))
    tasks = {one.arm: one.recipe.training.data.task for one, _, _ in here.values()}
    assert tasks == {
        "random_labels": Task(labels="random", seed=5),
        "rotation": Task(labels="rotation", seed=5),
        "blur": Task(blur=2),
        "rotation_blur": Task(labels="rotation", blur=2, seed=5),
        "supervised": Task(),
        FROZEN: Task(),
    }
    assert PRETEXTS.keys() == set(get_args(PretextName))
    assert not PRETEXTS.keys() & {*REFERENCES, FROZEN}


def test_all_arms_have_one_mask_one_order_the_true_labels_and_no_velocity() -> None:
    here = origin(3)
    found = arms(here)
    assert len(found) == 3 * (2 * 5 + 1)
    ends = {name: end for name, (_, _, end) in found.items()}
    ends |= {(name, "", k): end for name, k, end in here.references() if name != "full"}
    for (_, _, length), end in ends.items():
        assert end.inputs["mask"] == here.mask
        assert end.params["order"] == "copy/3/0"
        assert (end.params["start"], end.params["stop"], end.params["schedule_start"]) == (length, 800, 0)
        assert "task" not in end.params["data"]
        assert end.params["classes"] == 10
        assert end.params["optimiser_state"] == ("reset" if length else "carried")
    assert len({end.key for end in ends.values()}) == len(ends)


def test_the_mask_is_applied_after_dense_pretraining_and_there_during_sparse() -> None:
    here = origin()
    for (arm, under, _), (pretrained, state, _) in arms(here).items():
        mask = pretrained.state.inputs.get("mask")
        assert (mask is None) == (under == "dense")
        assert state.inputs["mask"] == here.mask
        if mask is not None:
            assert (mask.stage == "mask_body") == arm.startswith("rotation")
            assert here.mask in (mask, mask.inputs["mask"])


def test_after_rotations_the_head_is_fresh_elsewhere_as_asked() -> None:
    for asked_for in ("kept", "fresh"):
        for (arm, _, _), (_, state, _) in arms(origin(head=asked_for)).items():
            assert state.params["head"] == ("fresh" if arm.startswith("rotation") else asked_for)
            assert state.inputs["state"] == origin().setting.recipe.initial(0)


def test_the_frozen_control_has_a_rate_of_0_and_is_all_else_supervised() -> None:
    found = arms(origin())
    for length in (44, 110, 220):
        frozen, supervised = (found[arm, "dense", length][0].state for arm in (FROZEN, "supervised"))
        assert frozen.params["schedule"] == {**supervised.params["schedule"], "rate": 0.0}
        assert {**frozen.params, "schedule": 0} == {**supervised.params, "schedule": 0}


def test_supervised_pretraining_of_length_k_is_the_trunk_that_is_rewound_to() -> None:
    here = origin()
    assert arms(here)["supervised", "dense", 44][0].state == here.setting.recipe.trunk(0, 44)


def test_a_restarted_schedule_gives_every_arm_its_whole_length() -> None:
    here = origin(schedule="restarted")
    ends = [end for _, _, end in arms(here).values()] + [end for name, _, end in here.references() if name != "full"]
    for end in ends:
        start = end.params["start"]
        assert (end.params["stop"] - start, end.params["schedule_start"]) == (800, start)


@pytest.mark.parametrize("scale", ["toy", "paper"])
def test_trunk_mask_and_references_are_those_of_the_perturbations(scale: str) -> None:
    path = ROOT / "specs" / "pilot" / "early_signs.yaml"
    ours, theirs, planned = setting_of(PATH, scale), setting_of(path, scale), request(path, scale).plan
    assert ours.recipe == theirs.recipe
    for seed in list(ours.replicates.seeds)[:2]:
        here = Origin.of(ours, seed)
        there = PerturbationOrigin.of(theirs, seed, ours.iterations(ours.options.rewind))
        assert here.mask == there.mask
        controls = dict(there.controls())
        mine = {name: end for name, _, end in here.references()}
        assert mine == {
            "full": controls["full"],
            "rewound_0": controls["rewound"],
            "rewound_k": controls["control"],
        }
        assert {job.key for job in (here.mask, *mine.values())} <= planned.jobs.keys()


@pytest.mark.parametrize("arm", ["random_labels", "rotation", "rotation_blur"])
def test_a_network_pretrained_dense_on_such_a_pretext_saw_no_true_label(arm: str) -> None:
    """The mask, which was made with labels, comes after."""
    state = arms(origin())[arm, "dense", 220][0].state
    labels = [job.params["data"]["task"]["labels"] for job in ancestry([state]).values() if job.stage == "train"]
    assert labels == ["random" if arm == "random_labels" else "rotation"]


@pytest.mark.parametrize(
    ("quantity", "at", "words"),
    [
        ("gain", {"arm": "rotation", "length": 0}, r"rotation has no length 0it: it has 44it, 110it, 220it"),
        ("gain", {"arm": "rewound_k", "length": 110}, r"rewound_k has no length 110it: it has 44it"),
        ("gain", {"arm": "rewound_0", "length": 0}, "rewound_0 is what others are compared with"),
        ("beyond_half_way", {"arm": "rewound_k", "length": 44}, "rewound_k is what others are compared with"),
        ("accuracy_drop", {"arm": "full", "length": 0}, "full is what others are compared with"),
        ("pretext_accuracy", {"arm": "full", "length": 0}, "full is not pretrained on a pretext"),
        ("gain", {"arm": FROZEN, "length": 44, "pretrained": "sparse"}, "frozen is not pretrained sparse here"),
        ("gain", {"arm": "full", "length": 0, "pretrained": "sparse"}, "full is not pretrained sparse here"),
    ],
)
def test_a_claim_about_what_is_not_measured_is_refused(quantity: str, at: dict[str, Any], words: str) -> None:
    here = asked()
    reason = here.protocol.unmeasured(here.setting, quantity, {"pretrained": "dense", "split": "test", **at})
    assert reason is not None
    assert re.search(words, reason)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"pretexts": ["blur", "blur"]}, "pretexts names one twice"),
        ({"pretrained": ["dense", "dense"]}, "pretrained names one twice"),
        ({"blur": 3}, "blur"),
        ({"pretexts": ["jigsaw"]}, "pretexts"),
        ({"lengths": []}, "lengths"),
    ],
)
def test_wrong_settings_are_refused(changed: dict[str, Any], words: str) -> None:
    needed = {
        "rewind": "44it",
        "lengths": ["44it"],
        "pretexts": ["blur"],
        "pruning": {"style": "iterative", "levels": 2},
    }
    assert PretrainingOptions.model_validate(needed)
    with pytest.raises(ValueError, match=words):
        PretrainingOptions.model_validate({**needed, **changed})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("rewind: 44it", "rewind: 0it", r"rewind: found 0it: choose a time after 0"),
        (
            "lengths: [44it, 110it, 220it]",
            "lengths: [44it, 800it]",
            r"lengths\[1\]: found 800it: choose a time after 0",
        ),
        ("lengths: [44it, 110it, 220it]", "lengths: [44it, 22it]", r"lengths\[1\]: found 22it after 44it"),
        (
            "augment: {flip: false, crop_padding: 1}",
            "augment: {flip: false, crop_padding: 1}\n        task: {labels: rotation}",
            r"data.task: what comes after pretexts is the dataset's own task",
        ),
    ],
)
def test_wrong_specs_are_refused(old: str, new: str, words: str, tmp_path: Path) -> None:
    text = PATH.read_text()
    assert old in text
    path = tmp_path / PATH.name
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(RequestError, match=words):
        request(path)


def test_images_that_cannot_be_blurred_so_are_refused(tmp_path: Path) -> None:
    """Those of MNIST, 28 pixels wide, by 8."""
    spec = yaml.safe_load(PATH.read_text())
    spec["scales"] = {"toy": spec["scales"]["toy"]}
    for claim in spec["claims"]:
        claim["checks"] = {"toy": claim["checks"]["toy"]}
    toy = spec["scales"]["toy"]
    toy["training"]["data"]["name"] = "mnist"
    toy["settings"]["blur"] = 8
    path = tmp_path / PATH.name
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    with pytest.raises(RequestError, match=r"pretexts\[2\]: blur: found 8, which divides no image of 28x28"):
        request(path)


def test_the_paper_scale_runs_in_small_on_made_up_images(tmp_path: Path) -> None:
    """Every arm of ResNet-20 at its paper's setting, some steps of four images."""
    setting = setting_of(PATH, "paper")
    small = shrunk(setting)
    data = made_up(small.recipe, 16, 8)
    training = small.recipe.training.model_copy(update={"batch": 4, "precision": "fp32", "length": Duration(6, "it")})
    short = training.schedule.model_copy(update={"drops": (Duration(5, "it"),)})
    recipe = Recipe(training.model_copy(update={"schedule": short}), data.info)
    options = setting.options.model_copy(
        update={
            "rewind": Duration(1, "it"),
            "lengths": (Duration(2, "it"),),
            "pruning": OneShot(style="one_shot", density=0.2),
        }
    )
    one = small.replicates.model_copy(update={"initialisations": 1})
    tried = replace(small, recipe=recipe, options=options, replicates=one)
    plan = Plan.of(measurement.job for measurement in PROTOCOL.measurements(tried))
    store = Store(tmp_path)
    run = execute(plan, store, backend=InProcess(torch.device("cpu")), load_dataset=lambda name: data)
    assert run.failed == {}
    check_results(plan, store, (), [data.info])
    observations = PROTOCOL.observations(tried, lambda job: store.read(job).table)
    assert {seen.at["arm"] for seen in observations} == {*REFERENCES, FROZEN, *PRETEXTS}
    moved = {seen.at["arm"]: seen.value for seen in observations if seen.quantity == "moved_distance"}
    assert moved.pop(FROZEN) == 0
    assert min(moved.values()) > 0
