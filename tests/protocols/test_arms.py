"""Arms: what each is made of; an arm that is added to the table is listed, validated, planned and drawn."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from harness.errors import RequestError
from harness.jobs.job import Job
from harness.observation import Observation
from harness.pipeline.request import Request
from harness.protocols.common import arms
from harness.protocols.common.arms import ARMS, Arm, ArmOptions, Origin, Subnetwork, subnetworks
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.setting import TrainingSetting
from tests.support import cli, edited, imp_text, request


@pytest.fixture
def asked(tmp_path: Path) -> Callable[[str], Request]:
    def made(options: str) -> Request:
        path = tmp_path / "tiny_imp.yaml"
        path.write_text(edited(imp_text(), "matching_within: 0.5", f"{options}\n      matching_within: 0.5"))
        return request(path)

    return made


def _found(asked: Request) -> tuple[TrainingSetting, Subnetwork]:
    assert isinstance(asked.setting, TrainingSetting)
    mask = next(job for job in asked.plan.jobs.values() if job.stage == "prune")
    return asked.setting, Subnetwork(asked.setting.recipe.trunk(0, 10), mask)


def with_arms(setting: TrainingSetting, names: Iterable[str]) -> ArmOptions:
    changed: ArmOptions = setting.options.model_copy(update={"arms": tuple(names)})
    return changed


def test_every_arm_is_another_subnetwork_of_the_same_step(asked: Callable[[str], Request]) -> None:
    setting, found = _found(asked("reinit: at_rewind"))
    made = dict(subnetworks(setting.recipe, 0, 10, found, with_arms(setting, reversed(ARMS))))
    assert list(made) == list(ARMS)
    assert made["imp"] == found
    assert made["random_prune"].state == found.state
    assert made["random_prune"].mask not in (None, found.mask)
    assert made["random_reinit"].mask == found.mask
    assert (made["random_reinit"].state.stage, made["random_reinit"].state.params["step"]) == ("init", 10)
    assert len(set(made.values())) == len(ARMS)


def test_the_experiments_choice_reaches_the_arm(asked: Callable[[str], Request]) -> None:
    setting, found = _found(asked("reinit: trained_to_rewind"))
    made = dict(subnetworks(setting.recipe, 0, 10, found, with_arms(setting, ["random_reinit"])))
    assert (made["random_reinit"].state.stage, made["random_reinit"].state.params["stop"]) == ("train", 10)


def test_random_pruning_is_over_layers_unless_asked_otherwise(asked: Callable[[str], Request]) -> None:
    setting, found = _found(asked("random_pruning: global"))
    both = [setting.options, setting.options.model_copy(update={"random_pruning": "layer"})]
    masks = [dict(subnetworks(setting.recipe, 0, 10, found, options))["random_prune"].mask for options in both]
    assert masks[0] is not None
    assert masks[1] is not None
    assert masks[0].params == {**masks[1].params, "scope": "global"}
    assert masks[1].params == {"seed": "shuffle/0"}, "keys of what was run before"


def test_a_full_network_has_no_baselines(asked: Callable[[str], Request]) -> None:
    setting, found = _found(asked("reinit: at_rewind"))
    full = Subnetwork(found.state, None)
    assert list(subnetworks(setting.recipe, 0, 10, full, with_arms(setting, ARMS))) == [("imp", full)]


def _late(recipe: Recipe, origin: Origin) -> Subnetwork:
    """Its mask with the weights of a step later."""
    return Subnetwork(recipe.trunk(origin.seed, origin.step + 1), origin.mask)


def test_an_arm_is_added_by_one_function(asked: Callable[[str], Request], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arms, "ARMS", {**ARMS, "a_step_late": Arm("a step late", _late)})
    monkeypatch.setattr("harness.protocols.imp.figures.ARMS", arms.ARMS)
    found = asked("arms: [imp, a_step_late]")
    measured = [one for one in found.protocol.measurements(found.setting) if one.at.get("arm") == "a_step_late"]
    assert {one.at["level"] for one in measured} == {2}
    starts: set[Job] = {one.job.inputs["state"].inputs["state"] for one in measured if one.job.stage == "evaluate"}
    assert {start.params["stop"] for start in starts} == {1}
    at = {"arm": "a_step_late", "rewind": 0, "level": 2, "split": "test", "batch_norm": "interpolated"}
    figures = found.protocol.figures(found.setting, [Observation("instability", at, 0, 0, 1.0)], [])
    (drawn,) = (one for one in figures if one.id == "instability_rewind")
    assert [one.label for one in drawn.series] == ["a step late"]
    assert "a_step_late" in found.protocol.axes(found.setting)["arm"]
    schema = json.dumps(cli("schema").json)
    assert f'"enum": {json.dumps([*ARMS, "a_step_late"])}' in schema
    assert "a_step_late: Its mask with the weights of a step later." in schema


@pytest.mark.parametrize("name", ["unheard_of", "3", "true"])
def test_an_unknown_arm_is_refused_with_those_that_there_are(asked: Callable[[str], Request], name: str) -> None:
    *others, last = map(repr, ARMS)
    with pytest.raises(RequestError, match=rf"arms\[1\]: found .*: should be {', '.join(others)} or {last}"):
        asked(f"arms: [imp, {name}]")
