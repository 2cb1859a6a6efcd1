"""What every experiment family must keep; a new module is tested unasked (it needs a tiny spec in ``TINY``)."""

import dataclasses
import itertools
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from pydantic import BaseModel

from harness.datainfo import nominal
from harness.engine.datasets import load as load_dataset
from harness.execution.run import execute
from harness.job import Job
from harness.observation import Observation
from harness.plan import Plan
from harness.protocols import families
from harness.protocols.setting import TrainingSetting
from harness.spec.claims import Check, Claim
from harness.spec.model import Replicates
from harness.spec.training import Adam, ClipValue, LeNet, PixelScale
from harness.steps import Duration
from harness.store import Store
from harness.verify import Request
from tests.support import (
    approximation_text,
    claim,
    cliffs_text,
    drift_text,
    edge_text,
    edited,
    imp_text,
    instability_text,
    quadratic_text,
    request,
    spectrum_text,
)

JUDGED_ONLY = {"stable_below", "matching_within", "low_below", "top_directions"}
"""Fields of settings that decide no job: they are thresholds of figures and of judgements."""


def _fuller(text: str) -> str:
    """The tiny spec with a ResNet, SGD and warmup, where every choice matters."""
    text = edited(text, "{name: lenet, hidden: [16]}", "{name: resnet, widths: [4], blocks: 1}")
    text = edited(text, "parameters: 1210", "parameters: 398")
    text = edited(text, "{name: adam}", "{name: sgd, momentum: 0.9, weight_decay: 1e-3}")
    text = edited(text, "    departures:", "      line: {alphas: 3}\n    departures:")
    return edited(text, "warmup: 0it", "warmup: 5it")


TINY: Mapping[str, Callable[[], str]] = {
    "instability": lambda: _fuller(instability_text()),
    "imp": lambda: _fuller(
        edited(imp_text(claim("a", "density", "{rewind: 0it, level: 1}")), "rewinds: [0it]", "rewinds: [0it, 10it]")
    ),
    "noisy_quadratic": quadratic_text,
    "edge_of_stability": edge_text,
    "hessian_spectrum": spectrum_text,
    "eigenvector_drift": drift_text,
    "quadratic_approximation": approximation_text,
    "loss_cliffs": cliffs_text,
}


@pytest.fixture(scope="module", params=sorted(families()))
def asked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Request:
    """A tiny request of each family."""
    assert request.param in TINY, f"give the family {request.param!r} a tiny spec here"
    return tiny(request.param, tmp_path_factory.mktemp(request.param))


def tiny(family: str, folder: Path) -> Request:
    """A tiny request of a family."""
    text = TINY[family]()
    identity = next(line for line in text.splitlines() if line.startswith("id: ")).removeprefix("id: ")
    path = folder / f"{identity}.yaml"
    path.write_text(text)
    return _planned(path)


def _planned(path: Path) -> Request:
    return request(path)


@pytest.fixture(scope="module")
def observed(asked: Request, tmp_path_factory: pytest.TempPathFactory) -> list[Observation]:
    """What it observes when it is really run."""
    torch.set_num_threads(1)
    store = Store(tmp_path_factory.mktemp("store"))
    run = execute(
        asked.plan,
        store,
        devices=[torch.device("cpu")],
        load_dataset=lambda name: load_dataset(name, Path("data")),
        provenance={},
    )
    assert run.failed == {}
    return asked.protocol.observations(asked.setting, lambda job: store.read(job).table)


def test_it_is_called_as_its_spec_calls_it(asked: Request) -> None:
    assert asked.protocol.name == asked.loaded.spec.protocol
    assert families()[asked.protocol.name] is asked.protocol


def test_quantities_say_what_they_mean(asked: Request) -> None:
    for name, quantity in asked.protocol.quantities.items():
        assert quantity.meaning, name
        assert len(set(quantity.axes)) == len(quantity.axes)


def test_axes_hold_defaults_and_times_in_order(asked: Request) -> None:
    axes, defaults = asked.protocol.axes(asked.setting), asked.protocol.defaults(asked.setting)
    for axis, value in defaults.items():
        assert value in axes[axis]
    for axis in asked.protocol.time_axes:
        assert list(axes[axis]) == sorted(set(axes[axis]))
    named = {axis for quantity in asked.protocol.quantities.values() for axis in quantity.axes}
    assert axes.keys() <= named, "an axis that no quantity has"


