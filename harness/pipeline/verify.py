"""The whole pipeline for one request: run, observations, judgements."""

import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from harness.engine.data import datasets
from harness.errors import BrokenError
from harness.execution.backends.base import Backend
from harness.execution.run import Progress, Run, execute
from harness.execution.schedule import label
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.stage_row import Table
from harness.jobs.store import Store
from harness.judging.multiplicity import after_holm
from harness.judging.verdict import Judgement, judge
from harness.observation import Condition, Gap, Observation
from harness.pipeline import accounts, calibration
from harness.pipeline.early import EarlyVerdicts
from harness.pipeline.forecast import Machine, forecast
from harness.pipeline.gaps import causes, gaps
from harness.pipeline.outcome import Outcome
from harness.pipeline.request import Request, require_data
from harness.pipeline.resampling import with_spreads
from harness.pipeline.result_invariants import check_results
from harness.pipeline.under_way import UnderWay
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
    on_verdict: Callable[[Judgement], None] | None = None,
    also_wanted: Plan | None = None,
    machine: Callable[[], Machine] | None = None,
) -> Outcome:
    """Runs what is missing, and judges every claim.

    Args:
        request: the spec with its plan.
        store: where results are found and kept.
        backend: executes what is missing.
        data_root: where imported datasets lie.
        on_progress: told now and then.
        on_verdict: is told of a claim as soon as all that it rests on is there, while the run goes on.
        also_wanted: what will be wanted later, so that no training is made twice for another of its snapshots.
        machine: looks at what computes, see ``run_plan``.

    Raises:
        DataMissing: the dataset is not on this machine.
        BrokenError: the store is broken; failed jobs are no such error, but part of the outcome.
        InvariantBroken: results are not what they are taken for.
    """
    require_data(request)
    plan = request.plan if also_wanted is None else request.plan.with_snapshots_of(also_wanted)
    tables = _Tables(request, store)
    early = None
    if on_verdict is not None and (missing := set(request.plan.missing(store.has))):
        tables.absent = missing
        early = EarlyVerdicts(request, missing, partial(_judged_early, request, tables), on_verdict)
    running = partial(run_plan, plan, store, backend=backend, data_root=data_root, machine=machine)
    run = _run(running, UnderWay(request), on_progress, early)
    tables.absent = run.failed.keys() | run.lost
    with _reading(request, store):
        check_results(request.plan, store, tables.absent, request.setting.datasets)
    observations = tables.observations()
    with _reading(request, store):
        lacking = gaps(request.protocol, request.setting, tables.read, partial(causes, failed=run.failed))
        figures = request.protocol.figures(request.setting, observations, _marked(request))
    spec = request.loaded.spec
    judgements = _judge(request, spec.claims, observations, lacking)
    if early is not None:
        early.hold(judgements)
    if request.one_by_one:
        with _reading(request, store):
            judgements = with_spreads(request, tables.read, judgements, partial(_judge, request, missing=()))
    judgements = after_holm(judgements)
    return Outcome(
        spec=spec,
        spec_path=str(local_path(request.loaded.path) or request.loaded.path),
        scale=request.scale,
        judgements=judgements,
        figures=figures,
        departures=_departures(request),
        provenance=accounts.provenance_of(request.plan, request.setting.datasets, store, run),
        cost=accounts.cost(request.plan, store, run),
        failures=accounts.failures(request.plan, run),
        setting=request.setting.description,
    )


class _Tables:
    """The tables of a request's jobs, each read once.

    Attributes:
        absent: keys of the jobs that have none.
    """

    def __init__(self, request: Request, store: Store) -> None:
        self.absent: Set[str] = set()
        self._request, self._store = request, store
        self._tables: dict[str, Table] = {}

    def read(self, job: Job) -> Table | None:
        """The table of a job; None where there is none."""
        if job.key not in self._tables and job.key not in self.absent:
            self._tables[job.key] = products.read_table(self._store, job)
        return self._tables.get(job.key)

    def observations(self) -> list[Observation]:
        """What the tables say that are there."""
        with _reading(self._request, self._store):
            return self._request.protocol.observations(self._request.setting, self.read)


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


