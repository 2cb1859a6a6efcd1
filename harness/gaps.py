"""What broken jobs took from an experiment: the observations that would be there without them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from harness.job import Job, ancestry
from harness.observation import Condition, Gap, Observation
from harness.protocols.base import Measurement, Protocol, Read
from harness.protocols.setting import Setting
from harness.store import Table

_LETTERS = 160
"""Of a job's error."""

_Name = tuple[str, tuple[tuple[str, Condition], ...], int, int]


def gaps(
    protocol: Protocol[Any],
    setting: Setting,
    read: Read,
    observations: Sequence[Observation],
    why: Callable[[Job], str],
) -> list[Gap]:
    """The observations that an experiment lost, or that rest on survivors.

    The tables of broken measurements are replaced by those of other replicates of the same measurement. What is then
    observed and was not, or with another value, is lost: so nothing need be known of how a protocol derives its
    quantities, and what a setting does not measure is no gap. A measurement that broke in all its replicates has no
    such table: its gap has no quantity.

    Args:
        protocol: the experiment family.
        setting: of the experiment.
        read: the tables that are there.
        observations: what they say.
        why: a job without a table -> the error of what broke.
    """
    measurements = list(protocol.measurements(setting))
    broken = [one for one in measurements if read(one.job) is None]
    if not broken:
        return []
    tables = {_place(one): table for one in measurements if (table := read(one.job)) is not None}
    instead = {one.job.key: tables[_place(one)] for one in broken if _place(one) in tables}

    def whole(job: Job) -> Table | None:
        table = read(job)
        return instead.get(job.key) if table is None else table

    there = {_name(one): repr(one.value) for one in observations}
    lost = [one for one in protocol.observations(setting, whole) if there.get(_name(one)) != repr(one.value)]
    found = [Gap(one.quantity, one.at, one.initialisation, why(_cause(one, broken).job)) for one in lost]
    alone = [one for one in broken if one.job.key not in instead]
    return found + [Gap(None, one.at, one.initialisation, why(one.job)) for one in alone]


def causes(job: Job, failed: Mapping[str, Exception]) -> str:
    """The errors of the jobs that broke among those that a job needs, shortly."""
    errors = dict.fromkeys(str(failed[key]) for key in ancestry([job]) if key in failed)
    text = "; ".join(errors)
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS]}…"


def _place(one: Measurement) -> tuple[str, tuple[tuple[str, Condition], ...]]:
    return one.kind, tuple(sorted(one.at.items()))


def _name(one: Observation) -> _Name:
    return one.quantity, tuple(sorted(one.at.items())), one.initialisation, one.within


def _cause(lost: Observation, broken: Sequence[Measurement]) -> Measurement:
    """The broken measurement that is nearest to an observation: of its initialisation, with most of its conditions."""

    def nearness(one: Measurement) -> tuple[bool, int, bool]:
        alike = sum(lost.at.get(axis) == condition for axis, condition in one.at.items())
        return one.initialisation == lost.initialisation, alike, one.within == lost.within

    return max(broken, key=nearness)
