"""The whole pipeline for one request: run, observations, judgements."""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from harness.engine.data import datasets
from harness.errors import BrokenError
from harness.execution.backends.base import Backend
from harness.execution.run import Progress, Run, execute
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.stage_row import Table
from harness.jobs.store import Store
from harness.judging.verdict import Judgement, judge
from harness.observation import Condition, Gap, Observation
from harness.pipeline import accounts
from harness.pipeline.gaps import causes, gaps
from harness.pipeline.outcome import Outcome
from harness.pipeline.request import Request, require_data
from harness.pipeline.result_invariants import check_results
from harness.schema.claims import Check, Claim
from harness.schema.load import local_path
from harness.schema.model import PAPER_SCALE
from harness.stages import products


def verify(
    request: Request,
    store: Store,
    *,
    backend: Backend,
    data_root: Path,
    on_progress: Callable[[Progress], None],
    also_wanted: Plan | None = None,
) -> Outcome:
    """Runs what is missing, and judges every claim.

    Args:
        request: the spec with its plan.
        store: where results are found and kept.
        backend: executes what is missing.
        data_root: where imported datasets lie.
        on_progress: told now and then.
        also_wanted: what will be wanted later, so that no training is made twice for another of its snapshots.

    Raises:
        DataMissing: the dataset is not on this machine.
        BrokenError: the store is broken; failed jobs are no such error, but part of the outcome.
        InvariantBroken: results are not what they are taken for.
    """
    require_data(request)
    plan = request.plan if also_wanted is None else request.plan.with_snapshots_of(also_wanted)
    run = run_plan(plan, store, backend=backend, data_root=data_root, on_progress=on_progress)
    absent = run.failed.keys() | run.lost
    with _reading(request, store):
        check_results(request.plan, store, absent, request.setting.datasets)
    tables: dict[str, Table] = {}

    def read(job: Job) -> Table | None:
        if job.key not in tables and job.key not in absent:
            tables[job.key] = products.read_table(store, job)
        return tables.get(job.key)

    with _reading(request, store):
        observations = request.protocol.observations(request.setting, read)
        missing = gaps(request.protocol, request.setting, read, partial(causes, failed=run.failed))
        figures = request.protocol.figures(request.setting, observations, _marked(request))
    spec = request.loaded.spec
    departures = _departures(request)
    return Outcome(
        spec=spec,
        spec_path=str(local_path(request.loaded.path) or request.loaded.path),
        scale=request.scale,
        judgements=_judge(request, observations, missing, faithful=not departures),
        figures=figures,
        departures=departures,
        provenance=accounts.provenance_of(request.plan, request.setting.datasets, store, run),
        cost=accounts.cost(request.plan, store, run),
        failures=accounts.failures(request.plan, run),
        setting=request.setting.description,
    )


@contextmanager
def _reading(request: Request, store: Store) -> Iterator[None]:
    """Raises BrokenError where an experiment meets numbers in its tables that it can make nothing of."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        raise BrokenError(
            f"{request.loaded.path}: the experiment {request.protocol.name!r} can make nothing of its results in "
            f"{store.root}: {type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno}). Either "
            "a table holds numbers that its stage cannot give: run with another --store; or the experiment has a "
            "fault: report it with this line"
        ) from error


def run_plan(
    plan: Plan,
    store: Store,
    *,
    backend: Backend,
    data_root: Path,
    on_progress: Callable[[Progress], None],
) -> Run:
    """Runs what is missing of a plan; gives what happened.

    Raises:
        BrokenError: the store is broken.
    """
    load_dataset = partial(datasets.load, root=data_root)
    return execute(plan, store, backend=backend, load_dataset=load_dataset, on_progress=on_progress)


def _judge(
    request: Request, observations: Sequence[Observation], missing: Sequence[Gap], *, faithful: bool
) -> list[Judgement]:
    protocol, setting = request.protocol, request.setting
    judgements = []
    for claim in request.loaded.spec.claims:
        check = claim.checks.get(request.scale)
        doubts = [doubt.message for doubt in request.loaded.doubts if doubt.claim == claim.id]
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
            examples=partial(protocol.examples, setting),
        )
        judgements.append(replace(judgement, warnings=(*judgement.warnings, *map(_sentence, doubts))))
    return judgements


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
    departures = [*request.loaded.spec.scales[request.scale].departures, *request.setting.departures]
    planned, asked = request.planned, request.setting.replicates
    if asked.initialisations < planned.initialisations:
        departures.append(f"{asked.initialisations} initialisations in place of the planned {planned.initialisations}")
    return departures
