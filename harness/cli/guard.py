"""What the regression guard does: fresh runs against baselines, and baselines measured anew. Loaded late."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from harness import verify as verifying
from harness.accounts import revision_words
from harness.cli import show
from harness.cli.options import Options
from harness.engine import device as devices
from harness.errors import BrokenError, RequestError
from harness.outcome import Outcome
from harness.protocols import families
from harness.provenance import describe, today
from harness.regress import files
from harness.regress.compare import Finding, compare, count_numbers, since
from harness.regress.measure import content
from harness.regress.model import INITIALISATIONS, Baseline, Content, Entry
from harness.regress.rehearsal import rehearsal
from harness.regress.written import differences, digest, written
from harness.report.regression import Guarded, exit_code, headline, junit, markdown
from harness.report.write import replace_file, require_folder
from harness.spec.load import Loaded, load, local_path
from harness.store import Store

_LEAST = 2
"""Initialisations without which there is no spread."""


@dataclass(frozen=True)
class _Place:
    """Where jobs are run, kept, and how much is said."""

    options: Options
    device: torch.device
    store: Store
    quiet: bool


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
        RequestError: a baseline is missing, malformed, or of another version of its spec.
    """
    pairs = list(_pairs(specs, options, folder))
    _require_same_specs(pairs, options.scale)
    place = _place(options, quiet=quiet)
    require_folder(options.report)
    comparisons = count_numbers(files.find(folder, options.scale))
    guarded: list[Guarded] = []
    held = [list(_held(loaded, baseline, place)) for loaded, baseline in pairs]  # before anything runs
    for (loaded, baseline), found in zip(pairs, held, strict=True):
        findings = [*found, *_guard(loaded, baseline, comparisons, place)]
        guarded.append(Guarded(baseline.name, since(baseline), findings))
        replace_file(options.report / "regress.xml", junit(guarded))
        replace_file(options.report / "regress.md", markdown(guarded))
        if not quiet:
            show.findings(guarded[-1])
    if not quiet:
        show.out.print(f"{headline(guarded)}: {options.report / 'regress.md'}", soft_wrap=True, markup=False)
    return exit_code(guarded)


def update(specs: Sequence[Path], options: Options, folder: Path, reason: str, *, quiet: bool) -> int:
    """Measures baselines anew and writes them, with the reason.

    Raises:
        RequestError: no reason is given, a spec lies outside the working folder, or results in the store are of
            other code.
        BrokenError: jobs broke.
    """
    if not reason.strip():
        raise RequestError('a new baseline needs its reason: --update --reason "what was changed, and why"')
    initialisations = options.replicates or INITIALISATIONS
    if initialisations < _LEAST:
        raise RequestError(f"--replicates {initialisations}: a baseline needs at least {_LEAST}, to know the spread")
    paths = list(dict.fromkeys(specs)) or [Path(one.path) for one in files.find(folder, options.scale)]
    specs_by_path = {_local(path): load(path, families()) for path in paths}
    place = _place(replace(options, replicates=initialisations), quiet=quiet)
    for path, loaded in specs_by_path.items():
        before = files.path_of(folder, loaded.spec.id, options.scale)
        history = files.read(before).history if before.exists() else ()
        outcome, found = _run(loaded, place)
        if outcome.failures:
            told = "; ".join(one.message for one in outcome.failures)
            raise BrokenError(f"{loaded.path}: no baseline is written, because jobs broke: {told}")
        baseline = Baseline(
            schema_version=1,
            spec=loaded.spec.id,
            path=path.as_posix(),
            scale=options.scale,
            history=(*history, _entry(loaded, outcome, reason.strip())),
            written=written(loaded.spec, options.scale),
            content=found,
        )
        file = files.write(baseline, folder)
        if not quiet:
            show.out.print(f"baseline: {file} ({len(found.numbers)} numbers)", soft_wrap=True, markup=False)
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
            yield load(Path(baseline.path), families()), baseline
    for path in dict.fromkeys(specs):
        loaded = load(path, families())
        where = files.path_of(folder, loaded.spec.id, options.scale)
        if not where.exists():
            raise RequestError(
                f"{path}: there is no baseline {where}: make one with "
                f'`harness regress {path} --update --reason "first baseline"`'
            )
        yield loaded, files.read(where)


