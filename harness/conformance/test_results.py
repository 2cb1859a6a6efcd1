"""What an experiment observes and draws when it is run."""

from collections.abc import Container
from functools import partial

import pytest

from harness.jobs.job import Job, ancestry
from harness.jobs.stage_row import Table
from harness.observation import SINGLE, Observation
from harness.pipeline.request import Request
from harness.protocols.common.base import Read
from harness.schema.claims import Check, Claim


def test_observations_have_exactly_the_axes_of_their_quantity(asked: Request, observed: list[Observation]) -> None:
    """Observations name the conditions that a claim can ask for."""
    axes = asked.protocol.axes(asked.setting)
    for observation in observed:
        quantity = asked.protocol.quantities[observation.quantity]
        assert set(observation.at) == set(quantity.axes), observation
        assert isinstance(observation.value, float | int)
        for axis, value in observation.at.items():
            assert value in axes.get(axis, [value]), observation


def test_every_quantity_is_observed_once_a_replicate(asked: Request, observed: list[Observation]) -> None:
    """No quantity is missing, none is counted twice."""
    assert {observation.quantity for observation in observed} == asked.protocol.quantities.keys()
    seen = [
        (observation.quantity, tuple(sorted(observation.at.items())), observation.initialisation, observation.repeat)
        for observation in observed
    ]
    assert len(seen) == len(set(seen))


def test_every_default_is_observed(asked: Request, observed: list[Observation]) -> None:
    """A claim that leaves out what it may is about something that was measured."""
    defaults = asked.protocol.defaults(asked.setting)
    for name, quantity in asked.protocol.quantities.items():
        wanted = {axis: value for axis, value in defaults.items() if axis in quantity.axes}
        matching = [
            observation
            for observation in observed
            if observation.quantity == name and wanted.items() <= observation.at.items()
        ]
        assert {observation.initialisation for observation in matching} == set(asked.setting.replicates.seeds), name


def test_observations_rest_on_what_the_experiment_says(
    asked: Request, observed: list[Observation], tables: Read
) -> None:
    """Without the other tables they are the same, so that a claim can be judged before those are there."""
    measurements = list(asked.protocol.measurements(asked.setting))
    by_tables: dict[frozenset[str], list[Observation]] = {}
    for observation in observed:
        mine = frozenset(
            measurement.job.key
            for measurement in measurements
            if asked.protocol.rests_on(asked.setting, observation.quantity, observation.at, measurement)
        )
        by_tables.setdefault(mine, []).append(observation)
    for keys, expected in by_tables.items():
        there = ancestry([measurement.job for measurement in measurements if measurement.job.key in keys])
        some = asked.protocol.observations(asked.setting, partial(_of_some, tables, there))
        values = {_name(observation): observation.value for observation in some}
        for observation in expected:
            assert values[_name(observation)] == pytest.approx(observation.value, rel=SINGLE, nan_ok=True), observation


def _name(observation: Observation) -> tuple[object, ...]:
    return observation.quantity, frozenset(observation.at.items()), observation.initialisation, observation.repeat


def _of_some(tables: Read, there: Container[str], job: Job) -> Table | None:
    return tables(job) if job.key in there else None


def _marked(asked: Request) -> list[tuple[Claim, Check]]:
    """Every claim, so that every mark is drawn that can be."""
    claims = asked.loaded.spec.claims
    return [(claim, asked.protocol.resolve(asked.setting, claim.checks["toy"])) for claim in claims]


def test_figures_show_observations(asked: Request, observed: list[Observation]) -> None:
    """Figures have words, axes and points in order."""
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
    """A run in which all broke has a report, too."""
    for figure in asked.protocol.figures(asked.setting, [], _marked(asked)):
        assert not any(series.y for series in figure.series)
        assert figure.surface is None
