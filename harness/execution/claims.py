"""Says to other runs on the same store which trainings and measurements are under way here, so that they do others.

A claim is a file that is renewed while its run lives, and names the lease through which its run writes. Who takes a
claim over takes the lease away first, so a run that was given up writes nothing more. Nothing waits for a run that is
gone.
"""

import secrets
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from enum import Enum
from hashlib import sha256
from pathlib import Path
from types import TracebackType

from harness.errors import StoreBroken, write_remedy
from harness.execution import claimfile
from harness.jobs.job import Job
from harness.jobs.lease import Lease
from harness.jobs.store import Store
from harness.jobs.store_folder import is_checkpoint

PATIENCE_S = 1800.0
"""Without a sign that the others get on; then their work is done here too."""

_CLOCK_READ_EVERY_S = 5.0
_TRIES = 3


class Taken(Enum):
    """How a group was claimed: not at all; where nobody had a claim; or from a run that left it."""

    NOT = "not"
    FREE = "free"
    LEFT = "left"


class Claims:
    """The claims of one run, a file under ``progress/`` for each of its runs under way; given up with the block.

    Attributes:
        notes: sentences that a user should read, and that nobody was told yet.
        holder: of the claim met last that another run holds, in words.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owner = claimfile.Owner.here(secrets.token_hex(16))
        self._held: dict[Path, claimfile.Owner] = {}
        self._leases: dict[Path, Lease] = {}
        self._told: set[str] = set()
        self._clock: tuple[float, float] | None = None
        self._over = threading.Event()
        self._renewing = threading.Thread(target=self._renew, daemon=True)
        self.notes: list[str] = []
        self.holder = ""

    def __enter__(self) -> "Claims":
        """Begins to renew what will be held."""
        self._renewing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives all up."""
        self._over.set()
        self._renewing.join()
        self._give_up(list(self._held))

    def take(self, group: Sequence[Job], *, by_force: bool = False) -> Taken:
        """Claims all of a group, or nothing where another run holds a part of it.

        The files are made in the order of their names, each only where there is none. So of two runs that want the
        same at the same time one gets it all.

        Args:
            group: the jobs.
            by_force: from runs that live, too.
        """
        wanted = [path for path in self._paths(group) if path not in self._held]
        lease = Lease.new(self._store.root)
        if not by_force and any(map(self._is_held, wanted)):
            return Taken.NOT  # nothing was made
        made: list[Path] = []
        how = Taken.FREE
        for path in wanted:
            taken = self._make(path, lease, by_force=by_force)
            if taken is Taken.NOT:
                self._give_up(made)
                return taken
            made.append(path)
            how = taken if taken is Taken.LEFT else how
        return how

    def lease(self, group: Sequence[Job]) -> Lease:
        """The lease on a group that was claimed: one that its claims name, made where it is not there yet.

        Raises:
            StoreBroken: it cannot be made.
        """
        paths = self._paths(group)
        lease = next((self._leases[path] for path in paths if path in self._leases), Lease.new(self._store.root))
        try:
            lease.make()
        except OSError as error:
            raise StoreBroken(
                f"cannot write into the store {self._store.root} ({error.strerror}): "
                f"{write_remedy(self._store.root, error)}choose another with --store, then run the same command again; "
                "what was finished is kept"
            ) from error
        return lease

    def release(self, group: Sequence[Job]) -> None:
        """The group is done with; its results are committed."""
        self._give_up(self._paths(group))

    def sweep(self, jobs: Sequence[Job]) -> None:
        """Removes what killed runs left on jobs that are done: a claim whose run ended right after its commit."""
        there = {path for path, _ in claimfile.all_in(self._store.progress_path("_").parent)}
        for path in there.intersection(self._paths(jobs)) if there else ():
            with suppress(StoreBroken):  # it holds up nobody
                claimfile.remove(path)

    def _paths(self, group: Sequence[Job]) -> list[Path]:
        names = {sha256(job.trajectory.encode()).hexdigest()[:32] for job in group}
        return [self._store.progress_path(f"{name}.claim") for name in sorted(names)]

    def _is_held(self, path: Path) -> bool:
        """Whether another run that lives has the claim."""
        try:
            seen = claimfile.look(path)
        except OSError:
            return False
        if seen.wrong or claimfile.gone(seen, self._now):
            return False
        self.holder = seen.words
        return True

    def _make(self, path: Path, lease: Lease, *, by_force: bool) -> Taken:
        """Makes one claim. One that cannot be written counts as made, too: the store tells what is wrong."""
        how, owner = Taken.FREE, self._owner.model_copy(update={"lease": lease.name})
        self._leases[path] = lease
        for _ in range(_TRIES):
            try:
                claimfile.make(path, owner)
                self._held[path] = owner
                return how
            except FileExistsError:
                pass
            except OSError:
                return how
            try:
                if not self._clear(path, by_force=by_force):
                    return Taken.NOT
            except OSError as error:
                self._tell(
                    f"{path}, where a run claims its work, is none and cannot be removed ({error.strerror}): move it "
                    "away; until then other runs on this store may do the same work",
                    str(path),
                )
                return how
            how = Taken.LEFT
        return Taken.NOT

    def _clear(self, path: Path, *, by_force: bool) -> bool:
        """Removes the claim of another run that is gone, or what is none; whether it did."""
        try:
            seen = claimfile.look(path)
        except FileNotFoundError:
            return True
        why = claimfile.gone(seen, self._now)
        if not (seen.wrong or why or by_force):
            self.holder = seen.words
            return False
        if not claimfile.take_away(path, seen):
            return False
        if seen.wrong:
            self._tell(f"the claim {path} {seen.wrong}: it is removed, and its work is done here", str(path))
        else:
            why = why or f"{seen.words} has shown no progress for {PATIENCE_S / 60:.0f} min"
            self._tell(f"{why}: what it had under way on this store is taken up here", seen.words)
        return True

    def _tell(self, note: str, once: str) -> None:
        if once not in self._told:
            self._told.add(once)
            self.notes.append(note)

    def _now(self) -> float:
        """The time by the store's clock, asked for now and then."""
        here = time.monotonic()
        if self._clock is None or here - self._clock[0] > _CLOCK_READ_EVERY_S:
            self._clock = here, claimfile.clock(self._store.root / "progress")
        return self._clock[1] + here - self._clock[0]

    def _give_up(self, paths: Iterable[Path]) -> None:
        for path in paths:
            lease, owner = self._leases.pop(path, None), self._held.pop(path, None)
            if lease is not None and lease not in self._leases.values():
                with suppress(OSError):  # it is swept
                    lease.revoke()
            if owner is not None and not claimfile.give_up(path, owner):
                self._tell_of_loss()

    def _renew(self) -> None:
        while not self._over.wait(claimfile.RENEWED_EVERY_S):
            for path, owner in self._held.copy().items():
                with suppress(OSError):
                    if claimfile.renew(path, owner):
                        self._renew_lease(path)
                    elif self._held.pop(path, None):
                        self._tell_of_loss()

    def _renew_lease(self, path: Path) -> None:
        lease = self._leases.get(path)
        if lease is not None:
            lease.renew()

    def _tell_of_loss(self) -> None:
        self._tell(
            "this run stood still for so long that another run on this store took up what it had under way: that is "
            "left to the other run",
            "lost",
        )


class Patience:
    """With the other runs on a store, while there is nothing to do but to wait for them."""

    def __init__(self, store: Store) -> None:
        self._folder = store.root / "progress"
        self._sign: object = None
        self._since = 0.0

    def is_over(self, missing: int) -> bool:
        """Whether for long there was no sign of progress: a result, or a checkpoint.

        Args:
            missing: how many results are not there.
        """
        sign = missing, frozenset(self._checkpoints())
        now = time.monotonic()
        if sign != self._sign:
            self._sign, self._since = sign, now
        return now - self._since > PATIENCE_S

    def _checkpoints(self) -> Iterable[tuple[str, int]]:
        with suppress(OSError):
            for path in filter(is_checkpoint, self._folder.iterdir()):
                with suppress(FileNotFoundError):
                    yield path.name, path.stat().st_mtime_ns
