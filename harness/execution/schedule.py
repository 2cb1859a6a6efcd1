"""Which groups of a plan's missing jobs run, and in which order, in the slots of a backend."""

import json
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256

from harness import stages
from harness.execution.backends.base import Slot
from harness.execution.checkpoint import Tell, checkpoint_path, interrupted, put_progress, read_groups, remove
from harness.execution.claims import Claims, Taken
from harness.jobs.job import MAX_FUSED, Job, canonical, descendants
from harness.jobs.plan import Plan
from harness.jobs.store import Store

MOST_MEMORY = 0.8
"""Share of the free memory that a group may take, as the forecast of a replica's memory is rough."""


LOOK_EVERY_S = 0.5
"""After what other runs on the same store have under way."""


def fuse(job: Job) -> str | None:
    """Jobs with equal answers may run as one; None runs alone."""
    return stages.find(job.stage).fuse(job)


def fitting(job: Job, free: float, device: str) -> int:
    """How many replicas like a job run side by side in so many free bytes: 1 at least, ``MAX_FUSED`` at most.

    Args:
        job: one of them.
        free: of a device.
        device: its type, ``cpu`` or ``cuda``.
    """
    effort, room = stages.find(job.stage).effort(job), MOST_MEMORY * free
    return max((count for count in range(1, MAX_FUSED + 1) if effort.memory(count, device) <= room), default=1)


def cost(jobs: Sequence[Job]) -> int:
    """Units of work; snapshots of one training count once."""
    units: dict[str, int] = {}
    for job in jobs:
        units[job.trajectory] = max(units.get(job.trajectory, 0), stages.find(job.stage).cost(job))
    return sum(units.values())


