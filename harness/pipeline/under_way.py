"""What is under way, in a person's words: the stage, the conditions and the replicates of a group of jobs.

A job does not know what it is for; the measurements that rest on it do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from harness.jobs.job import Job
from harness.jobs.stages import row
from harness.observation import Condition
from harness.pipeline.request import Request

_BY_ROLE: Mapping[str, str] = {
    "initialisation": "drawing weights",
    "training": "training",
    "pruning": "pruning",
    "evaluation": "evaluating",
    "line": "lines",
    "comparison": "comparing copies",
}
"""What jobs of a role are called while they run; others by the name of their stage."""
_LISTED = 3
"""Values that are named one by one where they are no range."""


@dataclass
class _Purpose:
    """What a job is for: the conditions of the measurements that are nearest to it, of one kind.

    Attributes:
        distance: jobs between them and this one.
        kind: number of their kind, in the experiment's order.
        at: axis -> their conditions, in order of appearance.
        replicates: their initialisations.
    """

    distance: int
    kind: int
    at: dict[str, dict[Condition, None]] = field(default_factory=dict)
    replicates: set[int] = field(default_factory=set)

    def add(self, other: "_Purpose") -> None:
        """Takes in what another one of the kind is for."""
        for axis, values in other.at.items():
            self.at.setdefault(axis, {}).update(values)
        self.replicates |= other.replicates


class UnderWay:
    """Names groups of a request's jobs: "training: arm imp, level 3, replicates 0-6"."""

    def __init__(self, request: Request) -> None:
        """Nothing is looked at before a group has to be named."""
        self._request = request

    def __call__(self, group: Sequence[Job]) -> str:
        """A group in words; the stage alone where it is for another request."""
        purposes = [self._purposes[job.key] for job in group if job.key in self._purposes]
        stage = _BY_ROLE.get(row(group[0].stage).role) or group[0].stage.replace("_", " ")
        if not purposes:
            return stage
        shared = [axis for axis in purposes[0].at if all(axis in purpose.at for purpose in purposes)]
        about = [
            self._condition(axis, {value for purpose in purposes for value in purpose.at[axis]}) for axis in shared
        ]
        return f"{stage}: {', '.join([*about, _replicates({seed for one in purposes for seed in one.replicates})])}"

    def _condition(self, axis: str, values: set[Condition]) -> str:
        """Values of an axis: "level 3", "level 3 to 8", "every arm"."""
        known = list(self._axes.get(axis, ()))
        name, there = axis.replace("_", " "), [value for value in known if value in values]
        there += sorted(values.difference(known), key=str)
        shown = [self._request.protocol.shown(axis, value) for value in there]
        words = all(value[:1].isalpha() for value in shown)
        if words and len(there) > 1 and len(there) == len(known):
            return f"every {name}"
        in_a_row = any(known[start : start + len(there)] == there for start in range(len(known)))
        if not words and in_a_row and len(there) > _LISTED - 1:
            return f"{name} {shown[0]} to {shown[-1]}"
        return f"{name} {_listed(shown)}"

    @cached_property
    def _axes(self) -> Mapping[str, Sequence[Condition]]:
        return self._request.protocol.axes(self._request.setting)

    @cached_property
    def _purposes(self) -> Mapping[str, _Purpose]:
        """Key -> what the job is for, of all jobs of the plan."""
        purposes: dict[str, _Purpose] = {}
        kinds: dict[object, int] = {}

        def put(key: str, purpose: _Purpose) -> None:
            known = purposes.get(key)
            if known is None or (purpose.distance, purpose.kind) < (known.distance, known.kind):
                known = purposes[key] = _Purpose(purpose.distance, purpose.kind)
            if (purpose.distance, purpose.kind) == (known.distance, known.kind):
                known.add(purpose)

        for measurement in self._request.protocol.measurements(self._request.setting):
            kind = kinds.setdefault((measurement.reads, frozenset(measurement.at)), len(kinds))
            at: dict[str, dict[Condition, None]] = {axis: {value: None} for axis, value in measurement.at.items()}
            put(measurement.job.key, _Purpose(0, kind, at, {measurement.initialisation}))
        for key, job in reversed(self._request.plan.jobs.items()):  # those that rest on others come first
            here = purposes.get(key)
            if here is None:  # it is measured for no condition: it tells one by one what another job counts
                continue
            for given in job.inputs.values():
                put(given.key, _Purpose(here.distance + 1, here.kind, here.at, here.replicates))
        return purposes


def _replicates(numbers: Iterable[int]) -> str:
    """Initialisations: "replicate 3", "replicates 0-6", "replicates 0, 2 and 5"."""
    ordered = sorted(numbers)
    if len(ordered) == 1:
        return f"replicate {ordered[0]}"
    if ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"replicates {ordered[0]}-{ordered[-1]}"
    return f"replicates {_listed([str(number) for number in ordered])}"


def _listed(values: Sequence[str]) -> str:
    """All of a few values, "5, 10 and 15"; of many the first ones and the last, "0, 2 ... 15"."""
    *first, last = values
    if not first:
        return last
    if len(values) <= _LISTED:
        return f"{', '.join(first)} and {last}"
    return f"{', '.join(first[: _LISTED - 1])} ... {last}"
