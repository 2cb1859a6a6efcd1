"""A spec under guard: run in small and in full, compared with its baseline, or measured as a new one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import BrokenError, RequestError
from harness.execution.backends.base import Backend
from harness.execution.run import Progress
from harness.jobs.plan import Plan
from harness.jobs.provenance import Code, describe, today
from harness.jobs.store import Store
from harness.pipeline import verify as verifying
from harness.pipeline.accounts import revision_words
from harness.pipeline.outcome import Outcome
from harness.pipeline.request import Request, trainable
from harness.regress.compare import Finding, compare, since
from harness.regress.content import content
from harness.regress.fingerprints import smoke_numbers
from harness.regress.kinds import kinds
from harness.regress.model import Baseline, Content, Entry
from harness.regress.smoke_run import left_out, smoke_plan
from harness.regress.spec_digest import differences, digest, written
from harness.schema.load import Loaded
from harness.schema.model import MAIN_RECIPE

_SAME = ("code", "packages", "outside", "python", "lock")
"""What must be alike for results of the store to be as good as fresh ones, of ``provenance.describe``."""


@dataclass(frozen=True)
class Workplace:
    """Where specs are run.

    Attributes:
        store: for results.
        backend: executes what is missing.
        data: where imported datasets lie.
        progress: title -> context that gives what is told how far a run is.
    """

    store: Store
    backend: Backend
    data: Path
    progress: Callable[[str], AbstractContextManager[Callable[[Progress], None]]]


@dataclass(frozen=True)
class Guarded:
    """A spec that was compared with its baseline.

    Attributes:
        name: of the baseline.
        since: revision, date and reason of the baseline.
        findings: all comparisons.
    """

    name: str
    since: str
    findings: Sequence[Finding]

    def having(self, tone: str) -> list[Finding]:
        """The findings of a tone."""
        return [finding for finding in self.findings if finding.tone == tone]


def exit_code(guarded: Sequence[Guarded]) -> int:
    """0 no alarm, 1 an alarm, 3 something broke."""
    if any(spec.having("error") for spec in guarded):
        return 3
    return 1 if any(spec.having("alarm") for spec in guarded) else 0


def require_same_specs(pairs: Sequence[tuple[Loaded, Baseline]]) -> None:
    """Raises RequestError where a spec is not the one that its baseline was measured for."""
    problems = []
    for loaded, baseline in pairs:
        now = written(loaded.spec, baseline.scale) if baseline.scale in loaded.spec.scales else {}
        changed = list(differences(baseline.written, now))
        if changed:
            problems.append(
                f"{loaded.path}: its baseline is of another version of this spec (digest {digest(baseline.written)}, "
                f"now {digest(now)}): {'; '.join(changed)}. If this was meant: "
                f'harness regress {loaded.path} --update --reason "..."'
            )
    if problems:
        raise RequestError("\n".join(problems))


def resized(loaded: Loaded, baseline: Baseline, data: Path) -> Finding | None:
    """A network of another size than the baseline's: nothing can be run."""
    for name, training in loaded.spec.scales[baseline.scale].trainings.items():
        fact = "trainable parameters" if name == MAIN_RECIPE else f"{name}: trainable parameters"
        size = trainable(training, data)
        before = baseline.content.facts.get(fact, size)
        if size != before:
            text = f"{size:,}, baseline {before:,}; nothing was run ({since(baseline)})"
            return Finding(baseline.name, fact, "alarm", text)
    return None


@dataclass(frozen=True)
class Cached:
    """Results of a request that the store has before anything ran: they tell of the code that made them.

    Attributes:
        count: how many.
        needed: how many the request needs.
        made: revisions of the code that made them, as shown.
        here: this revision.
        alike: whether all were made by this code with these libraries.
    """

    count: int
    needed: int
    made: Sequence[str]
    here: str
    alike: bool

    @property
    def words(self) -> str:
        """In words."""
        return f"{self.count} of {self.needed} results were in the store, made by {', '.join(self.made)}"


def cached(request: Request, store: Store) -> Cached | None:
    """What the store has of a request and of its smoke run; None: nothing."""
    jobs = {**request.plan.jobs, **smoke_plan_of(request).jobs}
    origins = [store.made(job) for job in jobs.values() if store.has(job)]
    if not origins:
        return None
    here = describe("cpu", 1, "")
    code = Code.model_validate(here["code"])
    known = code.revision != "unknown" and not code.modified
    return Cached(
        count=len(origins),
        needed=len(jobs),
        made=sorted({revision_words(origin.code) for origin in origins}),
        here=revision_words(code),
        alike=known and all(origin.model_dump()[name] == here[name] for origin in origins for name in _SAME),
    )


