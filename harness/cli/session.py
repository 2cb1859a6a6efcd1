"""The commands that run the pipeline: load, prepare, run, judge, report."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.cli import console, show
from harness.cli.looks import Looks
from harness.cli.options import Options
from harness.cli.room import require_room
from harness.cli.stopping import stoppable
from harness.engine.cores import cpu_threads, share_of_cores, usable_cores
from harness.errors import BrokenError, RequestError
from harness.execution.backends import chosen
from harness.execution.backends.base import Backend, Slot
from harness.files import require_folder
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.judging.estimands import least_initialisations
from harness.judging.verdict import Judgement
from harness.pipeline import calibration
from harness.pipeline import verify as verifying
from harness.pipeline.forecast import Machine, cpu_processes, forecast
from harness.pipeline.outcome import Outcome
from harness.pipeline.request import Request, missing_data, prepare, require_data, require_format, require_results
from harness.pipeline.sequential import until_decided
from harness.protocols import protocols
from harness.report import json as machine
from harness.report.sensitivity import depending, path_of
from harness.report.sensitivity import read as read_sensitivity
from harness.report.text import bytes_text, count, seconds_text
from harness.schema.load import Loaded, load


def _requests(specs: Sequence[Path], options: Options) -> list[Request]:
    """All specs, loaded and planned, before anything runs."""
    specs_by_id: dict[str, Loaded] = {}
    for path in dict.fromkeys(specs):
        loaded = load(path, protocols())
        if loaded.spec.id in specs_by_id:
            raise RequestError(
                f"{path} and {specs_by_id[loaded.spec.id].path} have the same id {loaded.spec.id!r}: their reports "
                "would overwrite each other. Verify them one by one, with another --report"
            )
        specs_by_id[loaded.spec.id] = loaded
    return [
        prepare(
            loaded,
            options.scale,
            options.data,
            initialisations=options.replicates,
            first_seed=options.first_seed,
        )
        for loaded in specs_by_id.values()
    ]


_SHARED = 0.8
"""Share of the cores' time below which a forecast says that it is for a busy machine."""


@dataclass(frozen=True)
class _Session:
    """Specs that are ready to run, and what they run on."""

    requests: Sequence[Request]
    store: Store
    backend: Backend
    threads: int
    data: Path
    sensitivity: Path
    looks: Looks | None = None

    def outcomes(self, *, quiet: bool, run: bool = True) -> Iterator[Outcome]:
        """Spec by spec, each as soon as it is judged."""
        together = _together(self.requests)
        for request in self.requests:
            if not run:
                require_results(request, self.store)
            if self.looks is None:
                outcome = self._outcome(request, quiet=quiet, also_wanted=together if run else None)
            else:
                outcome = self._until_decided(request, self.looks, quiet=quiet)
            yield depending(outcome, request, self.sensitivity)

    def _outcome(
        self, request: Request, *, quiet: bool, also_wanted: Plan | None, decided: Sequence[str] = ()
    ) -> Outcome:
        """Of a request; verdicts on the way are told, but for claims that are decided."""
        name, look = request.loaded.spec.id, request.look

        def told(judgement: Judgement) -> None:
            if judgement.claim.id not in decided:
                show.verdict_of(judgement)

        with show.progress_of(name if look is None else f"{name}, {look.title}", quiet=quiet) as on_progress:
            return verifying.verify(
                request,
                self.store,
                backend=self.backend,
                data_root=self.data,
                on_progress=on_progress,
                on_verdict=None if quiet else told,
                also_wanted=also_wanted,
                machine=partial(_machine, self.backend, self.threads),
            )

    def _until_decided(self, first: Request, looks: Looks, *, quiet: bool) -> Outcome:
        """Of the last look that was needed, or could be afforded."""
        replicates = first.setting.replicates

        def prepared(initialisations: int) -> Request:
            seed = replicates.first_seed
            return prepare(first.loaded, first.scale, self.data, initialisations=initialisations, first_seed=seed)

        return until_decided(
            looks.sizes(replicates.initialisations),
            prepared,
            lambda request, decided: self._outcome(request, quiet=quiet, also_wanted=None, decided=decided),
            budget=looks.budget,
            store=self.store,
            machine=partial(_machine, self.backend, self.threads),
            refused=lambda request: require_room(request.plan, self.store, self.backend),
        )


def _ready(specs: Sequence[Path], options: Options, *, run: bool) -> _Session:
    """Everything that can be wrong with a request is told here, before anything runs, if anything may."""
    looks = Looks.asked(options, specs)
    requests = _requests(specs, options)
    if looks is not None:
        looks.sizes(requests[0].setting.replicates.initialisations)
    whole = _together(requests)
    backend, threads = _suited(options, whole)
    for request in requests:
        require_data(request)
        read_sensitivity(
            path_of(options.sensitivity, request.loaded.spec.id, request.scale), request.loaded, request.scale
        )
        if run:
            require_format(request, backend.slots)
    store = Store(options.store, read_only=not run)
    if run:
        require_room(whole, store, backend)
    backend.prepare(threads)
    return _Session(requests, store, backend, threads, options.data, options.sensitivity, looks)


def _suited(options: Options, plan: Plan) -> tuple[Backend, int]:
    """What computes a plan, with so many CPU threads of all processes together.

    Where nobody chose ``--workers``, the CPU has as many processes with a thread each as suit the plan, or one.
    """
    threads = cpu_threads(options.threads)
    backend = chosen(options.device, options.workers or 1)
    if options.workers is None and backend.slots[0].kind == "cpu":
        count = cpu_processes(plan, cores=min(threads, usable_cores()), free=backend.free)
        return (backend, threads) if count == 1 else (chosen(options.device, count), count)
    return backend, threads


