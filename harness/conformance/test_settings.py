"""Every field of the settings, of the recipe and of the replicates reaches the jobs."""

import dataclasses
import types
import typing
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from harness.datainfo import nominal
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.pipeline.request import Request
from harness.protocols.common.recipe import Recipe
from harness.protocols.common.setting import Setting, TrainingSetting
from harness.schema.model import Replicates
from harness.schema.training import Adam, ClipValue, LeNet, PixelScale
from harness.steps import Duration


def _others(annotation: Any, value: Any) -> Iterator[Any]:
    """Other values of a field, in their kind; none are validated."""
    if isinstance(value, BaseModel):
        for _, changed in _changed(value):
            yield changed
    elif typing.get_origin(annotation) is Literal:
        yield from (one for one in typing.get_args(annotation) if one != value)
    elif value is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation()
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float):
        yield value * 0.5 if value else 0.25
    elif isinstance(value, Duration):
        yield Duration(value.count + 1, value.unit)
    elif isinstance(value, tuple):
        (inner, *_) = typing.get_args(annotation) or (Any,)
        if len(value) > 1:
            yield value[:-1] if "imp" in value else value[1:]
        else:
            yield from ((other, *value[1:]) for other in _others(inner, value[0]))
    else:
        pytest.fail(f"no other value is known for {value!r} of {annotation}")


def _changed(model: BaseModel, skip: frozenset[str] = frozenset()) -> Iterator[tuple[str, Any]]:
    """(field, copy of the model in which it differs)."""
    for name, field in type(model).model_fields.items():
        if name in skip or _is_tag(field.annotation):
            continue
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            for inner, changed in _changed(value):
                yield f"{name}.{inner}", model.model_copy(update={name: changed})
        else:
            for other in _others(_plain(field.annotation), value):
                yield name, model.model_copy(update={name: other})


def _is_tag(annotation: Any) -> bool:
    """Whether a field only says which member of a union this is."""
    return typing.get_origin(annotation) is Literal and len(typing.get_args(annotation)) == 1


def _plain(annotation: Any) -> Any:
    while typing.get_origin(annotation) in (typing.Annotated, types.UnionType):
        annotation = typing.get_args(annotation)[0]
    return annotation


def _keys(asked: Request, setting: Setting) -> set[str]:
    return {one.job.key for one in asked.protocol.measurements(setting)}


def test_every_setting_of_the_protocol_reaches_the_jobs(asked: Request) -> None:
    """Each field of the settings decides jobs, or is named in ``judged_only``."""
    before = _keys(asked, asked.setting)
    seen = set()
    for name, options in _changed(asked.setting.options):
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
    data = [*_changed(training.data, frozenset({"name"}))]
    data.append(("normalise", training.data.model_copy(update={"normalise": PixelScale(kind="scale")})))
    others = [
        *_changed(training, skip=frozenset({"data"})),
        *((f"data.{name}", training.model_copy(update={"data": changed})) for name, changed in data),
        ("network", training.model_copy(update={"network": LeNet(name="lenet")})),
        ("optimiser", training.model_copy(update={"optimiser": Adam(name="adam")})),
        ("optimiser.clip", training.model_copy(update={"optimiser": clipped})),
    ]
    assert {name.split(".")[0] for name, _ in others} == set(type(training).model_fields)
    for name, changed in others:
        after = _keys(asked, dataclasses.replace(setting, recipe=Recipe(changed, setting.recipe.data)))
        assert after != before, f"training.{name} decides nothing"


def test_replicates_and_data_reach_the_jobs(asked: Request) -> None:
    """Replicates and the dataset's digest decide jobs."""
    compares = getattr(asked.protocol, "compares_copies", False)
    four = asked.setting.replicates.model_copy(update={"orders": 4})  # of two, all pairs are disjoint
    full = four if compares else asked.setting.replicates
    before = _keys(asked, dataclasses.replace(asked.setting, replicates=full))
    for name, replicates in _changed(full):
        assert isinstance(replicates, Replicates)
        after = _keys(asked, dataclasses.replace(asked.setting, replicates=replicates))
        decides = compares or name not in ("orders", "pairing")
        assert (after != before) == decides, f"replicates.{name}"
    setting = asked.setting
    if not isinstance(setting, TrainingSetting):
        return
    other = dataclasses.replace(setting.recipe.data, digest="0" * 64)
    changed = _keys(asked, dataclasses.replace(setting, recipe=Recipe(setting.recipe.training, other)))
    assert not {job for job in changed & _keys(asked, setting) if not _is_of_weights_alone(asked, job)}
    assert nominal("digits") == setting.recipe.data


def _is_of_weights_alone(asked: Request, key: str) -> bool:
    """Whether a job rests on no data: a fresh network and what is made of it."""
    job: Job = asked.plan.jobs[key]
    return not any("data" in one.params for one in Plan.of([job]).jobs.values())
