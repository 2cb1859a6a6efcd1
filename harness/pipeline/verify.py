"""The whole street for one spec at one scale: settings, plan, run, observations, judgements."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from harness import datainfo
from harness.datainfo import DatasetInfo
from harness.engine.data import datasets
from harness.engine.device import has_format
from harness.engine.networks.build import build
from harness.errors import DataMissing, RequestError
from harness.execution.run import Progress, Run, execute
from harness.jobs import provenance
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.store import Store, Table
from harness.judging.verdict import Judgement, judge
from harness.observation import Condition, Gap, Observation
from harness.pipeline import accounts, invariants
from harness.pipeline.gaps import causes, gaps
from harness.pipeline.outcome import Outcome
from harness.protocols import protocols
from harness.protocols.common.base import Protocol
from harness.protocols.common.setting import Setting
from harness.schema.claims import Check, Claim
from harness.schema.load import Loaded, local_path
from harness.schema.model import PAPER_SCALE, Replicates, Scale
from harness.stages import products

MOST_JOBS = 100_000
"""Of a plan, which is made, and kept in memory, as a whole."""


@dataclass(frozen=True)
class Request:
    """A spec at a scale, ready to run.

    Attributes:
        loaded: the spec.
        scale: which setting.
        setting: resolved, with the replicates that were asked for.
        protocol: its experiment family.
        plan: every job it needs.
    """

    loaded: Loaded
    scale: str
    setting: Setting
    protocol: Protocol[Any]
    plan: Plan

    @property
    def planned(self) -> Replicates:
        """The replicates that the spec itself plans."""
        return self.loaded.spec.scales[self.scale].replicates


def prepare(
    loaded: Loaded,
    scale: str,
    data_root: Path,
    *,
    initialisations: int | None = None,
    first_seed: int | None = None,
) -> Request:
    """Resolves a spec at a scale and names its jobs; runs nothing and needs no data.

    Args:
        loaded: the spec.
        scale: one of its scales.
        data_root: where imported datasets lie.
        initialisations: in place of the spec's.
        first_seed: in place of the spec's.

    Raises:
        RequestError: no such scale, a network of another size than the spec says, or too many jobs.
        InvariantBroken: replicates of the plan are none, or what it compares is one thing.
    """
    protocol, setting = _resolved(loaded, scale, data_root, initialisations=initialisations, first_seed=first_seed)
    measurements = list(protocol.measurements(setting))
    plan = Plan.of(one.job for one in measurements)
    invariants.check_plan(measurements, plan)
    return Request(loaded, scale, setting, protocol, plan)


def check(loaded: Loaded, scale: str, data_root: Path) -> None:
    """Raises RequestError where ``prepare`` would, without naming the jobs of every replicate."""
    _resolved(loaded, scale, data_root)


def _resolved(
    loaded: Loaded,
    scale: str,
    data_root: Path,
    *,
    initialisations: int | None = None,
    first_seed: int | None = None,
) -> tuple[Protocol[Any], Setting]:
    """The setting of a scale, with all that can be wrong with it checked."""
    spec = loaded.spec
    if scale not in spec.scales:
        raise RequestError(f"{loaded.path}: there is no scale {scale!r}; it has {', '.join(spec.scales)}")
    chosen = spec.scales[scale]
    protocol = protocols()[loaded.spec.protocol]
    wanted = {"initialisations": initialisations, "first_seed": first_seed}
    replicates = chosen.replicates.model_copy(update={k: v for k, v in wanted.items() if v is not None})
    setting = protocol.setting(chosen, loaded.settings[scale], replicates, lambda name: data_of(name, data_root))
    _check_parameters(loaded, scale, data_root)
    _check_jobs(loaded, scale, protocol, setting)
    return protocol, setting


def _check_jobs(loaded: Loaded, scale: str, protocol: Protocol[Any], setting: Setting) -> None:
    """Raises RequestError where there are too many jobs; those of one initialisation are counted."""
    count = setting.replicates.initialisations
    one = replace(setting, replicates=setting.replicates.model_copy(update={"initialisations": 1}))
    most = MOST_JOBS // count
    wanted = [measurement.job for measurement in islice(protocol.measurements(one), most + 1)]
    jobs = len(Plan.of(wanted).jobs) if len(wanted) <= most else len(wanted)
    if jobs > most:
        raise RequestError(
            f"{loaded.path}: scales.{scale}.replicates: {count:,} initialisations of {jobs:,} jobs or more each are "
            f"{count * jobs:,}, and a plan has {MOST_JOBS:,} at most: ask for fewer replicates (initialisations, or "
            "orders, whose pairs grow as their square), or for fewer times, levels or arms in the settings"
        )


def data_of(name: str, data_root: Path) -> DatasetInfo:
    """The facts of a dataset, with an empty digest where it is not here."""
    return datainfo.describe(name, data_root) or datainfo.nominal(name)


def trainable(scale: Scale, data_root: Path) -> int:
    """How many trainable parameters the network of a scale really has; 0 where it has none."""
    if scale.training is None:
        return 0
    data = data_of(scale.training.data.name, data_root)
    return build(scale.training.network.model_dump(mode="json"), data.shape, data.classes).size


def _check_parameters(loaded: Loaded, scale: str, data_root: Path) -> None:
    training = loaded.spec.scales[scale].training
    try:
        size = trainable(loaded.spec.scales[scale], data_root)
    except RuntimeError as error:  # of a layer
        raise RequestError(
            f"{loaded.path}: scales.{scale}.training.network: this network cannot take the dataset's images: one "
            f"of its layers would get less than it needs ({error}). Fewer stages halve images less often"
        ) from error
    if training is not None and size != training.parameters:
        raise RequestError(
            f"{loaded.path}: scales.{scale}.training.parameters: found {training.parameters:,}, but this network has "
            f"{size:,} trainable parameters: correct the network or the number"
        )


def require_data(request: Request) -> None:
    """Raises DataMissing unless the request's dataset is here."""
    data = request.setting.dataset
    if data is not None and not data.digest:
        raise DataMissing(
            f"{request.loaded.path}: the scale {request.scale!r} needs the dataset {data.name!r}, which is not here. "
            f"Run `harness data import {data.name} FOLDER_OR_ARCHIVE` or, with a network, "
            f"`harness data download {data.name}`"
        )