@dataclass(frozen=True)
class Place:
    """What computes a plan: a backend, so many CPU threads, and how fast that is now."""

    backend: Backend
    threads: int
    machine: Callable[[], Machine]


def place_of(options: Options, plan: Plan) -> Place:
    """What computes a plan, as a user chose."""
    backend, threads = _suited(options, plan)
    return Place(backend, threads, partial(_machine, backend, threads))


def _machine(backend: Backend, threads: int) -> Machine:
    """What computes a plan, and how fast that is now."""
    devices, threads = [slot.kind for slot in backend.slots], min(threads, usable_cores())
    share = share_of_cores(threads) if devices[0] == "cpu" else 1.0
    return Machine(threads, devices, backend.free, share, calibration.here())


def verify(specs: Sequence[Path], options: Options, *, quiet: bool, as_json: bool, run: bool) -> int:
    """Verifies specs one after the other and writes their reports.

    Args:
        specs: their files.
        options: of the user.
        quiet: print neither progress nor tables.
        as_json: print the outcomes as JSON.
        run: whether what is missing may be run; else it is an error.

    Returns:
        The exit code: the gravest of all specs.
    """
    with stoppable():
        session = _ready(specs, options, run=run)
        require_folder(options.report)
        from harness.report.write import write  # not above: it draws, and a plan is shown without

        outcomes: list[Outcome] = []
        for outcome in session.outcomes(quiet=quiet, run=run):
            outcomes.append(outcome)
            paths = write([outcome], options.report, before=outcomes[:-1])
            if not quiet:
                show.verdicts(outcome)
                show.looks(outcome)
                show.summary([outcome], paths.html)
    if as_json:
        console.machine([machine.document(outcome) for outcome in outcomes])
    return max(outcome.exit_code for outcome in outcomes)


def measure(specs: Sequence[Path], options: Options, file: Path, *, quiet: bool) -> None:
    """Verifies specs one after the other and writes their verdicts as data, unless something broke.

    Args:
        specs: their files.
        options: of the user; no report is written.
        file: for the verdicts.
        quiet: print neither progress nor tables.

    Raises:
        BrokenError: a job broke, so that some verdicts are not there.
    """
    with stoppable():
        session = _ready(specs, options, run=True)
        require_folder(file.parent, "--verdicts")
        outcomes = []
        for outcome in session.outcomes(quiet=quiet):
            outcomes.append(outcome)
            if not quiet:
                show.verdicts(outcome)
    broken = [outcome.spec.id for outcome in outcomes if outcome.failures]
    if broken:
        raise BrokenError(
            f"{file} is not written: jobs of {', '.join(broken)} broke, as told above. What was finished is kept; "
            "mend the cause and run the same command again"
        )
    from harness.report.write import write_verdicts  # not above: it draws, and a plan is shown without

    write_verdicts(outcomes, file)
    if not quiet:
        console.out.print(f"verdicts: {file}")


def plan(specs: Sequence[Path], options: Options, as_json: bool) -> None:
    """Prints the jobs of specs, the cached share and a forecast; of several also together, shared jobs once.

    As JSON the rows are those of the specs, then one of all together whose ``spec`` is null.
    """
    requests = _requests(specs, options)
    store = Store(options.store, read_only=True)
    backend, threads = _suited(options, _together(requests))
    slots, machine = backend.slots, _machine(backend, threads)
    plans: list[tuple[str | None, Plan, str]] = [
        (request.loaded.spec.id, request.plan, "; ".join(filter(None, (_missing(request, slots), _undecided(request)))))
        for request in requests
    ]
    if len(requests) > 1:
        alone = sum(len(request.plan.jobs) for request in requests)
        whole = _together(requests)
        plans.append((None, whole, f"{alone - len(whole.jobs):,} of {alone:,} jobs are shared between these specs"))
    places = slots[0].name if len(slots) == 1 else f"{len(slots)} x {slots[0].kind}"
    rows = []
    for name, jobs, note in plans:
        cost = forecast(jobs, store.has, machine)
        if cost.memory_bytes > machine.free:
            note = f"More memory than the {bytes_text(int(machine.free))} that are free here. {note}".strip()
        if cost.seconds and machine.share < _SHARED:
            by_itself = seconds_text(cost.seconds * machine.share)
            shared = f"Other programs leave {machine.share:.0%} of the cores' time now; alone about {by_itself}."
            note = f"{note} {shared}".strip()
        told = {key: value for key, value in dataclasses.asdict(cost).items() if key != "expected"}
        rows.append({"spec": name, "scale": options.scale, **told, "share_of_cores": machine.share, "note": note})
        if not as_json:
            show.plan(f"{name or 'together'} ({options.scale} scale, on {places}, {threads} CPU threads)", cost, note)
    if as_json:
        console.machine(rows)


def _together(requests: Sequence[Request]) -> Plan:
    return Plan.of(target for request in requests for target in request.plan.targets)


def _undecided(request: Request) -> str:
    """What so few initialisations never decide."""
    n, needed = request.setting.replicates.initialisations, least_initialisations(0.90)
    checks = [check for claim in request.loaded.spec.claims if (check := claim.checks.get(request.scale))]
    medians = sum(getattr(check.expect, "estimand", None) == "median" for check in checks)
    if n >= needed or not medians:
        return ""
    return f"{n} initialisations never decide the {count(medians, 'claim')} about a median: --replicates {needed} can"


def _missing(request: Request, slots: Sequence[Slot]) -> str:
    """What a run would be refused for."""
    try:
        require_format(request, slots)
    except RequestError as error:
        return str(error)
    return "; ".join(
        f"The dataset {data.name} is not here yet: harness data import {data.name} FOLDER_OR_ARCHIVE"
        for data in missing_data(request)
    )
