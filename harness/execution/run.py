"""The executor: finds or runs each job, groups what fuses, isolates failures, resumes, on any backend."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.engine.data.dataset import Dataset
from harness.errors import HarnessError, InvariantBroken
from harness.execution.backends.base import Backend, OpenBackend, Workload
from harness.execution.claims import Claims, Patience
from harness.execution.group import Finished
from harness.execution.schedule import LOOK_EVERY_S, Schedule, cost, labels
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.store import Store


@dataclass(frozen=True)
class Progress:
    """How far a run is, in replica-steps of training (other work counts as a few of them).

    Attributes:
        done: units done, those of this run only.
        total: units that this run has to do.
        now: what is running.
        note: a sentence that a user should read, told once; "" mostly.
    """

    done: int
    total: int
    now: str
    note: str = ""


@dataclass
class Run:
    """What a run did.

    Attributes:
        failed: key -> the error of a job that broke.
        lost: keys of jobs that could not run because of those.
        executed: keys of the jobs that ran.
        workers_lost: what became of worker processes that died, in words; their groups were taken up again.
        seconds: wall time.
    """

    failed: dict[str, HarnessError] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    executed: set[str] = field(default_factory=set)
    workers_lost: Sequence[str] = ()
    seconds: float = 0.0


def execute(
    plan: Plan,
    store: Store,
    *,
    backend: Backend,
    load_dataset: Callable[[str], Dataset],
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Runs what is missing of a plan.

    Args:
        plan: the jobs.
        store: where results are found and kept.
        backend: executes the groups; it is opened only where something is missing.
        load_dataset: name -> dataset; for a backend of other processes it must be picklable.
        on_progress: told now and then.

    Returns:
        What happened. A job that broke is listed, and only what rests on it is not run.

    Raises:
        StoreBroken: the store cannot be written, or holds a corrupt artifact that is needed.
        BrokenError: worker processes die one after the other, or do not start.
    """
    started = time.monotonic()
    run = Run()
    missing = plan.missing(store.has)
    if missing:
        tally = _Tally(cost(list(missing.values())), on_progress)
        with backend.open(Workload(plan.jobs, store, load_dataset, tally.advance)) as opened:
            with Claims(store) as claims:
                schedule = Schedule(plan, store, backend.slots, opened.free, tally.note, claims)
                _work(schedule, opened, run, tally, claims, Patience(store))
                schedule.remove()
                claims.sweep([job for key, job in plan.jobs.items() if key not in run.failed.keys() | run.lost])
            run.workers_lost = tuple(opened.lost)
            for words in run.workers_lost:
                tally.note(f"{words}; its group was taken up again")
    run.seconds = time.monotonic() - started
    return run


def _work(
    schedule: Schedule, backend: OpenBackend, run: Run, tally: "_Tally", claims: Claims, patience: Patience
) -> None:
    impatient = False
    while schedule.missing:
        while backend.idle and (group := schedule.next(by_force=impatient)) is not None:
            impatient = False
            tally.begin(group)
            backend.start(group)
        tally.done_elsewhere(schedule.done_elsewhere)
        schedule.done_elsewhere.clear()
        _tell(claims, tally)
        if not tally.running:
            impatient = _wait_for_others(schedule, tally, claims, patience)
            continue
        for ended, finished in backend.wait(LOOK_EVERY_S if backend.idle and schedule.blocked else None):
            for note in finished.notes:
                tally.note(note)
            schedule.finished(ended)
            if finished.too_large and schedule.part(ended):
                tally.end(ended, 0)
            else:
                _note(schedule, ended, finished, run)
                tally.end(ended, cost(ended))
    _tell(claims, tally)


def _wait_for_others(schedule: Schedule, tally: "_Tally", claims: Claims, patience: Patience) -> bool:
    """Waits a moment for other runs on the store, which have all that could run now; whether patience is over."""
    if not schedule.missing:
        return False
    if not schedule.blocked:
        raise InvariantBroken(f"none of {len(schedule.missing)} missing jobs can run: the plan is not a plan")
    tally.waits(claims.holder)
    time.sleep(LOOK_EVERY_S)
    return patience.is_over(len(schedule.missing))


def _tell(claims: Claims, tally: "_Tally") -> None:
    while claims.notes:
        tally.note(claims.notes.pop(0))


def _note(schedule: Schedule, group: Sequence[Job], finished: Finished, run: Run) -> None:
    for job in group:
        error = finished.errors.get(job.key)
        if error is not None:
            run.failed[job.key] = error
            run.lost |= schedule.lose(job) - {job.key}
        elif schedule.missing.pop(job.key, None) is not None:
            run.executed.add(job.key)


class _Tally:
    """Progress, summed over the groups that run.

    Attributes:
        running: first key of a running group -> the group.
    """

    def __init__(self, total: int, tell: Callable[[Progress], None]) -> None:
        self.running: dict[str, Sequence[Job]] = {}
        self._total, self._tell = total, tell
        self._finished = 0
        self._under_way: dict[str, int] = {}
        self._now = ""
        self._holders: set[str] = set()

    def waits(self, holder: str) -> None:
        """Nothing is left to do but what another run does."""
        self._now = f"waiting for {holder}"
        if holder not in self._holders:
            self._holders.add(holder)
            self.note(f"the rest is under way in {holder}, on the same store: this run waits for its results")
        else:
            self._told()

    def begin(self, group: Sequence[Job]) -> None:
        """A group starts."""
        self.running[group[0].key] = group
        self._now = labels(self.running)
        self.advance(group, 0)

    def note(self, text: str) -> None:
        """Something that a user should read."""
        self._tell(Progress(self._finished + sum(self._under_way.values()), self._total, self._now, text))

    def advance(self, group: Sequence[Job], units: int) -> None:
        """A running group made some units of work."""
        key = group[0].key
        self._under_way[key] = self._under_way.get(key, 0) + units
        self._told()

    def done_elsewhere(self, jobs: Sequence[Job]) -> None:
        """Another run did these."""
        if jobs:
            self._finished += cost(jobs)
            self._told()

    def _told(self) -> None:
        done = min(self._finished + sum(self._under_way.values()), self._total)
        self._tell(Progress(done, self._total, self._now))

    def end(self, group: Sequence[Job], units: int) -> None:
        """A group is over, and counts with so many units."""
        self._finished += units
        self._under_way.pop(group[0].key)
        self._told()
        self.running.pop(group[0].key)
        self._now = labels(self.running) or self._now