def test_settings_are_documented_with_their_origins(asked: Request) -> None:
    documentation = asked.protocol.settings.__doc__ or ""
    for name in asked.protocol.settings.model_fields:
        assert f"{name}:" in documentation, f"{asked.protocol.settings.__name__}.{name} has no words"


def test_measurements_are_the_same_every_time(asked: Request) -> None:
    once, again = (
        [(one.kind, one.job.key, dict(one.at), one.initialisation, one.within) for one in found]
        for found in (asked.protocol.measurements(asked.setting), asked.protocol.measurements(asked.setting))
    )
    assert once == again


def test_replicates_share_no_training(asked: Request) -> None:
    """Each initialisation has jobs of its own, and no two observations of a replicate rest on one job twice."""
    by_seed: dict[int, set[str]] = {}
    for one in asked.protocol.measurements(asked.setting):
        jobs = Plan.of([one.job]).jobs.values()
        by_seed.setdefault(one.initialisation, set()).update(job.key for job in jobs)
    assert by_seed.keys() == set(asked.setting.replicates.seeds)
    for a, b in itertools.combinations(by_seed.values(), 2):
        assert not a & b


def test_pairs_are_of_copies_with_different_orders(asked: Request) -> None:
    """The ends of every line are two trainings from one state whose data orders differ."""
    if not getattr(asked.protocol, "compares_copies", False):
        pytest.skip("this family compares no copies")
    lines = [job for job in asked.plan.jobs.values() if job.stage == "line"]
    assert lines
    for job in lines:
        a, b = job.inputs["a"], job.inputs["b"]
        assert a.key != b.key
        assert a.params["order"] != b.params["order"]
        assert {**a.params, "order": ""} == {**b.params, "order": ""}
        assert {role: one.key for role, one in a.inputs.items()} == {role: one.key for role, one in b.inputs.items()}


def test_measurements_do_not_repeat(asked: Request) -> None:
    seen = [
        (one.kind, tuple(sorted(one.at.items())), one.initialisation, one.within)
        for one in asked.protocol.measurements(asked.setting)
    ]
    assert len(seen) == len(set(seen))


def test_observations_have_exactly_the_axes_of_their_quantity(asked: Request, observed: list[Observation]) -> None:
    axes = asked.protocol.axes(asked.setting)
    for one in observed:
        quantity = asked.protocol.quantities[one.quantity]
        assert set(one.at) == set(quantity.axes), one
        assert isinstance(one.value, float | int)
        for axis, value in one.at.items():
            assert value in axes.get(axis, [value]), one


def test_every_quantity_is_observed_once_a_replicate(asked: Request, observed: list[Observation]) -> None:
    assert {one.quantity for one in observed} == asked.protocol.quantities.keys()
    seen = [(one.quantity, tuple(sorted(one.at.items())), one.initialisation, one.within) for one in observed]
    assert len(seen) == len(set(seen))


def test_every_default_is_observed(asked: Request, observed: list[Observation]) -> None:
    """A claim that leaves out what it may is about something that was measured."""
    defaults = asked.protocol.defaults(asked.setting)
    for name, quantity in asked.protocol.quantities.items():
        wanted = {axis: value for axis, value in defaults.items() if axis in quantity.axes}
        found = [one for one in observed if one.quantity == name and wanted.items() <= one.at.items()]
        assert {one.initialisation for one in found} == set(asked.setting.replicates.seeds), name


def test_a_lost_table_takes_only_its_own_observations(asked: Request) -> None:
    assert list(asked.protocol.observe(asked.setting, lambda job: None)) == []


def _marked(asked: Request) -> list[tuple[Claim, Check]]:
    """Every claim, so that every mark is drawn that can be."""
    claims = asked.loaded.spec.claims
    return [(one, asked.protocol.resolve(asked.setting, one.checks["toy"])) for one in claims]


