"""Pretraining in place of rewinding: what is compared with what, and what shares its work with other experiments."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import yaml

from harness.errors import InvariantBroken, RequestError
from harness.execution.backends.in_process import InProcess
from harness.execution.run import execute
from harness.jobs.job import Job, ancestry
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.observation import Condition, Observation
from harness.pipeline.plan_invariants import check_plan
from harness.pipeline.request import Request
from harness.pipeline.result_invariants import check_results
from harness.protocols.common.arms import Subnetwork
from harness.protocols.common.pruning import OneShot
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.setting import TrainingSetting
from harness.protocols.early_phase_perturbations.jobs import Origin as PerturbationOrigin
from harness.protocols.early_phase_pretraining import derived, jobs
from harness.protocols.early_phase_pretraining.jobs import Origin, Pretrained
from harness.protocols.early_phase_pretraining.options import PretrainingOptions, half_way_length
from harness.protocols.early_phase_pretraining.pretexts import PRETEXTS, REFERENCES, PretextName
from harness.protocols.early_phase_pretraining.protocol import PROTOCOL
from harness.regress.smoke_run import shrunk
from harness.schema.task import Task
from harness.steps import Duration
from tests.protocols.made_up import made_up
from tests.support import ROOT, request

PATH = ROOT / "specs" / "early_pretraining.yaml"


def asked(scale: str = "toy") -> Request:
    return request(PATH, scale)


@cache
def setting_of(path: Path, scale: str = "toy") -> TrainingSetting[Any]:
    setting = request(path, scale).setting
    assert isinstance(setting, TrainingSetting)
    return setting


EVERY = dict.fromkeys(PRETEXTS, (Duration(44, "it"), Duration(110, "it"), Duration(220, "it")))
"""Each pretext, at three lengths."""

ALIKE: dict[str, Any] = {"pretexts": EVERY, "schedule": "continued", "head": "kept"}
"""Options under which supervised pretraining of length k is to be rewinding to k."""


def setting_with(recipe: bool = True, **options: Any) -> TrainingSetting[Any]:
    """That of the toy, with the recipe that pretexts have of their own or without."""
    setting = setting_of(PATH)
    others = setting.others if recipe else {}
    return replace(setting, others=others, options=setting.options.model_copy(update=options))


def origin(seed: int = 0, **options: Any) -> Origin:
    return Origin.of(setting_with(**options), seed)


def arms(here: Origin) -> dict[tuple[str, str, int], tuple[Pretrained, Subnetwork, Job]]:
    """Arm, dense or sparse, length -> what was pretrained, what is handed on with its mask, the trained network."""
    found = {}
    for one in here.pretrained():
        subnetwork = here.handed_on(one)
        found[one.arm, one.under, one.length] = one, subnetwork, here.trained(subnetwork, one.length)
    return found


def levels(mask: Job) -> list[tuple[Job, Job | None]]:
    """The trainings that a mask was pruned from, the sparsest first, each with its state and its mask."""
    found, level = [], mask
    while level is not None:
        found.append((level.inputs["state"], level.inputs.get("mask")))
        level = level.inputs.get("mask")
    return found


def seen(arm: str, value: float, length: int = 0, seed: int = 0) -> Observation:
    at: dict[str, Condition] = {"arm": arm, "pretrained": "dense", "length": length, "split": "test"}
    return Observation("accuracy", at, seed, 0, value)


def test_accuracies_are_compared_with_those_of_the_same_initialisation() -> None:
    observations = [
        seen("full", 98.0),
        seen("rewound_0", 94.0),
        seen("rewound_k", 97.0, 44),
        seen("supervised", 97.5, 44),
        seen("supervised", 98.5, 110),
        seen("rotation", 96.0, 110),
        seen("rotation", 50.0, 110, seed=1),
    ]
    comparisons = list(derived.comparisons(observations, 44))
    values = {(one.quantity, one.at["arm"], one.at["length"]): one.value for one in comparisons}
    assert values == {
        ("accuracy_drop", "rewound_0", 0): 4.0,
        ("accuracy_drop", "rewound_k", 44): 1.0,
        ("accuracy_drop", "supervised", 44): 0.5,
        ("accuracy_drop", "supervised", 110): -0.5,
        ("accuracy_drop", "rotation", 110): 2.0,
        ("gain", "full", 0): 4.0,
        ("gain", "rewound_k", 44): 3.0,
        ("gain", "supervised", 44): 3.5,
        ("gain", "supervised", 110): 4.5,
        ("gain", "rotation", 110): 2.0,
        ("beyond_half_way", "full", 0): 2.25,
        ("beyond_half_way", "rewound_k", 44): 1.25,
        ("beyond_half_way", "supervised", 110): 2.75,
        ("beyond_half_way", "rotation", 110): 0.25,
    }
    without = {one.quantity for one in derived.comparisons(observations, None)}
    assert without == {"accuracy_drop", "gain"}


def test_half_way_is_measured_by_the_first_length_of_supervised_pretraining() -> None:
    assert half_way_length(setting_with()) == 220
    assert half_way_length(setting_with(pretexts=EVERY)) == 44
    assert half_way_length(setting_with(pretexts={"rotation": EVERY["rotation"]})) is None


def test_pretexts_have_their_tasks() -> None:
    here = arms(origin(task_seed=5, blur=2, pretexts=EVERY))
    tasks = {one.arm: one.recipe.training.data.task for one, _, _ in here.values()}
    assert tasks == {
        "random_labels": Task(labels="random", seed=5),
        "rotation": Task(labels="rotation", seed=5),
        "blur": Task(blur=2),
        "rotation_blur": Task(labels="rotation", blur=2, seed=5),
        "supervised": Task(),
        "frozen": Task(),
    }
    assert PRETEXTS.keys() == set(get_args(PretextName))
    assert not PRETEXTS.keys() & REFERENCES.keys()


@pytest.mark.parametrize(("mask", "count"), [("own", 18), ("rewound", 36)])
def test_all_arms_have_one_order_the_true_labels_and_no_velocity(mask: str, count: int) -> None:
    pretrained = ("dense",) if mask == "own" else ("dense", "sparse")
    here = origin(3, mask=mask, pretexts=EVERY, schedule="continued", pretrained=pretrained)
    found = arms(here)
    assert len(found) == count
    ends = {name: end for name, (_, _, end) in found.items()}
    ends |= {(name, "", k): end for name, k, end in here.references() if name != "full"}
    for (_, _, length), end in ends.items():
        assert end.params["order"] == "copy/3/0"
        assert (end.params["start"], end.params["stop"], end.params["schedule_start"]) == (length, 800, 0)
        assert "task" not in end.params["data"]
        assert end.params["classes"] == 10
        assert end.params["optimiser_state"] == ("reset" if length else "carried")
    assert len({end.key for end in ends.values()}) == len(ends)
    masks = [end.inputs["mask"] for end in ends.values()]
    assert set(masks) == {here.mask} if mask == "rewound" else len(set(masks)) == len(ends)


def test_imp_starts_from_each_pretrained_state_and_rewinds_to_it() -> None:
    """Each level is trained as the arm is, in the order of the trainings that are pruned."""
    here = origin(pretexts=EVERY, schedule="restarted")
    for (_, _, length), (_, subnetwork, end) in arms(here).items():
        assert "mask" not in subnetwork.state.inputs
        assert end.inputs == {"state": subnetwork.state, "mask": subnetwork.mask}
        chain = levels(subnetwork.mask)
        assert len(chain) == 4
        for trained, mask in chain:
            assert trained.inputs == {"state": subnetwork.state} | ({"mask": mask} if mask else {})
            assert trained.params == {**end.params, "order": "chain/0"}
            assert (trained.params["start"], trained.params["stop"]) == (length, length + 800)


def test_a_mask_that_is_rewound_is_applied_after_dense_pretraining_and_there_during_sparse() -> None:
    here = origin(mask="rewound", pretexts=EVERY, pretrained=("dense", "sparse"))
    for (arm, under, _), (pretrained, subnetwork, _) in arms(here).items():
        mask = pretrained.state.inputs.get("mask")
        assert (mask is None) == (under == "dense")
        assert subnetwork.state.inputs["mask"] == subnetwork.mask == here.mask
        if mask is not None:
            assert (mask.stage == "mask_body") == arm.startswith("rotation")
            assert here.mask in (mask, mask.inputs["mask"])


def test_every_head_is_fresh_unless_asked_otherwise_and_after_rotations_always() -> None:
    heads = {subnetwork.state.params["head"] for _, subnetwork, _ in arms(origin(pretexts=EVERY)).values()}
    assert heads == {"fresh"}
    for (arm, _, _), (_, subnetwork, _) in arms(origin(pretexts=EVERY, head="kept")).items():
        assert subnetwork.state.params["head"] == ("fresh" if arm.startswith("rotation") else "kept")
        assert subnetwork.state.inputs["state"] == origin().setting.recipe.initial(0)


def test_the_frozen_control_has_a_rate_of_0_and_is_all_else_supervised() -> None:
    found = arms(origin(pretexts=EVERY))
    for length in (44, 110, 220):
        frozen, supervised = (found[arm, "dense", length][0].state for arm in ("frozen", "supervised"))
        assert frozen.params["schedule"] == {**supervised.params["schedule"], "rate": 0.0}
        assert {**frozen.params, "schedule": 0} == {**supervised.params, "schedule": 0}


def checked(setting: TrainingSetting[Any]) -> None:
    """The plan, by its invariants."""
    measurements = list(PROTOCOL.measurements(setting))
    check_plan(measurements, Plan.of(measurement.job for measurement in measurements))


@pytest.mark.parametrize("fault", ["of k", "of rewinding to 0", "of the level before"])
def test_a_mask_of_another_state_is_an_error(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real, setting = Origin._own_mask, setting_with()

    def planted(here: Origin, state: Job, step: int) -> Job:
        if fault == "of the level before":
            mask = real(here, state, step)
            return Job(mask.stage, mask.params, {**mask.inputs, "mask": here.mask})
        return here.mask if fault == "of k" else real(here, here.setting.recipe.initial(here.seed), 0)

    checked(setting)
    monkeypatch.setattr(Origin, "_own_mask", planted)
    with pytest.raises(InvariantBroken, match="the mask of another state: prune what was handed on"):
        checked(setting)


def test_another_mask_than_a_state_was_handed_on_with_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real, setting = Origin.handed_on, setting_with(mask="rewound")
    checked(setting)

    def planted(here: Origin, pretrained: Pretrained) -> Subnetwork:
        return Subnetwork(real(here, pretrained).state, jobs._imp(here.setting, here.seed, 0))

    monkeypatch.setattr(Origin, "handed_on", planted)
    with pytest.raises(InvariantBroken, match="but that was handed on with"):
        checked(setting)


def test_pretraining_has_a_rate_of_its_own_where_the_spec_gives_it_a_recipe() -> None:
    with_recipe, without = arms(origin(**ALIKE)), arms(origin(recipe=False, **ALIKE))
    for name, (pretrained, _, end) in with_recipe.items():
        own, other = pretrained.state.params["schedule"], without[name][0].state.params["schedule"]
        rates = (0.0, 0.0) if name[0] == "frozen" else (0.1, 1.0)
        assert (own["rate"], other["rate"]) == rates
        assert (own["drops"], other["drops"]) == ([], [400, 600])
        assert end.params["schedule"] == without[name][2].params["schedule"]


def test_supervised_pretraining_of_length_k_is_the_trunk_that_is_rewound_to() -> None:
    here = origin(recipe=False, **ALIKE)
    assert arms(here)["supervised", "dense", 44][0].state == here.setting.recipe.trunk(0, 44)


def test_supervised_pretraining_of_length_k_trains_as_rewinding_to_k_does() -> None:
    """Job by job, but for the way in which the velocity goes: tests/stages/test_transfer.py has the bits."""
    here = origin(recipe=False, optimiser_at_rewind="reset", **ALIKE)
    rewound_k = next(end for name, _, end in here.references() if name == "rewound_k")
    _, subnetwork, end = arms(here)["supervised", "dense", 44]
    assert end.params == rewound_k.params
    ours, theirs = levels(subnetwork.mask), levels(rewound_k.inputs["mask"])
    assert [trained.params for trained, _ in ours] == [trained.params for trained, _ in theirs]
    trunk = here.setting.recipe.trunk(0, 44)
    assert {trained.inputs["state"] for trained, _ in theirs} == {trunk}
    assert subnetwork.state.inputs["pretrained"] == trunk


def test_a_restarted_schedule_gives_every_arm_its_whole_length() -> None:
    here = origin(schedule="restarted", pretexts=EVERY)
    ends = [end for _, _, end in arms(here).values()] + [end for name, _, end in here.references() if name != "full"]
    for end in ends:
        start = end.params["start"]
        assert (end.params["stop"] - start, end.params["schedule_start"]) == (800, start)


@pytest.mark.parametrize("scale", ["toy", "paper"])
def test_trunk_mask_and_references_are_those_of_the_perturbations(scale: str) -> None:
    """Where they have one mask, and the schedule goes on."""
    path = ROOT / "specs" / "early_signs.yaml"
    ours, theirs, planned = setting_of(PATH, scale), setting_of(path, scale), request(path, scale).plan
    assert ours.recipe == theirs.recipe
    options = ours.options.model_copy(update={"mask": "rewound", "schedule": "continued"})
    ours = replace(ours, options=options)
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


def test_masks_full_networks_and_what_is_rewound_to_0_are_those_of_imp() -> None:
    planned = request(ROOT / "specs" / "resnet20_imp.yaml").plan.jobs.keys()
    here = Origin.of(setting_of(PATH), 0)
    ends = {name: end for name, _, end in here.references()}
    shared = [here.mask, ends["full"], ends["rewound_0"], ends["rewound_0"].inputs["mask"]]
    assert {job.key for job in shared} <= planned


@pytest.mark.parametrize("arm", ["random_labels", "rotation", "rotation_blur"])
def test_a_network_pretrained_dense_on_such_a_pretext_saw_no_true_label(arm: str) -> None:
    """IMP, which uses them, comes after."""
    state = arms(origin(pretexts=EVERY))[arm, "dense", 220][0].state
    labels = [job.params["data"]["task"]["labels"] for job in ancestry([state]).values() if job.stage == "train"]
    assert labels == ["random" if arm == "random_labels" else "rotation"]


@pytest.mark.parametrize(
    ("quantity", "at", "words"),
    [
        ("gain", {"arm": "rotation", "length": 0}, r"rotation has no length 0it: it has 220it, 880it"),
        ("gain", {"arm": "supervised", "length": 880}, r"supervised has no length 880it: it has 220it"),
        ("gain", {"arm": "rewound_k", "length": 220}, r"rewound_k has no length 220it: it has 44it"),
        ("gain", {"arm": "rewound_0", "length": 0}, "rewound_0 is what others are compared with"),
        ("beyond_half_way", {"arm": "supervised", "length": 220}, "supervised is what others are compared with"),
        ("accuracy_drop", {"arm": "full", "length": 0}, "full is what others are compared with"),
        ("pretext_accuracy", {"arm": "full", "length": 0}, "full is not pretrained on a pretext"),
        ("gain", {"arm": "rotation", "length": 220, "pretrained": "sparse"}, "rotation is not pretrained sparse here"),
        ("gain", {"arm": "full", "length": 0, "pretrained": "sparse"}, "full is not pretrained sparse here"),
    ],
)
def test_a_claim_about_what_is_not_measured_is_refused(quantity: str, at: dict[str, Any], words: str) -> None:
    here = asked()
    reason = here.protocol.unmeasured(here.setting, quantity, {"pretrained": "dense", "split": "test", **at})
    assert reason is not None
    assert re.search(words, reason)


def test_half_way_is_not_measured_without_supervised_pretraining() -> None:
    setting = setting_with(pretexts={"rotation": EVERY["rotation"]})
    at: dict[str, Any] = {"arm": "rotation", "length": 44, "pretrained": "dense", "split": "test"}
    reason = PROTOCOL.unmeasured(setting, "beyond_half_way", at)
    assert reason == "beyond_half_way is measured by supervised pretraining, dense: add it to settings.pretexts"
    assert PROTOCOL.unmeasured(setting, "gain", at) is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"mask": "rewound", "pretrained": ["dense", "dense"]}, "pretrained names one twice"),
        ({"pretrained": ["dense", "sparse"]}, "names 'sparse', but with mask: own the mask is found after pretraining"),
        ({"blur": 3}, "blur"),
        ({"pretexts": {"jigsaw": ["44it"]}}, "pretexts"),
        ({"pretexts": {"blur": []}}, "pretexts"),
        ({"pretexts": {}}, "pretexts"),
    ],
)
def test_wrong_settings_are_refused(changed: dict[str, Any], words: str) -> None:
    needed = {
        "rewind": "44it",
        "pretexts": {"blur": ["44it"]},
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
            "rotation: [220it, 880it]",
            "rotation: [0it, 880it]",
            r"pretexts.rotation\[0\]: found 0it: choose a time after 0",
        ),
        (
            "rotation: [220it, 880it]",
            "rotation: [220it, 881it]",
            r"pretexts.rotation\[1\]: found 881it, but training ends at 880it",
        ),
        ("rotation: [220it, 880it]", "rotation: [220it, 22it]", r"pretexts.rotation\[1\]: found 22it after 220it"),
        (
            "schedule: restarted",
            "schedule: continued",
            r"pretexts.rotation\[1\]: found 880it, but training, whose schedule goes on, ends at 800it: choose a time "
            "before, or schedule: restarted",
        ),
        (
            "      pretext:\n",
            "      other:\n",
            r"recipes.other: pretraining uses no recipe of this name: call it 'pretext'",
        ),
        (
            "        length: 880it\n        batch: 64",
            "        length: 880it\n        batch: 32",
            r"recipes.pretext.batch: found 32, but the network that is trained after has 64: make it so",
        ),
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
    spec["claims"] = [claim for claim in spec["claims"] if claim["checks"].pop("paper") and claim["checks"]]
    toy = spec["scales"]["toy"]
    toy["training"]["data"]["name"] = toy["recipes"]["pretext"]["data"]["name"] = "mnist"
    toy["settings"]["blur"] = 8
    toy["settings"]["pretexts"]["blur"] = ["220it"]
    path = tmp_path / PATH.name
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    with pytest.raises(RequestError, match=r"pretexts.blur: found 8, which divides no image of 28x28"):
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
            "pretexts": dict.fromkeys(PRETEXTS, (Duration(2, "it"),)),
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
    assert {seen.at["arm"] for seen in observations} == {*REFERENCES, *PRETEXTS}
    moved = {seen.at["arm"]: seen.value for seen in observations if seen.quantity == "moved_distance"}
    assert moved.pop("frozen") == 0
    assert min(moved.values()) > 0
