"""Every field of the settings, of the recipe and of the replicates reaches the jobs."""

import dataclasses

import pytest

from harness.conformance.changes import changed
from harness.datainfo import nominal
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.pipeline.request import Request
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.setting import Setting, TrainingSetting
from harness.schema.model import Replicates
from harness.schema.training import Adam, ClipValue, LeNet, PixelScale


def _keys(asked: Request, setting: Setting) -> set[str]:
    return {measurement.job.key for measurement in asked.protocol.measurements(setting)}


def test_every_setting_of_the_protocol_reaches_the_jobs(asked: Request) -> None:
    """Each field of the settings decides jobs, or is named in ``judged_only``."""
    before = _keys(asked, asked.setting)
    seen = set()
    for name, options in changed(asked.setting.options):
        seen.add(name.split(".")[0])
        after = _keys(asked, dataclasses.replace(asked.setting, options=options))
        assert (after == before) == (name in asked.protocol.judged_only), f"settings.{name}: {options}"
    assert seen == set(type(asked.setting.options).model_fields)


def test_every_choice_of_the_recipe_reaches_the_jobs(asked: Request) -> None:
    """No field of the recipe is forgotten in keys."""
    if not asked.protocol.trains:
        pytest.skip("this experiment trains no network")
    setting = asked.setting
    assert isinstance(setting, TrainingSetting)
    before, training = _keys(asked, setting), setting.recipe.training
    clipped = training.optimiser.model_copy(update={"clip": ClipValue(kind="value", at=0.1)})
    data = [*changed(training.data, frozenset({"name"}))]
    data.append(("normalise", training.data.model_copy(update={"normalise": PixelScale(kind="scale")})))
    others = [
        *changed(training, skip=frozenset({"data"})),
        *((f"data.{name}", training.model_copy(update={"data": other})) for name, other in data),
        ("network", training.model_copy(update={"network": LeNet(name="lenet")})),
        ("optimiser", training.model_copy(update={"optimiser": Adam(name="adam")})),
        ("optimiser.clip", training.model_copy(update={"optimiser": clipped})),
    ]
    assert {name.split(".")[0] for name, _ in others} == set(type(training).model_fields)
    for name, other in others:
        after = _keys(asked, dataclasses.replace(setting, recipe=Recipe(other, setting.recipe.data)))
        assert after != before, f"training.{name} decides nothing"


def test_replicates_and_data_reach_the_jobs(asked: Request) -> None:
    """Replicates and the dataset's digest decide jobs."""
    compares = getattr(asked.protocol, "compares_copies", False)
    four = asked.setting.replicates.model_copy(update={"orders": 4})  # of two, all pairs are disjoint
    full = four if compares else asked.setting.replicates
    before = _keys(asked, dataclasses.replace(asked.setting, replicates=full))
    for name, replicates in changed(full):
        assert isinstance(replicates, Replicates)
        after = _keys(asked, dataclasses.replace(asked.setting, replicates=replicates))
        decides = compares or name not in ("orders", "pairing")
        assert (after != before) == decides, f"replicates.{name}"
    setting = asked.setting
    if not isinstance(setting, TrainingSetting):
        return
    main, *others = (
        Recipe(recipe.training, dataclasses.replace(recipe.data, digest="0" * 64))
        for recipe in setting.recipes.values()
    )
    elsewhere = dataclasses.replace(setting, recipe=main, others=dict(zip(setting.others, others, strict=True)))
    after = _keys(asked, elsewhere)
    assert not {job for job in after & _keys(asked, setting) if not _is_of_weights_alone(asked, job)}
    assert nominal("digits") == setting.recipe.data


def _is_of_weights_alone(asked: Request, key: str) -> bool:
    """Whether a job rests on no data: a fresh network and what is made of it."""
    job: Job = asked.plan.jobs[key]
    return not any("data" in needed.params for needed in Plan.of([job]).jobs.values())
