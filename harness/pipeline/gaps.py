"""What broken jobs took from an experiment: the observations that would be there without them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.jobs.job import Job, ancestry
from harness.jobs.stage_row import Table
from harness.observation import Condition, Gap, Observation
from harness.protocols.common.base import Experiment, Measurement, Read
from harness.protocols.common.setting import Setting

_LETTERS = 160
"""Of a job's error."""

_Name = tuple[str, tuple[tuple[str, Condition], ...], int, int]


def gaps(
    protocol: Experiment[Any],
    setting: Setting,
    read: Read,
    why: Callable[[Job], str],
) -> list[Gap]:
    """The observations that an experiment lost, or that rest on survivors.

    The tables of broken measurements are replaced by those of other replicates of the same measurement, or, where it
    broke in all of them, by one that the same function reads, under the most alike conditions. What is then observed
    and was not, or with another value, is lost: so nothing need be known of how a protocol derives its quantities, and
    what a setting does not measure is no gap. As a replicate may happen to have another's numbers, what is observed
    with numbers moved a little from theirs must be the same, too. A measurement without any such table has a gap
    without a quantity.

    Args:
        protocol: the experiment.
        setting: of the experiment.
        read: the tables that are there.
        why: a job without a table -> the error of what broke.
    """
    measurements = list(protocol.measurements(setting))
    broken = [measurement for measurement in measurements if read(measurement.job) is None]
    if not broken:
        return []
    sound = [(measurement, table) for measurement in measurements if (table := read(measurement.job)) is not None]
    instead = {
        measurement.job.key: table for measurement in broken if (table := _substitute(measurement, sound)) is not None
    }
    moved = {key: _moved(table) for key, table in instead.items()}

    def observed(tables: Mapping[str, Table]) -> list[Observation]:
        def either(job: Job) -> Table | None:
            table = read(job)
            return tables.get(job.key) if table is None else table

        return list(protocol.observe(setting, either))

    there = _values(observed({}))
    whole, other = observed(instead), _values(observed(moved))
    lost = [
        observation
        for observation in whole
        if not there.get(_name(observation)) == repr(observation.value) == other.get(_name(observation))
    ]
    named = [
        Gap(observation.quantity, observation.at, observation.initialisation, why(_cause(observation, broken).job))
        for observation in lost
    ]
    alone = [measurement for measurement in broken if measurement.job.key not in instead]
    return named + [
        Gap(None, measurement.at, measurement.initialisation, why(measurement.job)) for measurement in alone
    ]


def _substitute(broken: Measurement, sound: Sequence[tuple[Measurement, Table]]) -> Table | None:
    """A table that may stand for that of a broken measurement."""
    kin = [
        (other, table) for other, table in sound if (other.reads, other.job.stage) == (broken.reads, broken.job.stage)
    ]

    def alike(pair: tuple[Measurement, Table]) -> int:
        return sum(pair[0].at.get(axis) == condition for axis, condition in broken.at.items())

    return max(kin, key=alike)[1] if kin else None


def _moved(table: Table) -> Table:
    """The table with its numbers that are no counts moved towards the middle of their column, by a thousandth."""

    def column(values: list[Any]) -> list[Any]:
        numbers = [value for value in values if isinstance(value, float)]
        middle = max(map(abs, numbers), default=0.0) / 2 or 1.0
        return [value + (middle - value) / 1000 if isinstance(value, float) else value for value in values]

    return {name: column(values) for name, values in table.items()}


def _values(observations: Sequence[Observation]) -> Mapping[_Name, str]:
    return {_name(observation): repr(observation.value) for observation in observations}


def causes(job: Job, failed: Mapping[str, Exception]) -> str:
    """The errors of the jobs that broke among those that a job needs, shortly."""
    errors = dict.fromkeys(str(failed[key]) for key in ancestry([job]) if key in failed)
    text = "; ".join(errors)
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}…"


def _name(observation: Observation) -> _Name:
    return observation.quantity, tuple(sorted(observation.at.items())), observation.initialisation, observation.repeat


def _cause(lost: Observation, broken: Sequence[Measurement]) -> Measurement:
    """The broken measurement that is nearest to an observation: of its initialisation, with most of its conditions."""

    def nearness(measurement: Measurement) -> tuple[bool, int, bool]:
        alike = sum(lost.at.get(axis) == condition for axis, condition in measurement.at.items())
        return measurement.initialisation == lost.initialisation, alike, measurement.repeat == lost.repeat

    return max(broken, key=nearness)