def test_figures_show_observations(asked: Request, observed: list[Observation]) -> None:
    figures = asked.protocol.figures(asked.setting, observed, _marked(asked))
    assert figures
    assert len({figure.id for figure in figures}) == len(figures)
    for figure in figures:
        assert figure.title
        assert figure.caption
        assert figure.x_label
        assert figure.y_label
        assert figure.surface or any(series.y for series in figure.series), f"{figure.id} shows nothing"
        for series in figure.series:
            assert len(series.x) == len(series.y)
            assert len(series.low) == len(series.high) in (0, len(series.x))
            assert list(series.x) == sorted(series.x)


def test_figures_can_be_drawn_of_nothing(asked: Request) -> None:
    for figure in asked.protocol.figures(asked.setting, [], _marked(asked)):
        assert not any(series.y for series in figure.series)
        assert figure.surface is None


def test_unknown_conditions_of_every_axis_are_refused(asked: Request) -> None:
    spec, settings = asked.loaded.spec, asked.setting.options
    model = spec.claims[0].model_dump(mode="json")
    for name, quantity in asked.protocol.quantities.items():
        for axis in quantity.axes:
            if not set(quantity.axes) <= set(asked.protocol.axes(asked.setting)):
                continue  # drawn only; no claim can be about it
            at: dict[str, object] = {
                other: _written(asked, other, asked.protocol.axes(asked.setting)[other][0])
                for other in quantity.axes
                if other in asked.protocol.axes(asked.setting)
            }
            at[axis] = "999it" if axis in asked.protocol.time_axes else "nonsense"
            check = {"at": at, "expect": {"kind": "at_most", "bound": 1.0}}
            one = Claim.model_validate({**model, "quantity": name, "checks": {"toy": check}})
            problems = asked.protocol.problems(spec.model_copy(update={"claims": (one,)}), "toy", settings)
            assert any(axis in problem.location for problem in problems), (name, axis)


def _written(asked: Request, axis: str, value: object) -> object:
    return f"{value}it" if axis in asked.protocol.time_axes else value


# Every field of the settings, of the recipe and of the replicates reaches the jobs.


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


def _keys(asked: Request, setting: TrainingSetting) -> set[str]:
    return {one.job.key for one in asked.protocol.measurements(setting)}


def test_every_setting_of_the_protocol_reaches_the_jobs(asked: Request) -> None:
    before = _keys(asked, asked.setting)
    seen = set()
    for name, options in _changed(asked.setting.options):
        seen.add(name.split(".")[0])
        after = _keys(asked, dataclasses.replace(asked.setting, options=options))
        assert (after == before) == (name in JUDGED_ONLY), f"settings.{name}: {options}"
    assert seen == set(type(asked.setting.options).model_fields)


def test_every_choice_of_the_recipe_reaches_the_jobs(asked: Request) -> None:
    if not asked.protocol.trains:
        pytest.skip("this family trains no network")
    before = _keys(asked, asked.setting)
    training = asked.setting.training
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
        after = _keys(asked, dataclasses.replace(asked.setting, training=changed))
        assert after != before, f"training.{name} decides nothing"


def test_replicates_and_data_reach_the_jobs(asked: Request) -> None:
    compares = getattr(asked.protocol, "compares_copies", False)
    four = asked.setting.replicates.model_copy(update={"orders": 4})  # of two, all pairs are disjoint
    full = four if compares else asked.setting.replicates
    before = _keys(asked, dataclasses.replace(asked.setting, replicates=full))
    for name, replicates in _changed(full):
        assert isinstance(replicates, Replicates)
        after = _keys(asked, dataclasses.replace(asked.setting, replicates=replicates))
        decides = compares or name not in ("orders", "pairing")
        assert (after != before) == decides, f"replicates.{name}"
    if asked.setting.dataset is None:
        return
    other = dataclasses.replace(asked.setting.data, digest="0" * 64)
    changed = _keys(asked, dataclasses.replace(asked.setting, data=other))
    assert not {job for job in changed & _keys(asked, asked.setting) if not _is_of_weights_alone(asked, job)}
    assert nominal("digits") == asked.setting.data


def _is_of_weights_alone(asked: Request, key: str) -> bool:
    """Whether a job rests on no data: a fresh network and what is made of it."""
    job: Job = asked.plan.jobs[key]
    return not any("data" in one.params for one in Plan.of([job]).jobs.values())