def require_format(request: Request, devices: Sequence[torch.device]) -> None:
    """Raises RequestError unless all devices can compute in the number format of the request's training."""
    training = request.loaded.spec.scales[request.scale].training
    for device in devices:
        if training is not None and not has_format(training.precision, device):
            raise RequestError(
                f"{request.loaded.path}: scales.{request.scale}.training.precision: found {training.precision}, a "
                f"format of CUDA's tensor cores, and {device} has none: use fp32, or a GPU that has them "
                "(--device cuda)"
            )


def require_results(request: Request, store: Store) -> None:
    """Raises RequestError unless every result that the report needs is in the store."""
    missing = request.plan.missing(store.has)
    if missing:
        raise RequestError(
            f"{request.loaded.path}: {len(missing)} of {len(request.plan.jobs)} jobs of the scale {request.scale!r} "
            f"are not in the store {store.root}: "
            f"run `harness verify {request.loaded.path} --scale {request.scale}` first"
        )


def verify(
    request: Request,
    store: Store,
    *,
    devices: Sequence[torch.device],
    data_root: Path,
    on_progress: Callable[[Progress], None],
    beside: Plan | None = None,
) -> Outcome:
    """Runs what is missing, and judges every claim.

    Args:
        request: the spec with its plan.
        store: where results are found and kept.
        devices: where to compute, see ``execute``.
        data_root: where imported datasets lie.
        on_progress: told now and then.
        beside: what will be wanted later, so that no training is made twice for another of its snapshots.

    Raises:
        DataMissing: the dataset is not on this machine.
        BrokenError: the store is broken; failed jobs are no such error, but part of the outcome.
        InvariantBroken: results are not what they are taken for.
    """
    require_data(request)
    plan = request.plan if beside is None else request.plan.along(beside)
    run, where = run_plan(plan, store, devices=devices, data_root=data_root, on_progress=on_progress)
    absent = run.failed.keys() | run.lost
    invariants.check_results(request.plan, store, absent, request.setting.dataset)
    tables: dict[str, Table] = {}

    def read(job: Job) -> Table | None:
        if job.key not in tables and job.key not in absent:
            tables[job.key] = products.read_table(store, job)
        return tables.get(job.key)

    observations = request.protocol.observations(request.setting, read)
    missing = gaps(request.protocol, request.setting, read, partial(causes, failed=run.failed))
    spec = request.loaded.spec
    departures = _departures(request)
    return Outcome(
        spec=spec,
        spec_path=str(local_path(request.loaded.path) or request.loaded.path),
        scale=request.scale,
        judgements=_judge(request, observations, missing, faithful=not departures),
        figures=request.protocol.figures(request.setting, observations, _marked(request)),
        departures=departures,
        provenance=accounts.provenance_of(request.plan, request.setting.dataset, where, store, run),
        cost=accounts.cost(request.plan, store, run),
        failures=accounts.failures(request.plan, run),
        setting=request.setting.description,
    )


