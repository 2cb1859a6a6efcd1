"""The course of ``harness sensitivity``: load, plan all versions together, run, compare, write; and its table."""

from collections.abc import Sequence
from pathlib import Path

from harness.cli import console, show, tables
from harness.cli.console import line, out
from harness.cli.options import Options
from harness.cli.place import Place, place_of
from harness.cli.room import require_room
from harness.cli.stopping import stoppable
from harness.files import require_folder
from harness.jobs.store import Store
from harness.pipeline.flipping import Study, plan_study
from harness.pipeline.request import require_data, require_format
from harness.pipeline.sensitivity import Result, run_study
from harness.printable import shown
from harness.protocols import protocols
from harness.report import sensitivity as report
from harness.report.text import count, seconds_text
from harness.schema.load import load

_STYLES = {"same conclusion": "bold green", "flips": "bold red", "undecided": "bold yellow"}


def sensitivity(
    spec: Path, options: Options, only: Sequence[str], claims: Sequence[str], *, quiet: bool, as_json: bool
) -> int:
    """Flips the open choices of a spec, and writes what came of it.

    Args:
        spec: its file.
        options: of the user.
        only: fields to flip; all, where none is named.
        claims: ids of those to judge; all, where none is named.
        quiet: print neither progress nor the table.
        as_json: print what came of it as JSON.

    Returns:
        The exit code: 0 whatever hangs on what, 3 where something broke.
    """
    with stoppable():
        study, store, place = _ready(spec, options, only, claims, quiet=quiet)
        if not quiet:
            _told_before(study)
        with show.progress_of(study.own.loaded.spec.id, quiet=quiet) as on_progress:
            result = run_study(
                study,
                store,
                backend=place.backend,
                data_root=options.data,
                on_progress=on_progress,
                machine=place.machine,
            )
        path, stayed = report.write(result, options.sensitivity)
    if not quiet:
        _told_after(result, path)
    for row in stayed:
        console.err.print(
            f"{path}: what was there of {row.claim} and {row.field} stays: it has "
            f"{count(row.initialisations, 'initialisation')}, more than this run"
        )
    if as_json:
        console.machine(report.document(result, map(report.Row.of, result.compared)))
    return result.exit_code


def _ready(
    spec: Path, options: Options, only: Sequence[str], claims: Sequence[str], *, quiet: bool
) -> tuple[Study, Store, Place]:
    """Everything that can be wrong with the request is told here, before anything runs."""
    loaded = load(spec, protocols())
    study = plan_study(
        loaded,
        options.scale,
        options.data,
        only=only,
        claims=claims,
        initialisations=options.replicates,
        first_seed=options.first_seed,
    )
    place = place_of(options, study.plan, quiet=quiet)
    for request in study.requests:
        require_data(request)
        require_format(request, place.backend.slots)
    require_folder(options.sensitivity, "--sensitivity")
    report.read(report.path_of(options.sensitivity, loaded.spec.id, options.scale), loaded, options.scale)
    store = Store(options.store, make=False)
    require_room(study.plan, store, place.backend)
    place.backend.prepare(place.threads)
    return study, store, place


def _told_before(study: Study) -> None:
    fields = len({flip.field for flip in study.flips})
    console.err.print(
        f"{study.own.loaded.spec.id}: {count(fields, 'open choice')} at {study.own.scale} scale, "
        f"{count(len(study.plan.jobs), 'job')} together"
    )


def _told_after(result: Result, path: Path) -> None:
    study = result.study
    _table(result)
    out.print(
        f"{count(len(study.plan.jobs), 'job')}, {result.executed} run now in {seconds_text(result.seconds)}; "
        f"{study.shared} more are shared between the versions"
    )
    out.print(f"written: {path}")


def _table(result: Result) -> None:
    """A table a flip, with a row a claim; the reasons of what is not the same below."""
    rows = list(map(report.Row.of, result.compared))
    own, by_flip = result.study.own, dict[tuple[str, str, str], list[report.Row]]()
    for row in rows:
        by_flip.setdefault((row.field, shown(row.own), shown(row.value)), []).append(row)
    out.print(line((f"{own.loaded.spec.title}: open choices ({own.scale} scale)", "bold")))
    for (field, before, flipped), members in by_flip.items():
        out.print(f"{field}: {before}, flipped to {flipped}")
        tables.show(
            out,
            [(name, "left") for name in ("claim", "flipped minus own, 90 % interval", "margin", "outcome")],
            [(row.claim, row.text, f"{row.margin:g}", line((row.outcome, _STYLES[row.outcome]))) for row in members],
        )
    for row in rows:
        if row.outcome != "same conclusion":
            out.print(line((row.outcome.upper(), _STYLES[row.outcome]), f" {row.claim}, {row.field}: {row.why}"))
    for failure in result.failures:
        out.print(line(("BROKE", "bold red"), f" {failure.job}: {failure.message} ({failure.lost} jobs lost)"))
