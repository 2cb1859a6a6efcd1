"""The commands that run the pipeline: load, prepare, run, judge, report."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cli import console, show
from harness.cli.looks import Looks
from harness.cli.options import Options
from harness.cli.place import Place, place_of
from harness.cli.room import require_room
from harness.cli.stopping import stoppable
from harness.errors import BrokenError, RequestError
from harness.files import require_folder
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.judging.verdict import Judgement
from harness.pipeline import verify as verifying
from harness.pipeline.outcome import Outcome
from harness.pipeline.request import Request, prepare, require_data, require_format, require_results
from harness.pipeline.resampling import resampled
from harness.pipeline.sequential import until_decided
from harness.protocols import protocols
from harness.report import json as machine
from harness.report.sensitivity import depending, path_of
from harness.report.sensitivity import read as read_sensitivity
from harness.schema.load import Loaded, load


def requests_of(specs: Sequence[Path], options: Options) -> list[Request]:
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
    requests = [
        prepare(
            loaded,
            options.scale,
            options.data,
            initialisations=options.replicates,
            first_seed=options.first_seed,
        )
        for loaded in specs_by_id.values()
    ]
    return list(map(resampled, requests)) if options.resample else requests


@dataclass(frozen=True)
class _Session:
    """Specs that are ready to run, and what they run on."""

    requests: Sequence[Request]
    store: Store
    place: Place
    data: Path
    sensitivity: Path
    looks: Looks | None = None

    def outcomes(self, *, quiet: bool, run: bool = True) -> Iterator[Outcome]:
        """Spec by spec, each as soon as it is judged."""
        whole = together(self.requests)
        for request in self.requests:
            if not run:
                require_results(request, self.store)
            if self.looks is None:
                outcome = self._outcome(request, quiet=quiet, also_wanted=whole if run else None)
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
                backend=self.place.backend,
                data_root=self.data,
                on_progress=on_progress,
                on_verdict=None if quiet else told,
                also_wanted=also_wanted,
                machine=self.place.machine,
            )

    def _until_decided(self, first: Request, looks: Looks, *, quiet: bool) -> Outcome:
        """Of the last look that was needed, or could be afforded."""
        replicates = first.setting.replicates

        def prepared(initialisations: int) -> Request:
            seed = replicates.first_seed
            made = prepare(first.loaded, first.scale, self.data, initialisations=initialisations, first_seed=seed)
            return resampled(made) if first.one_by_one else made

        return until_decided(
            looks.sizes(replicates.initialisations),
            prepared,
            lambda request, decided: self._outcome(request, quiet=quiet, also_wanted=None, decided=decided),
            budget=looks.budget,
            store=self.store,
            machine=self.place.machine,
            refused=lambda request: require_room(request.plan, self.store, self.place.backend),
        )


def _ready(specs: Sequence[Path], options: Options, *, run: bool, quiet: bool) -> _Session:
    """Everything that can be wrong with a request is told here, before anything runs, if anything may."""
    looks = Looks.asked(options, specs)
    requests = requests_of(specs, options)
    if looks is not None:
        looks.sizes(requests[0].setting.replicates.initialisations)
    whole = together(requests)
    place = place_of(options, whole, quiet=quiet)
    for request in requests:
        require_data(request)
        read_sensitivity(
            path_of(options.sensitivity, request.loaded.spec.id, request.scale), request.loaded, request.scale
        )
        if run:
            require_format(request, place.backend.slots)
    store = Store(options.store, make=False)
    if run:
        require_room(whole, store, place.backend)
    place.backend.prepare(place.threads)
    return _Session(requests, store, place, options.data, options.sensitivity, looks)


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
        session = _ready(specs, options, run=run, quiet=quiet)
        require_folder(options.report)
        from harness.report.write import write  # not above: it draws, and a plan is shown without

        outcomes: list[Outcome] = []
        with session.place.backend.kept():
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
        session = _ready(specs, options, run=True, quiet=quiet)
        require_folder(file.parent, "--verdicts")
        outcomes = []
        with session.place.backend.kept():
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


def together(requests: Sequence[Request]) -> Plan:
    """The jobs of all requests, shared ones once."""
    return Plan.of(target for request in requests for target in request.plan.targets)