def _run(
    run: Callable[..., Run],
    words: Callable[[Sequence[Job]], str],
    on_progress: Callable[[Progress], None],
    early: EarlyVerdicts | None,
) -> Run:
    """Runs what is missing for a request, with a look now and then at what can be judged already."""
    if early is None:
        return run(on_progress=on_progress, words=words)

    def told(progress: Progress) -> None:
        on_progress(progress)
        early.look()

    return run(on_progress=told, on_results=early.finished, words=words)


def run_plan(
    plan: Plan,
    store: Store,
    *,
    backend: Backend,
    data_root: Path,
    on_progress: Callable[[Progress], None],
    on_results: Callable[[Sequence[Job]], None] = lambda jobs: None,
    words: Callable[[Sequence[Job]], str] = label,
    machine: Callable[[], Machine] | None = None,
) -> Run:
    """Runs what is missing of a plan; gives what happened.

    Args:
        plan: the jobs.
        store: where results are found and kept.
        backend: executes what is missing.
        data_root: where imported datasets lie.
        on_progress: told now and then.
        on_results: is told of jobs that have a result now.
        words: a group of jobs -> what is under way, for readers.
        machine: looks at what computes; asked where something is missing. Progress is then in seconds as forecast, and
            what the jobs really took is kept for later forecasts. Left out, progress is in units of work.

    Raises:
        BrokenError: the store is broken.
    """
    load_dataset = partial(datasets.load, root=data_root)
    expected, at = None, None
    if machine is not None and plan.missing(store.has):
        at = machine()
        expected = forecast(plan, store.has, at).expected
    run = execute(
        plan,
        store,
        backend=backend,
        load_dataset=load_dataset,
        on_progress=on_progress,
        on_results=on_results,
        words=words,
        expected=expected,
    )
    if at is not None and run.executed:
        calibration.keep(at.calibration.learnt([plan.jobs[key] for key in run.executed], store))
    return run


def _judged_early(request: Request, tables: _Tables, claims: Sequence[Claim]) -> list[Judgement]:
    """Claims that rest on no table that is absent, as all are judged at the end."""
    return _judge(request, claims, tables.observations(), [])


def judged(request: Request, store: Store, run: Run) -> tuple[list[Judgement], list[Observation]]:
    """The claims of a request by what a run left, as ``verify`` judges them, and the observations.

    Args:
        request: its plan may leave out jobs on which no claim rests.
        store: with the results.
        run: of the plan, or of one that has its jobs.

    Raises:
        BrokenError: the experiment can make nothing of its results.
        InvariantBroken: results are not what they are taken for.
    """
    protocol, setting, plan = request.protocol, request.setting, request.plan
    left_out = {measurement.job.key for measurement in protocol.measurements(setting)} - plan.jobs.keys()
    tables = _Tables(request, store)
    tables.absent = run.failed.keys() | run.lost | left_out
    with _reading(request, store):
        check_results(plan, store, tables.absent, setting.datasets)
    observations = tables.observations()
    lacking: Sequence[Gap] = ()
    if not plan.jobs.keys().isdisjoint(run.failed.keys() | run.lost):
        with _reading(request, store):
            lacking = gaps(protocol, setting, tables.read, partial(causes, failed=run.failed))
    return _judge(request, request.loaded.spec.claims, observations, lacking), observations


def _judge(
    request: Request, claims: Sequence[Claim], observations: Sequence[Observation], missing: Sequence[Gap]
) -> list[Judgement]:
    protocol, setting = request.protocol, request.setting
    faithful = not _departures(request)
    judgements = []
    for claim in claims:
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
            censored=partial(protocol.censored, setting, claim.quantity),
            look=request.look,
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