class Schedule:
    """The groups still to run. Kept in a file while the run lasts, so that a killed one goes on with the same groups.

    On the CPU a small network's bits may depend on what ran beside it, and the groups depend on the free memory, on how
    many devices there are, and on which groups turned out too large: none of these need be the same at the next start.

    Attributes:
        missing: key -> job, for what is not done.
        done_elsewhere: jobs that another run did meanwhile.
        blocked: whether what could run now is under way in another run on the same store.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        slots: Sequence[Slot],
        free: float,
        tell: Tell = lambda note: None,
        claims: Claims | None = None,
    ) -> None:
        """Plans the groups, or takes up those of a killed run of the same plan on the same kind of device.

        Args:
            plan: all jobs.
            store: where results are found.
            slots: of the backend, one for each group that may run at a time.
            free: bytes that each of them has.
            tell: is told of what was damaged and is removed.
            claims: of this run, where others may work on the same store.

        Raises:
            StoreBroken: the store cannot be written.
        """
        self.missing = plan.missing(store.has)
        self.done_elsewhere: list[Job] = []
        self.blocked = False
        self._store, self._claims = store, claims
        self._lost: set[str] = set()
        self._running: list[Sequence[Job]] = []
        self._stalled, self._look_again = False, 0.0
        name = sha256(canonical([slots[0].kind, [job.key for job in plan.targets]]).encode()).hexdigest()
        self._path = store.progress_path(name[:32]).with_suffix(".json")
        begun = {tuple(job.key for job in group): group for group in interrupted(store, plan, tell)}
        begun |= {tuple(job.key for job in group): group for group in self._kept(plan, tell)}
        known = [group for group in begun.values() if self._wanted(group)]
        taken = {job.key for group in known for job in group}
        rest = {key: job for key, job in self.missing.items() if key not in taken}
        kind = slots[0].kind
        self._pending = [*known, *plan.groups(rest, fuse, lambda job: fitting(job, free, kind), len(slots))]
        if self._pending:
            self._write()

    def next(self, *, by_force: bool = False) -> list[Job] | None:
        """The first group whose inputs are all there and that no other run has; it runs until it is ``finished``.

        Args:
            by_force: also one that another run has.

        Returns:
            The group without what another run has committed meanwhile; None where there is none for now.
        """
        if self._stalled or (self.blocked and not by_force and time.monotonic() < self._look_again):
            return None
        self.blocked = False
        running = {job.key for group in self._running for job in group}
        place = 0
        while place < len(self._pending):
            whole = self._pending[place]
            if not self._wanted(whole):
                del self._pending[place]
                continue
            group = [job for job in whole if job.key not in self._lost]
            waits = any(given.key in self.missing for job in group for given in job.inputs.values())
            if waits or not running.isdisjoint(job.key for job in group):
                place += 1
                continue
            taken = Taken.FREE if self._claims is None else self._claims.take(group, by_force=by_force)
            if taken is Taken.NOT:
                self.blocked = True
                place += 1
                continue
            del self._pending[place]
            group = self._without_done(group, taken)
            if group:
                self._running.append(group)
                return group
            place = 0  # what waited for these may be ready
        self._stalled = not self.blocked  # until a group is finished
        self._look_again = time.monotonic() + LOOK_EVERY_S
        return None

    def _without_done(self, group: list[Job], taken: Taken) -> list[Job]:
        """A group without what another run has committed meanwhile.

        The whole of it where a run that is gone had begun it: so it ends with the very bits that it would have had.
        """
        done = {job.key: job for job in group if job.key in self.missing and self._store.has(job)}
        for key in done:
            del self.missing[key]
        self.done_elsewhere += done.values()
        left = [job for job in group if job.key not in done]
        wanted = self._wanted(left)
        if not done or (wanted and (taken is Taken.LEFT or checkpoint_path(self._store, group).exists())):
            return group
        if self._claims is not None:
            held = {job.trajectory for job in left} if wanted else set()
            self._claims.release([job for job in group if job.trajectory not in held])
        return left if wanted else []

    def finished(self, group: Sequence[Job]) -> None:
        """The group runs no longer."""
        self._running.remove(group)
        self._stalled, self._look_again = False, 0.0
        if self._claims is not None:
            self._claims.release(group)

    def put_back(self, group: Sequence[Job]) -> None:
        """A group that is no longer ours to write runs again, unless another run gives its results."""
        self._pending.insert(0, list(group))

    def lose(self, job: Job) -> set[str]:
        """A job broke: it and what rests on it will not run. Their keys."""
        lost = descendants(self.missing, job)
        for key in lost:
            self.missing.pop(key, None)
        self._lost |= lost
        return lost

    def part(self, group: Sequence[Job]) -> bool:
        """A group was too large: it, and the others of its kind, will run in groups of half its runs.

        Returns:
            Whether it could be parted; a single run cannot.
        """
        runs = len({job.trajectory for job in group})
        if runs == 1:
            return False
        kind = group[0].stage, fuse(group[0])
        parted: list[list[Job]] = []
        for waiting in [list(group), *self._pending]:
            alike = (waiting[0].stage, fuse(waiting[0])) == kind
            parted += list(_parts(waiting, -(-runs // 2))) if alike else [waiting]
        self._pending = parted
        self._write()
        return True

    def remove(self) -> None:
        """Forgets the groups; the run is over."""
        self._path.unlink(missing_ok=True)

    def _wanted(self, group: Sequence[Job]) -> bool:
        return any(job.key in self.missing for job in group)

    def _kept(self, plan: Plan, tell: Tell) -> list[list[Job]]:
        """Groups that a killed run had planned; none where the file is absent, damaged, or of another plan."""
        try:
            groups = read_groups(self._path)
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            remove(self._path)
            words = error.strerror if isinstance(error, OSError) else error
            tell(f"the schedule {self._path} {words}: it is removed, and the groups are made anew")
            return []
        known = all(key in plan.jobs for group in groups for key in group)
        return [[plan.jobs[key] for key in group] for group in groups] if known else []

    def _write(self) -> None:
        groups = [[job.key for job in group] for group in (*self._running, *self._pending)]
        put_progress(self._path, json.dumps(groups).encode())


def _parts(group: Sequence[Job], runs: int) -> Iterator[list[Job]]:
    """A group in parts of at most so many runs; snapshots of one run stay together."""
    trajectories = list(dict.fromkeys(job.trajectory for job in group))
    for start in range(0, len(trajectories), runs):
        chosen = set(trajectories[start : start + runs])
        yield [job for job in group if job.trajectory in chosen]


def label(group: Sequence[Job]) -> str:
    """A group for readers: "train x 3"."""
    return f"{group[0].stage} x {len(group)}" if len(group) > 1 else group[0].stage