def cached_findings(request: Request, baseline: Baseline, store: Store) -> Iterator[Finding]:
    """A note where the store has results of this code, an error where it has those of another."""
    hit = cached(request, store)
    if hit is not None and hit.alike:
        yield Finding(baseline.name, "store", "note", f"{hit.words}, which is this code: not run anew")
    elif hit is not None:
        text = f"{hit.words}; this code is {hit.here}, or its libraries are others"
        yield Finding(baseline.name, "store", "error", f"{text}: run in a fresh --store, or without --store")


def left_out_findings(request: Request, baseline: Baseline) -> Iterator[Finding]:
    """A note for every stage that the smoke run leaves out, with the reason."""
    for stage, reason in left_out(request.plan, smoke_plan_of(request)).items():
        yield Finding(baseline.name, f"stage {stage}", "note", f"not in the smoke run: {reason}")


def require_own(request: Request, store: Store) -> None:
    """Raises RequestError where the store has results of other code, from which no baseline may be made."""
    hit = cached(request, store)
    if hit is not None and not hit.alike:
        raise RequestError(
            f"{request.loaded.path}: {hit.words}; this code is {hit.here}, or its libraries are others: "
            "measure the baseline in a fresh --store, or without --store"
        )


def guard(request: Request, baseline: Baseline, comparisons: int, place: Workplace) -> list[Finding]:
    """Runs a spec and compares it with its baseline; what breaks is one of the findings.

    Args:
        request: the spec with its plan.
        baseline: of the same spec.
        comparisons: the numbers of all baselines, see ``compare.count_numbers``.
        place: where.
    """
    try:
        outcome, fresh = _run(request, place)
    except BrokenError as error:
        return [Finding(baseline.name, "run", "error", str(error))]
    findings = [Finding(baseline.name, f"job {failure.job}", "error", failure.message) for failure in outcome.failures]
    return findings + compare(baseline, fresh, comparisons, broken=bool(outcome.failures))


def measure(request: Request, path: Path, history: Sequence[Entry], reason: str, place: Workplace) -> Baseline:
    """A new baseline of a spec.

    Args:
        request: the spec with its plan.
        path: of the spec, as other machines find it.
        history: of the baseline before.
        reason: for the new one.
        place: where.

    Raises:
        BrokenError: jobs broke.
    """
    loaded = request.loaded
    outcome, fresh = _run(request, place)
    if outcome.failures:
        told = "; ".join(failure.message for failure in outcome.failures)
        raise BrokenError(f"{loaded.path}: no baseline is written, because jobs broke: {told}")
    return Baseline(
        schema_version=1,
        spec=loaded.spec.id,
        path=path.as_posix(),
        scale=request.scale,
        history=(*history, _entry(reason)),
        written=written(loaded.spec, request.scale),
        content=fresh,
    )


def measure_smoke_run(request: Request, baseline: Baseline, reason: str, place: Workplace) -> Baseline:
    """A baseline with its smoke run measured anew, and everything else as it was.

    Args:
        request: the spec with its plan.
        baseline: of the same spec.
        reason: for the new smoke run.
        place: where.

    Raises:
        BrokenError: jobs broke.
    """
    small = _run_small(request, place)
    numbers = smoke_numbers(small.jobs, kinds(small.jobs), place.store)
    changed = baseline.content.model_copy(update={"rehearsal": numbers})
    entry = _entry(f"The smoke run alone: {reason}")
    return baseline.model_copy(update={"content": changed, "history": (*baseline.history, entry)})


def whole_plan(request: Request) -> Plan:
    """All jobs of a request and of its smoke run."""
    return Plan.of([*request.plan.targets, *smoke_plan_of(request).targets])


def _entry(reason: str) -> Entry:
    code: dict[str, Any] = describe("cpu", 1, "")["code"]
    return Entry(revision=code["revision"][:12], modified=code["modified"], date=today(), reason=reason)


def smoke_plan_of(request: Request) -> Plan:
    """The jobs of a request's smoke run."""
    return smoke_plan(request.protocol, request.setting)


def _run_small(request: Request, place: Workplace) -> Plan:
    """Runs the smoke run; its plan."""
    small, name = smoke_plan_of(request), request.loaded.spec.id
    with place.progress(f"{name}, smoke run") as told:
        run = verifying.run_plan(small, place.store, backend=place.backend, data_root=place.data, on_progress=told)
    if run.failed:
        words = "; ".join(sorted({str(error) for error in run.failed.values()}))
        raise BrokenError(f"the smoke run of {name} broke: {words}")
    return small


def _run(request: Request, place: Workplace) -> tuple[Outcome, Content]:
    small, name = _run_small(request, place), request.loaded.spec.id
    with place.progress(name) as told:
        outcome = verifying.verify(request, place.store, backend=place.backend, data_root=place.data, on_progress=told)
    return outcome, content(request, outcome, place.store, small)
