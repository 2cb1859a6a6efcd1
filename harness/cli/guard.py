"""The regression guard as commands: fresh runs against baselines, and baselines measured anew."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from harness.cli import console, show
from harness.cli.options import Options
from harness.cli.room import require_room
from harness.engine import device as devices
from harness.engine.cores import cpu_threads
from harness.errors import InvariantBroken, RequestError
from harness.execution.backends import on_devices
from harness.files import replace_file, require_folder
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.pipeline.request import Request, prepare, require_data
from harness.protocols import protocols
from harness.regress import files
from harness.regress.compare import Finding, count_numbers, since
from harness.regress.guard import (
    Guarded,
    Workplace,
    cached_findings,
    exit_code,
    guard,
    left_out_findings,
    measure,
    measure_smoke_run,
    require_own,
    require_same_specs,
    resized,
    smoke_plan_of,
    whole_plan,
)
from harness.regress.model import INITIALISATIONS, Baseline
from harness.report.regression import headline, junit, markdown
from harness.schema.load import Loaded, load, local_path

_LEAST = 2
"""Initialisations without which there is no spread."""


def check(specs: Sequence[Path], options: Options, folder: Path, *, quiet: bool) -> int:
    """Runs specs and compares each with its baseline.

    Args:
        specs: their files; none: those of all baselines.
        options: of the user.
        folder: of the baselines.
        quiet: print nothing.

    Returns:
        The exit code: 0 no alarm, 1 an alarm, 3 something broke.

    Raises:
        RequestError: a baseline is missing, malformed, or of another version of its spec; a dataset is not here.
    """
    require_folder(options.report)
    reports = {kind: options.report / f"regress.{kind}" for kind in ("xml", "md")}
    for path in reports.values():
        path.unlink(missing_ok=True)  # what an earlier run found is no answer to this one
    pairs = list(_pairs(specs, options, folder))
    require_same_specs(pairs)
    place = _place(options, quiet=quiet)
    comparisons = count_numbers(files.find(folder, options.scale))
    ready: list[tuple[Baseline, list[Finding], Request | None]] = []
    for loaded, baseline in pairs:  # before anything runs
        other = resized(loaded, baseline, options.data)
        if other:
            ready.append((baseline, [other], None))
            continue
        try:
            request = _request(loaded, options)
        except InvariantBroken as error:
            ready.append((baseline, [Finding(baseline.name, "plan", "error", str(error))], None))
            continue
        told = [*cached_findings(request, baseline, place.store), *left_out_findings(request, baseline)]
        ready.append((baseline, told, request))
    _require_room([request for *_, request in ready if request is not None], place)
    guarded: list[Guarded] = []
    for baseline, findings, able in ready:
        if able is not None:
            findings += guard(able, baseline, comparisons, place)
        guarded.append(Guarded(baseline.name, since(baseline), findings))
        replace_file(reports["xml"], junit(guarded))
        replace_file(reports["md"], markdown(guarded))
        if not quiet:
            show.findings(guarded[-1])
    if not quiet:
        console.out.print(f"{headline(guarded)}: {reports['md']}")
    return exit_code(guarded)


def update_smoke_run(specs: Sequence[Path], options: Options, folder: Path, reason: str, *, quiet: bool) -> int:
    """Measures the smoke runs of baselines anew and writes them, with the reason; all else stays as it was.

    Raises:
        RequestError: no reason is given, a baseline is missing or of another version of its spec, the folder cannot
            be written, or results in the store are of other code.
        BrokenError: jobs broke.
    """
    _require_reason(reason)
    pairs = list(_pairs(specs, options, folder))
    require_same_specs(pairs)
    require_folder(folder, "--baseline")
    place = _place(options, quiet=quiet)
    requests = [(_request(loaded, options), baseline) for loaded, baseline in pairs]
    for request, _ in requests:
        require_own(request, place.store)
    _require_room([request for request, _ in requests], place, smoke_run_only=True)
    for request, baseline in requests:
        file = files.write(measure_smoke_run(request, baseline, reason.strip(), place), folder)
        if not quiet:
            console.out.print(f"baseline: {file} (smoke run only)")
    return 0


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise RequestError('a new baseline needs its reason: --update --reason "what was changed, and why"')


def update(specs: Sequence[Path], options: Options, folder: Path, reason: str, *, quiet: bool) -> int:
    """Measures baselines anew and writes them, with the reason.

    Raises:
        RequestError: no reason is given, a spec lies outside the working folder, the folder cannot be written, or
            results in the store are of other code.
        BrokenError: jobs broke.
    """
    _require_reason(reason)
    initialisations = options.replicates or INITIALISATIONS
    if initialisations < _LEAST:
        raise RequestError(f"--replicates {initialisations}: a baseline needs at least {_LEAST}, to know the spread")
    paths = list(dict.fromkeys(specs)) or [Path(baseline.path) for baseline in files.find(folder, options.scale)]
    specs_by_path = {_local(path): load(path, protocols()) for path in paths}
    options = replace(options, replicates=initialisations)
    requests = {path: _request(loaded, options) for path, loaded in specs_by_path.items()}
    require_folder(folder, "--baseline")
    place = _place(options, quiet=quiet)
    for request in requests.values():
        require_own(request, place.store)
    _require_room(list(requests.values()), place)
    for path, request in requests.items():
        before = files.path_of(folder, request.loaded.spec.id, options.scale)
        history = files.read(before).history if before.exists() else ()
        baseline = measure(request, path, history, reason.strip(), place)
        file = files.write(baseline, folder)
        if not quiet:
            count = len(baseline.content.numbers)
            console.out.print(f"baseline: {file} ({count} numbers)")
            for finding in left_out_findings(request, baseline):
                console.out.print(f"{finding.name}: {finding.text}")
    return 0


def _local(path: Path) -> Path:
    """The path of a spec as its baseline has it."""
    local = local_path(path)
    if local is None:
        raise RequestError(
            f"{path} lies outside the working folder {Path.cwd()}, so that its baseline could not name it for other "
            "machines: run the command in a folder that has it, or copy it below this one"
        )
    return local


def _pairs(specs: Sequence[Path], options: Options, folder: Path) -> Iterator[tuple[Loaded, Baseline]]:
    if not specs:
        for baseline in files.find(folder, options.scale):
            if not Path(baseline.path).exists():
                raise RequestError(
                    f"{files.path_of(folder, baseline.spec, baseline.scale)}: it is the baseline of {baseline.path}, "
                    "which is not here: restore that spec, remove the baseline too, or name the specs to guard"
                )
            yield load(Path(baseline.path), protocols()), baseline
    for path in dict.fromkeys(specs):
        loaded = load(path, protocols())
        where = files.path_of(folder, loaded.spec.id, options.scale)
        if not where.exists():
            raise RequestError(
                f"{path}: there is no baseline {where}: make one with "
                f'`harness regress {path} --update --reason "first baseline"`'
            )
        yield loaded, files.read(where)


def _place(options: Options, *, quiet: bool) -> Workplace:
    backend = on_devices([devices.choose(options.device)])
    backend.prepare(cpu_threads(options.threads))
    return Workplace(Store(options.store, make=False), backend, options.data, partial(show.progress_of, quiet=quiet))


def _require_room(requests: Sequence[Request], place: Workplace, *, smoke_run_only: bool = False) -> None:
    """Raises RequestError where what the guard will run surely has no room in memory or on the disk."""
    plans = [smoke_plan_of(request) if smoke_run_only else whole_plan(request) for request in requests]
    require_room(Plan.of(target for plan in plans for target in plan.targets), place.store, place.backend)


def _request(loaded: Loaded, options: Options) -> Request:
    """A spec with its plan, its dataset being here."""
    request = prepare(
        loaded, options.scale, options.data, initialisations=options.replicates, first_seed=options.first_seed
    )
    require_data(request)
    return request
