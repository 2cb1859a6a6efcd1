"""Jobs to do: one deduplicated graph, what of it is missing, which jobs come next. Pure."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush
from itertools import chain

from harness.jobs.job import MAX_FUSED, Job, ancestry

_Place = tuple[int, str]
"""Of a job in the order in which jobs run: minus its height, and its key."""


class _Ready:
    """Jobs that are ready and fuse, by run, in the order in which they run."""

    def __init__(self) -> None:
        self._jobs: dict[str, list[_Place]] = {}
        self._runs: list[tuple[_Place, str]] = []

    def __len__(self) -> int:
        """How many runs."""
        return len(self._runs)

    @property
    def first(self) -> _Place:
        """The first job."""
        return self._runs[0][0]

    def add(self, trajectory: str, place: _Place) -> None:
        """One more job of a run."""
        jobs = self._jobs.setdefault(trajectory, [])
        if jobs and place < jobs[0]:
            del self._runs[bisect_left(self._runs, (jobs[0], trajectory))]
        if not jobs or place < jobs[0]:
            insort(self._runs, (place, trajectory))
        insort(jobs, place)

    def take(self, count: int) -> list[list[_Place]]:
        """Takes the first runs out, so many at most: the jobs of each."""
        taken = [self._jobs.pop(trajectory) for _, trajectory in self._runs[:count]]
        del self._runs[:count]
        return taken


@dataclass(frozen=True)
class Plan:
    """All jobs that some targets need, inputs before the jobs that use them.

    Attributes:
        targets: the jobs whose results are wanted.
        jobs: key -> job, for the targets and everything they rest on.
    """

    targets: Sequence[Job]
    jobs: dict[str, Job]

    @classmethod
    def of(cls, targets: Iterable[Job]) -> "Plan":
        """The plan for these targets."""
        wanted = list(dict.fromkeys(targets))
        return cls(wanted, ancestry(wanted))

    def with_snapshots_of(self, other: "Plan") -> "Plan":
        """This plan, and the snapshots that another one wants of the trainings of this: made on the way."""
        trajectories = {job.trajectory for job in self.jobs.values()}
        return Plan.of([*self.targets, *(job for job in other.jobs.values() if job.trajectory in trajectories)])

    @cached_property
    def heights(self) -> dict[str, int]:
        """Key -> length of the longest chain of jobs that waits for this one."""
        heights = dict.fromkeys(self.jobs, 0)
        for key, job in reversed(self.jobs.items()):
            for needed in job.inputs.values():
                heights[needed.key] = max(heights[needed.key], heights[key] + 1)
        return heights

    def missing(self, have: Callable[[Job], bool]) -> dict[str, Job]:
        """Jobs that must run, in order: those that are wanted, or needed by one that must run, and not there."""
        needed: set[str] = set()
        wanted = {job.key for job in self.targets}
        for key, job in reversed(self.jobs.items()):
            if key in wanted and not have(job):
                needed.add(key)
                wanted.update(given.key for given in job.inputs.values())
        return {key: job for key, job in self.jobs.items() if key in needed}

    def next_group(
        self, missing: dict[str, Job], fuse: Callable[[Job], str | None], limit: int = MAX_FUSED
    ) -> list[Job]:
        """The first of ``groups`` on one device, of at most ``limit`` runs; empty where nothing can run."""
        return next(self.groups(missing, fuse, lambda job: limit), [])

    def groups(
        self,
        missing: Mapping[str, Job],
        fuse: Callable[[Job], str | None],
        limit: Callable[[Job], int],
        devices: int = 1,
    ) -> Iterator[list[Job]]:
        """All that is missing, in the groups and in the order in which they run when nothing breaks.

        On one device each group is a function of what is then missing alone, so that a run that was killed goes on
        with the very groups that it would have made. Work that others wait for longest comes first; a group is filled
        with the ready jobs that fuse with it, up to ``limit`` runs; snapshots of one run count once, and are never
        parted: else the run would be made once more for every part. Several devices share what is ready evenly.

        Args:
            missing: key -> job; inputs of these that are not among them are there.
            fuse: jobs with equal answers run together; those with None run alone, and first.
            limit: how many runs like a job may run together.
            devices: how many groups run at a time.
        """
        waits = {key: {source.key for source in job.inputs.values()} & missing.keys() for key, job in missing.items()}
        users: dict[str, list[str]] = {key: [] for key in missing}
        for key, given in waits.items():
            for needed in given:
                users[needed].append(key)
        alone: list[_Place] = []
        alike: dict[tuple[str, str], _Ready] = {}

        def add(key: str) -> None:
            job = missing[key]
            kind, place = fuse(job), (-self.heights[key], key)
            if kind is None:
                heappush(alone, place)
            else:
                alike.setdefault((job.stage, kind), _Ready()).add(job.trajectory, place)

        for key, given in waits.items():
            if not given:
                add(key)
        while alone or alike:
            if alone:
                groups = [[missing[heappop(alone)[1]]]]
            else:
                kind = min(alike, key=lambda kind: alike[kind].first)
                ready = alike[kind]
                most = limit(missing[ready.first[1]])
                runs = ready.take(most * devices)
                if not ready:
                    del alike[kind]
                size = min(most, -(-len(runs) // devices))
                shares = [sorted(chain(*runs[start : start + size])) for start in range(0, len(runs), size)]
                groups = [[missing[key] for _, key in share] for share in shares]
            for group in groups:
                yield group
                for job in group:
                    for user in users[job.key]:
                        waits[user].discard(job.key)
                        if not waits[user]:
                            add(user)
