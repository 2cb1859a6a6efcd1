"""The executor: finds or runs each job, groups what fuses, isolates failures, resumes, on any backend."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from harness.engine.data.dataset import Dataset
from harness.errors import HarnessError, InvariantBroken
from harness.execution.backends.base import Backend, OpenBackend, Workload
from harness.execution.claims import Claims, Patience
from harness.execution.group import Finished
from harness.execution.schedule import LOOK_EVERY_S, Schedule, cost, label
from harness.jobs.job import Job, training_steps
from harness.jobs.plan import Plan
from harness.jobs.store import Store


@dataclass(frozen=True)
class Progress:
    """How far a run is: in seconds that its work was expected to take, or in units of it (``execute``).

    Attributes:
        done: of what is to be done, by this run only.
        total: of what this run has to do.
        now: what is under way, a line of words for each group.
        note: a sentence that a user should read, told once; "" mostly.
        iterations: optimiser steps that this run has made, all trainings together.
        forecast: whether done and total are seconds.
    """

    done: float
    total: float
    now: Sequence[str]
    note: str = ""
    iterations: int = 0
    forecast: bool = True


@dataclass
class Run:
    """What a run did.

    Attributes:
        failed: key -> the error of a job that broke.
        lost: keys of jobs that could not run because of those.
        executed: keys of the jobs that ran.
        workers_lost: what became of worker processes that died, in words; their groups were taken up again.
        given_up: how often a group was left to another run because this one stood still; no error.
        seconds: wall time.
    """

    failed: dict[str, HarnessError] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    executed: set[str] = field(default_factory=set)
    workers_lost: Sequence[str] = ()
    given_up: int = 0
    seconds: float = 0.0


def execute(
    plan: Plan,
    store: Store,
    *,
    backend: Backend,
    load_dataset: Callable[[str], Dataset],
    on_progress: Callable[[Progress], None] = lambda progress: None,
    on_results: Callable[[Sequence[Job]], None] = lambda jobs: None,
    words: Callable[[Sequence[Job]], str] = label,
    expected: Mapping[str, float] | None = None,
) -> Run:
    """Runs what is missing of a plan.

    Args:
        plan: the jobs.
        store: where results are found and kept.
        backend: executes the groups; it is opened only where something is missing.
        load_dataset: name -> dataset; for a backend of other processes it must be picklable.
        on_progress: told now and then.
        on_results: is told of jobs whose results have come to be in the store, by this run or another.
        words: a group -> what is under way, for readers.
        expected: key -> seconds that the run is expected to take for a job, by which progress is counted; left out,
            units of work count.

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
        tally = _Tally(list(missing.values()), on_progress, on_results, words, expected)
        with backend.open(Workload(plan.jobs, store, load_dataset, tally.advance)) as opened:
            with Claims(store) as claims:
                schedule = Schedule(plan, store, backend.slots, opened.free, tally.note, claims)
                _work(schedule, opened, run, tally, claims, Patience(store))
                schedule.remove()
                claims.sweep([job for key, job in plan.jobs.items() if key not in run.failed.keys() | run.lost])
            run.workers_lost = tuple(opened.lost)
            for lost in run.workers_lost:
                tally.note(f"{lost}; its group was taken up again")
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
            backend.start(group, claims.lease(group))
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
            if finished.given_up:
                run.given_up += 1
                schedule.put_back(ended)
                tally.end(ended, [], made=False)
            elif finished.too_large and schedule.part(ended):
                tally.end(ended, [], made=False)
            else:
                _note(schedule, ended, finished, run)
                tally.end(ended, [job for job in ended if job.key not in finished.errors], made=True)
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


def _weight(expected: Mapping[str, float] | None, jobs: Sequence[Job]) -> float:
    """How much of a run's progress some jobs are."""
    return cost(jobs) if expected is None else sum(expected.get(job.key, 0.0) for job in jobs)


class _Tally:
    """Progress, summed over the groups that run.

    Attributes:
        running: first key of a running group -> the group.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        tell: Callable[[Progress], None],
        tell_results: Callable[[Sequence[Job]], None],
        words: Callable[[Sequence[Job]], str],
        expected: Mapping[str, float] | None,
    ) -> None:
        self.running: dict[str, Sequence[Job]] = {}
        self._tell, self._tell_results, self._words = tell, tell_results, words
        self._weight, self._forecast = partial(_weight, expected), expected is not None
        self._total, self._finished = self._weight(jobs), 0.0
        self._under_way: dict[str, float] = {}
        self._weight_a_unit: dict[str, float] = {}
        self._now: dict[str, str] = {}
        self._iterations = 0.0
        self._iterations_a_unit: dict[str, float] = {}
        self._holders: set[str] = set()

    def waits(self, holder: str) -> None:
        """Nothing is left to do but what another run does."""
        self._now = {"": f"waiting for {holder}"}
        if holder not in self._holders:
            self._holders.add(holder)
            self.note(f"the rest is under way in {holder}, on the same store: this run waits for its results")
        else:
            self._told()

    def begin(self, group: Sequence[Job]) -> None:
        """A group starts."""
        key = group[0].key
        self.running[key] = group
        self._now = {other: words for other, words in self._now.items() if other in self.running}
        self._now[key] = self._words(group)
        units = max(cost(group), 1)
        self._iterations_a_unit[key] = sum(training_steps(group).values()) / units
        self._weight_a_unit[key] = self._weight(group) / units
        self.advance(group, 0)

    def note(self, text: str) -> None:
        """Something that a user should read."""
        self._tell(self._progress(text))

    def advance(self, group: Sequence[Job], units: int) -> None:
        """A running group made some units of work."""
        key = group[0].key
        self._under_way[key] = self._under_way.get(key, 0.0) + units * self._weight_a_unit[key]
        self._iterations += units * self._iterations_a_unit[key]
        self._told()

    def done_elsewhere(self, jobs: Sequence[Job]) -> None:
        """Another run did these."""
        if jobs:
            self._finished += self._weight(jobs)
            self._tell_results(jobs)
            self._told()

    def _told(self) -> None:
        self._tell(self._progress())

    def _progress(self, note: str = "") -> Progress:
        done = min(self._finished + sum(self._under_way.values()), self._total)
        return Progress(done, self._total, tuple(self._now.values()), note, round(self._iterations), self._forecast)

    def end(self, group: Sequence[Job], results: Sequence[Job], *, made: bool) -> None:
        """A group is over and has given the results of these jobs; whether it counts as done."""
        key = group[0].key
        self._finished += self._weight(group) if made else 0.0
        self._under_way.pop(key)
        self._tell_results(results)
        self._told()
        self.running.pop(key)
        if self.running:  # else what was under way last is shown until something else is
            self._now.pop(key)
