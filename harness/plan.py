"""Jobs to do: one deduplicated graph, what of it is missing, which jobs come next. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.job import Job, ancestry

MAX_FUSED = 64
"""Replicas in one group at most; bounds memory."""


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

    def along(self, other: "Plan") -> "Plan":
        """This plan, and the snapshots that another one wants of the trainings of this: made on the way."""
        lineages = {job.lineage for job in self.jobs.values()}
        return Plan.of([*self.targets, *(job for job in other.jobs.values() if job.lineage in lineages)])

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
        """The jobs to run together next.

        A function of what is missing alone, so that a run that was killed goes on with the very groups that it
        would have made. Work that others wait for longest comes first; a group is filled with the ready jobs
        that fuse with it, up to ``limit`` runs; snapshots of one run count once, and are never parted: else the run
        would be made once more for every part.
        """
        ready = [job for job in missing.values() if not any(given.key in missing for given in job.inputs.values())]
        ready.sort(key=lambda job: (fuse(job) is not None, -self.heights[job.key], job.key))
        if not ready:
            return []
        kind = fuse(ready[0])
        if kind is None:
            return [ready[0]]
        alike = [job for job in ready if job.stage == ready[0].stage and fuse(job) == kind]
        runs = set(list(dict.fromkeys(job.lineage for job in alike))[:limit])
        return [job for job in alike if job.lineage in runs]
