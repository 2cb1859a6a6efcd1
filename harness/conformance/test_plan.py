"""What an experiment plans, before anything runs."""

import itertools

import pytest

from harness.jobs.plan import Plan
from harness.jobs.stages import row
from harness.pipeline.request import Request
from harness.protocols import protocols
from harness.regress.fingerprints import READERS
from harness.regress.kinds import kinds
from harness.schema.claims import Claim
from harness.stages import find


def test_it_is_called_as_its_spec_calls_it(asked: Request) -> None:
    """A spec finds its experiment by its name."""
    assert asked.protocol.name == asked.loaded.spec.protocol
    assert protocols()[asked.protocol.name] is asked.protocol


def test_quantities_say_what_they_mean(asked: Request) -> None:
    """Every quantity has words, and no axis twice."""
    for name, quantity in asked.protocol.quantities.items():
        assert quantity.meaning, name
        assert len(set(quantity.axes)) == len(quantity.axes)


def test_axes_hold_defaults_and_times_in_order(asked: Request) -> None:
    """A default is a value of its axis, times stand in order, and some quantity has each axis."""
    axes, defaults = asked.protocol.axes(asked.setting), asked.protocol.defaults(asked.setting)
    for axis, value in defaults.items():
        assert value in axes[axis]
    for axis in asked.protocol.time_axes:
        assert list(axes[axis]) == sorted(set(axes[axis]))
    named = {axis for quantity in asked.protocol.quantities.values() for axis in quantity.axes}
    assert axes.keys() <= named, "an axis that no quantity has"


def test_settings_are_documented_with_their_origins(asked: Request) -> None:
    """Every field of the settings has words in the docstring of the model that declares it."""
    models = asked.protocol.settings.__mro__
    for name in asked.protocol.settings.model_fields:
        owner = next(model for model in models if name in vars(model).get("__annotations__", {}))
        assert f"{name}:" in (owner.__doc__ or ""), f"{owner.__name__}.{name} has no words"


def test_measurements_are_the_same_every_time(asked: Request) -> None:
    """No chance decides what is measured."""
    once, again = (
        [
            (
                measurement.reads,
                measurement.job.key,
                dict(measurement.at),
                measurement.initialisation,
                measurement.repeat,
            )
            for measurement in measurements
        ]
        for measurements in (asked.protocol.measurements(asked.setting), asked.protocol.measurements(asked.setting))
    )
    assert once == again


def test_replicates_share_no_training(asked: Request) -> None:
    """Each initialisation has jobs of its own, and no two observations of a replicate rest on one job twice."""
    by_seed: dict[int, set[str]] = {}
    for measurement in asked.protocol.measurements(asked.setting):
        jobs = Plan.of([measurement.job]).jobs.values()
        by_seed.setdefault(measurement.initialisation, set()).update(job.key for job in jobs)
    assert by_seed.keys() == set(asked.setting.replicates.seeds)
    for a, b in itertools.combinations(by_seed.values(), 2):
        assert not a & b


def test_pairs_are_of_copies_with_different_orders(asked: Request) -> None:
    """The ends of every line are two trainings from one state whose data orders differ."""
    if not getattr(asked.protocol, "compares_copies", False):
        pytest.skip("this experiment compares no copies")
    lines = [job for job in asked.plan.jobs.values() if row(job.stage).role == "line"]
    assert lines
    for job in lines:
        a, b = job.inputs["a"], job.inputs["b"]
        assert a.key != b.key
        assert a.params["order"] != b.params["order"]
        assert {**a.params, "order": ""} == {**b.params, "order": ""}
        assert {role: given.key for role, given in a.inputs.items()} == {
            role: given.key for role, given in b.inputs.items()
        }


def test_measurements_do_not_repeat(asked: Request) -> None:
    """Nothing is measured twice under the same conditions."""
    seen = [
        (measurement.reads, tuple(sorted(measurement.at.items())), measurement.initialisation, measurement.repeat)
        for measurement in asked.protocol.measurements(asked.setting)
    ]
    assert len(seen) == len(set(seen))


def test_a_lost_table_takes_only_its_own_observations(asked: Request) -> None:
    """Without tables nothing is observed, and nothing breaks."""
    assert list(asked.protocol.observe(asked.setting, lambda job: None)) == []


def test_unknown_conditions_of_every_axis_are_refused(asked: Request) -> None:
    """A claim about what is not measured is refused, naming the axis."""
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
            check = {"at": at, "expect": {"kind": "at_most", "estimand": "mean", "bound": 1.0}}
            claim = Claim.model_validate({**model, "quantity": name, "checks": {"toy": check}})
            problems = asked.protocol.problems(spec.model_copy(update={"claims": (claim,)}), "toy", settings)
            assert any(axis in problem.location for problem in problems), (name, axis)


def _written(asked: Request, axis: str, value: object) -> object:
    return f"{value}it" if axis in asked.protocol.time_axes else value


def test_its_stages_are_in_the_table_and_say_what_the_guard_sees(asked: Request) -> None:
    """Every stage has a row and a module; its fingerprint is one that the guard knows, or a reason why it has none."""
    for name in {job.stage for job in asked.plan.jobs.values()}:
        about = row(name)
        assert callable(find(name).run)
        assert about.unguarded or about.seen_closely in READERS, f"{name}: {about.seen_closely!r} is no fingerprint"


def test_initialisations_differ_in_their_seeds_alone(asked: Request) -> None:
    """Else a random stream is no seed in its stage's row, and the guard takes each initialisation for another plan."""
    known = kinds(asked.plan.jobs)
    by_initialisation: dict[int | None, set[str]] = {}
    for kind in known.values():
        by_initialisation.setdefault(kind.initialisation, set()).add(kind.digest)
    assert by_initialisation.keys() == set(asked.setting.replicates.seeds)
    assert len(set(map(frozenset, by_initialisation.values()))) == 1