def run_plan(
    plan: Plan,
    store: Store,
    *,
    devices: Sequence[torch.device],
    data_root: Path,
    on_progress: Callable[[Progress], None],
) -> tuple[Run, dict[str, Any]]:
    """Runs what is missing of a plan; gives what happened, and the provenance kept beside the results.

    Raises:
        BrokenError: the store is broken.
    """
    first = devices[0]
    where = provenance.describe(
        str(first),
        torch.get_num_threads(),
        torch.cuda.get_device_name(first) if first.type == "cuda" else "",
    )
    run = execute(
        plan,
        store,
        devices=devices,
        load_dataset=partial(datasets.load, root=data_root),
        provenance=where,
        on_progress=on_progress,
    )
    return run, where


def _judge(
    request: Request, observations: Sequence[Observation], missing: Sequence[Gap], *, faithful: bool
) -> list[Judgement]:
    protocol, setting = request.protocol, request.setting
    found = []
    for claim in request.loaded.spec.claims:
        check = claim.checks.get(request.scale)
        doubts = [one.message for one in request.loaded.doubts if one.claim == claim.id]
        judgement = judge(
            claim,
            request.scale,
            observations,
            protocol.quantities[claim.quantity],
            protocol.defaults(setting),
            protocol.axes(setting),
            check=None if check is None else protocol.resolve(setting, check),
            may_reproduce=faithful and request.scale == PAPER_SCALE,
            planned_initialisations=request.planned.initialisations,
            gaps=missing,
            measured=partial(_measured, request, claim.quantity),
        )
        found.append(replace(judgement, warnings=(*judgement.warnings, *map(_sentence, doubts))))
    return found


def _measured(request: Request, quantity: str, at: Mapping[str, Condition]) -> bool:
    return request.protocol.unmeasured(request.setting, quantity, at) is None


def _sentence(message: str) -> str:
    return f"{message[0].upper()}{message[1:]}{'' if message.endswith('?') else '.'}"


def _marked(request: Request) -> list[tuple[Claim, Check]]:
    """Claims whose paper's values are drawn into figures: at the paper's scale only, as others are no match."""
    if request.scale != PAPER_SCALE:
        return []
    claims = request.loaded.spec.claims
    resolve = request.protocol.resolve
    checked = [(claim, claim.checks[PAPER_SCALE]) for claim in claims if PAPER_SCALE in claim.checks]
    return [(claim, resolve(request.setting, check)) for claim, check in checked]


def _departures(request: Request) -> list[str]:
    """What the spec names, and what the harness sees of itself."""
    found = [*request.loaded.spec.scales[request.scale].departures, *request.setting.departures]
    planned, asked = request.planned, request.setting.replicates
    if asked.initialisations < planned.initialisations:
        found.append(f"{asked.initialisations} initialisations in place of the planned {planned.initialisations}")
    return found
