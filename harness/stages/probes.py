"""Probes inside a training: the parameter of a ``train`` job that names them, and what is recorded.

``probes`` is ``{"steps": [...], "measures": {name: version}}``, steps in order and each once; a job without probes has
no such parameter. Names and versions are those of ``harness.measure.training``, of the step itself, and of
``harness.measure.hindsight``, for which the state is kept until the training has ended. Where single weights are
recorded, ``"weights": {"count": n, "seed": s}`` says how many and which.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from harness import seeds
from harness.engine.networks.build import Network
from harness.engine.networks.initialise import kernels
from harness.engine.probes import Measure, Moment, Probes
from harness.errors import InvariantBroken
from harness.jobs.job import Job
from harness.jobs.stage_row import Params
from harness.measure import hindsight, training
from harness.measure.hindsight import LOOKS, OF_TEST_SET, Hindsight
from harness.measure.training import MEASURES

VERSIONS: Mapping[str, int] = MappingProxyType({**training.VERSIONS, **hindsight.VERSIONS})
"""Name of a measure, of either kind -> its version."""

_BYTES_A_NUMBER = 20
"""As text."""

LookBack = Callable[[int], Hindsight]
"""Step -> the state that was kept there, seen from the end."""


def probed(job: Job, steps: Iterable[int], measures: Iterable[str], *, weights: int = 0, weights_seed: int = 0) -> Job:
    """A training that also records measures while it trains, into a table with the columns ``step`` and the measures.

    It is the same training: its states have the same bits, and it is run together with the job's other snapshots.

    Args:
        job: of the stage ``train``.
        steps: at which it is measured, each before the step is made: ``start`` at least, less than ``stop``.
        measures: names of ``harness.measure.training`` and ``harness.measure.hindsight``.
        weights: how many single weights are recorded too, in columns ``weight_0``, ``weight_1``, ...: chosen at random
            among those of convolutions and linear layers.
        weights_seed: another one chooses others.

    Raises:
        InvariantBroken: there is no step, no measure, or one that cannot be.
    """
    versions = {name: VERSIONS.get(name) for name in sorted(set(measures))}
    probes: dict[str, Any] = {"steps": sorted(set(steps)), "measures": versions}
    if weights:
        probes["weights"] = {"count": weights, "seed": weights_seed}
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
    unknown = [name for name in measures if name not in VERSIONS]
    if unknown:
        raise InvariantBroken(
            f"{job!r} is to be probed for {unknown[0]!r}, which is no measure: use {', '.join(sorted(VERSIONS))}"
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


def probes_of(network: Network, jobs: Sequence[Sequence[Job]], start: Tensor, mask: Tensor | None) -> Probes | None:
    """The probes of a group; None where no job has any.

    Args:
        network: that is trained.
        jobs: for each replica, the jobs that are snapshots of it.
        start: [R, P] weights where the replicas begin; copied.
        mask: [R, P] of 0 and 1; None where nothing is pruned.
    """
    asked = [[job.params["probes"] for job in each if "probes" in job.params] for each in jobs]
    every = [probes for each in asked for probes in each]
    if not every:
        return None
    names = sorted({name for probes in every for name in probes["measures"]} & MEASURES.keys())
    measures: dict[str, Measure] = {name: MEASURES[name] for name in names}
    places = sorted({place for probes in every for place in _places(network, probes)})
    measures |= {_column(place): partial(_weight, place) for place in places}
    left = kernels(network).to(start.device).expand_as(start)
    return Probes(
        [sorted({step for probes in each for step in probes["steps"]}) for each in asked],
        measures,
        start.clone(),
        left if mask is None else left & (mask != 0),
        [sorted({step for probes in each if _looks(probes) for step in probes["steps"]}) for each in asked],
    )


def table_bytes(params: Params) -> int:
    """About the size of a job's table."""
    if "probes" not in params:
        return 0
    columns = 1 + len(params["probes"]["measures"]) + _count(params["probes"])
    return _BYTES_A_NUMBER * len(params["probes"]["steps"]) * columns


def states_kept(params: Params) -> int:
    """Of how many steps a job has the state kept until the end."""
    return len(params["probes"]["steps"]) if "probes" in params and _looks(params["probes"]) else 0


def evaluations(params: Params) -> int:
    """How often a job has the test set evaluated."""
    return states_kept(params) if OF_TEST_SET & params.get("probes", {}).get("measures", {}).keys() else 0


def table_of(
    params: Params, place: int, probes: Probes | None, network: Network, look_back: LookBack
) -> Mapping[str, list[Any]]:
    """The table of a job: of its own steps and measures; empty where it has no probes."""
    if probes is None or "probes" not in params:
        return {}
    own = params["probes"]
    steps, names = own["steps"], sorted(own["measures"])
    columns = {_column(place): f"weight_{number}" for number, place in enumerate(_places(network, own))}
    at_once = probes.of(place, steps, [*(name for name in names if name in MEASURES), *columns])
    states = [look_back(step) for step in steps] if _looks(own) else []
    looks = {name: [LOOKS[name](state) for state in states] for name in names if name in LOOKS}
    measured = {**at_once, **looks}
    weights = {name: at_once[column] for column, name in columns.items()}
    return {"step": list(steps), **{name: measured[name] for name in names}, **weights}


def _looks(probes: Mapping[str, Any]) -> bool:
    return bool(LOOKS.keys() & probes["measures"].keys())


def _count(probes: Mapping[str, Any]) -> int:
    return int(probes.get("weights", {}).get("count", 0))


def _places(network: Network, probes: Mapping[str, Any]) -> list[int]:
    """Places in the flat buffer of the single weights that are recorded."""
    count = _count(probes)
    if not count:
        return []
    among = kernels(network).nonzero()[:, 0]
    if count > len(among):
        raise InvariantBroken(f"{count:,} single weights are to be recorded of a network that has {len(among):,}")
    key = torch.tensor([seeds.stream("probed weights", probes["weights"]["seed"])])
    return [int(place) for place in among[seeds.choice(key, len(among), count)[0]]]


def _column(place: int) -> str:
    return f"weight at {place}"


def _weight(place: int, moment: Moment) -> Tensor:
    return moment.weights[place]
