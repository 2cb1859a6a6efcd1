"""Probes inside a training: the parameter of a ``train`` job that names them, and what is recorded.

``probes`` is ``{"steps": [...], "measures": {name: version}}``, steps in order and each once; a job without probes has
no such parameter. Names and versions are those of ``harness.measure.training``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from harness.engine.probes import Probes
from harness.errors import InvariantBroken
from harness.jobs.job import Job
from harness.jobs.stage_row import Params
from harness.measure.training import MEASURES, VERSIONS

_BYTES_A_NUMBER = 20
"""As text."""


def probed(job: Job, steps: Iterable[int], measures: Iterable[str]) -> Job:
    """A training that also records measures while it trains, into a table with the columns ``step`` and the measures.

    It is the same training: its states have the same bits, and it is run together with the job's other snapshots.

    Args:
        job: of the stage ``train``.
        steps: at which it is measured, each before the step is made: ``start`` at least, less than ``stop``.
        measures: names of ``harness.measure.training``.

    Raises:
        InvariantBroken: there is no step, no measure, or one that cannot be.
    """
    versions = {name: VERSIONS.get(name) for name in sorted(set(measures))}
    probes = {"steps": sorted(set(steps)), "measures": versions}
    made = Job(job.stage, {**job.params, "probes": probes}, job.inputs)
    require_sound(made)
    return made


def require_sound(job: Job) -> None:
    """Raises InvariantBroken where a training's probes are not what ``probed`` makes."""
    if "probes" not in job.params:
        return
    steps, measures = job.params["probes"]["steps"], job.params["probes"]["measures"]
    start, stop = job.params["start"], job.params["stop"]
    if not steps or not measures:
        raise InvariantBroken(f"{job!r} has probes without steps or without measures: leave the probes out")
    unknown = [name for name in measures if name not in MEASURES]
    if unknown:
        raise InvariantBroken(
            f"{job!r} is to be probed for {unknown[0]!r}, which is no measure: use {', '.join(sorted(MEASURES))}"
        )
    outside = [step for step in steps if not start <= step < stop]
    if outside:
        raise InvariantBroken(
            f"{job!r} is to be probed at step {outside[0]}, and makes the steps {start} to {stop - 1}: a probe is "
            "taken before a step that the training makes"
        )
    if list(steps) != sorted(set(steps)):
        raise InvariantBroken(f"{job!r} has probes whose steps are not in order, each once: they would have two keys")
    due = {name: VERSIONS[name] for name in measures}
    if measures != due:
        raise InvariantBroken(
            f"{job!r} has probes with the measures {measures}, where {due}, each with its version, are due: make such "
            "jobs with harness.stages.probes.probed"
        )


def probes_of(jobs: Sequence[Sequence[Job]], start: Tensor) -> Probes | None:
    """The probes of a group; None where no job has any.

    Args:
        jobs: for each replica, the jobs that are snapshots of it.
        start: [R, P] weights where the replicas begin; copied.
    """
    asked = [[job.params["probes"] for job in each if "probes" in job.params] for each in jobs]
    names = sorted({name for each in asked for probes in each for name in probes["measures"]})
    if not names:
        return None
    steps = [sorted({step for probes in each for step in probes["steps"]}) for each in asked]
    return Probes(steps, {name: MEASURES[name] for name in names}, start.clone())


def table_bytes(params: Params) -> int:
    """About the size of a job's table."""
    if "probes" not in params:
        return 0
    return _BYTES_A_NUMBER * len(params["probes"]["steps"]) * (1 + len(params["probes"]["measures"]))


def table_of(params: Params, place: int, probes: Probes | None) -> Mapping[str, list[Any]]:
    """The table of a job: of its own steps and measures; empty where it has no probes."""
    if probes is None or "probes" not in params:
        return {}
    steps, measures = params["probes"]["steps"], sorted(params["probes"]["measures"])
    return {"step": list(steps), **probes.of(place, steps, measures)}