def _require_same_specs(pairs: Sequence[tuple[Loaded, Baseline]], scale: str) -> None:
    """Raises RequestError where a spec is not the one that its baseline was measured for."""
    problems = []
    for loaded, baseline in pairs:
        now = written(loaded.spec, scale) if scale in loaded.spec.scales else {}
        changed = list(differences(baseline.written, now))
        if changed:
            problems.append(
                f"{loaded.path}: its baseline is of another version of this spec (digest {digest(baseline.written)}, "
                f"now {digest(now)}): {'; '.join(changed)}. If this was meant: "
                f'harness regress {loaded.path} --update --reason "..."'
            )
    if problems:
        raise RequestError("\n".join(problems))


def _place(options: Options, *, quiet: bool) -> _Place:
    device = devices.choose(options.device)
    devices.prepare(device, options.threads)
    return _Place(options, device, Store(options.store), quiet)


def _guard(loaded: Loaded, baseline: Baseline, comparisons: int, place: _Place) -> list[Finding]:
    """All findings of a spec; what breaks is one of them."""
    resized = _resized(loaded, baseline, place)
    if resized:
        return [resized]
    try:
        outcome, found = _run(loaded, place)
    except BrokenError as error:
        return [Finding(baseline.name, "run", "error", str(error))]
    findings = [Finding(baseline.name, f"job {one.job}", "error", one.message) for one in outcome.failures]
    return findings + compare(baseline, found, comparisons, broken=bool(outcome.failures))


def _held(loaded: Loaded, baseline: Baseline, place: _Place) -> Iterator[Finding]:
    """Results that the store holds already: they tell of the code that made them, not of this code."""
    if _resized(loaded, baseline, place):
        return
    jobs = _request(loaded, place).plan.jobs.values()
    codes = [place.store.record(job)["provenance"]["code"] for job in jobs if place.store.has(job)]
    if not codes:
        return
    made, here = sorted({revision_words(code) for code in codes}), revision_words(describe("cpu", 1, "")["code"])
    text = f"{len(codes)} of {len(jobs)} results were in the store, made by {', '.join(made)}"
    if made == [here] and "modified" not in here:
        yield Finding(baseline.name, "store", "note", f"{text}, which is this code: not run anew")
    else:
        advice = "run in a fresh --store, or without --store"
        yield Finding(baseline.name, "store", "error", f"{text}, this code is {here}: {advice}")


def _resized(loaded: Loaded, baseline: Baseline, place: _Place) -> Finding | None:
    """A network of another size than the baseline's: nothing can be run."""
    size = verifying.trainable(loaded.spec.scales[baseline.scale], place.options.data)
    before = baseline.content.facts.get("trainable parameters", size)
    if size == before:
        return None
    text = f"{size:,}, baseline {before:,}; nothing was run ({since(baseline)})"
    return Finding(baseline.name, "trainable parameters", "alarm", text)


def _request(loaded: Loaded, place: _Place) -> verifying.Request:
    options = place.options
    return verifying.prepare(
        loaded,
        options.scale,
        options.data,
        initialisations=options.replicates,
        first_seed=options.first_seed,
    )


def _run(loaded: Loaded, place: _Place) -> tuple[Outcome, Content]:
    options, request = place.options, _request(loaded, place)
    verifying.require_data(request)
    small = rehearsal(request.protocol, request.setting)
    device, data = place.device, options.data
    with show.progress_of(f"{loaded.spec.id}, rehearsal", quiet=place.quiet) as on_progress:
        run, _ = verifying.run_plan(small, place.store, device=device, data_root=data, on_progress=on_progress)
    if run.failed:
        told = "; ".join(sorted({str(error) for error in run.failed.values()}))
        raise BrokenError(f"the rehearsal of {loaded.spec.id} broke: {told}")
    with show.progress_of(loaded.spec.id, quiet=place.quiet) as on_progress:
        outcome = verifying.verify(request, place.store, device=device, data_root=data, on_progress=on_progress)
    return outcome, content(request, outcome, place.store, small)


def _entry(loaded: Loaded, outcome: Outcome, reason: str) -> Entry:
    revisions = outcome.provenance["results made by"]["code revisions"]
    if len(revisions) != 1:
        raise RequestError(
            f"{loaded.path}: results in the store were made by several revisions ({', '.join(revisions)}): "
            "measure the baseline in a fresh --store"
        )
    revision, _, modified = revisions[0].partition(" ")
    return Entry(revision=revision, modified=bool(modified), date=today(), reason=reason)
