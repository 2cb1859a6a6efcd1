"""The checkpoint of a group in the making: a file, replaced by one rename, that names the group's jobs; and its parts.

What is finished, such as a snapshot of a training that goes on, is written once, into parts: files beside it that are
not written again. So what is saved does not grow with what is finished, but for what is too little for a part yet.

A checkpoint saves time and decides nothing. One that is damaged, or lacks a part, is removed, the user is told, and its
group starts afresh.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

from harness import jsonfile
from harness.errors import StoreBroken, write_remedy
from harness.execution import sealed
from harness.execution.parts import HELD, Parts, parts_of
from harness.files import put
from harness.jobs import store_folder
from harness.jobs.artifact import Hex
from harness.jobs.job import Job
from harness.jobs.lease import Attempt
from harness.jobs.plan import Plan
from harness.jobs.store import Store

CHECKPOINT_EVERY_S = 5.0
MOST_TIME_SAVING = 0.1
"""Share of a run that may go into checkpoints: those of an exact Hessian can be gigabytes."""


Tell = Callable[[str], None]
"""Is told, in a sentence, what a user should know though nothing broke."""


class Checkpoint:
    """The state of one group in the making, replaced by one rename; holds the keys of the group's jobs.

    Attributes:
        elapsed_before: seconds that went into what was loaded.
        resumed: whether the work at hand rests on what was loaded, and has saved nothing since.
    """

    def __init__(self, store: Store, group: Sequence[Job], tell: Tell = lambda note: None) -> None:
        self._keys = [job.key for job in group]
        self._path = checkpoint_path(store, group)
        self._saved_at = self._started_at = time.monotonic()
        self._wait = CHECKPOINT_EVERY_S
        self._tell = tell
        self._attempt = store.attempt
        self._parts = Parts(self._path)
        self.elapsed_before = 0.0
        self.resumed = False

    def due(self) -> bool:
        """Whether the last save is long enough ago: saving takes no more than a tenth of the time."""
        return time.monotonic() - self._saved_at >= self._wait

    def keep(self, tensors: Mapping[str, Tensor]) -> None:
        """Adds tensors that are finished: the next ``save`` writes those that are new."""
        self._parts.add(tensors)

    def save(self, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
        """Replaces the checkpoint, but for what is kept.

        Raises:
            StoreBroken: it cannot be written.
            LeaseLost: another was given its group; its checkpoint is as it was.
        """
        began = time.monotonic()
        elapsed = self.elapsed_before + began - self._started_at
        part = self._parts.take_new()
        if part is not None:
            put_progress(*part, self._attempt)
        about = {"jobs": self._keys, "notes": dict(notes), "elapsed": elapsed, **self._parts.about}
        put_progress(self._path, sealed.encode({**tensors, **self._parts.held}, about), self._attempt)
        self.resumed = False
        self._saved_at = time.monotonic()
        self._wait = max(CHECKPOINT_EVERY_S, (self._saved_at - began) / MOST_TIME_SAVING)

    def load(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]] | None:
        """The checkpoint, with all that is kept; None where there is none, or only a damaged one, which is removed."""
        try:
            tensors, about = _read(self._path)
            if about.jobs != self._keys:
                raise ValueError("is of other jobs")
            kept = self._parts.read(about.parts, about.parts_digest, tensors)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self.discard(error)
            return None
        self.elapsed_before, self.resumed = about.elapsed, True
        tensors.pop(HELD, None)
        return {**tensors, **kept}, about.notes

    def discard(self, error: Exception) -> None:
        """Removes a checkpoint that cannot be taken up, and tells of it.

        Raises:
            StoreBroken: it cannot be removed.
        """
        self.elapsed_before, self.resumed = 0.0, False
        self._parts = Parts(self._path)
        if self._attempt:
            self._attempt.require()
        remove(self._path)
        self._tell(_discarded(self._path, error))

    def remove(self) -> None:
        """Forgets the checkpoint; its jobs are committed.

        Raises:
            LeaseLost: another was given its group, and it stays.
        """
        if self._attempt is None:
            _forget(self._path)
            return
        for file in (self._path, *parts_of(self._path)):
            self._attempt.discard(file)


class _About(BaseModel):
    """What a checkpoint says of itself, beside its tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    jobs: Annotated[list[Hex], Field(min_length=1)]
    notes: dict[str, Any]
    elapsed: Annotated[float, Field(ge=0)]
    parts: Annotated[int, Field(ge=0)] = 0
    parts_digest: str = ""


_GROUPS = TypeAdapter(list[Annotated[list[Hex], Field(min_length=1)]])


def checkpoint_path(store: Store, group: Sequence[Job]) -> Path:
    """Where a group keeps its checkpoint."""
    return store.progress_path(sha256("".join(job.key for job in group).encode()).hexdigest()[:32])


def interrupted(store: Store, plan: Plan, tell: Tell = lambda note: None) -> list[list[Job]]:
    """Groups of this plan that a killed run left in the making; what is damaged is removed.

    Raises:
        StoreBroken: it cannot be removed.
    """
    groups = []
    for path in sorted(filter(store_folder.is_checkpoint, (store.root / "progress").iterdir())):
        try:
            keys = _read(path)[1].jobs
        except FileNotFoundError:
            continue  # another run has finished its group
        except (OSError, ValueError) as error:
            remove(path)
            tell(_discarded(path, error))
            continue
        if all(store.path(key).exists() for key in keys):
            _forget(path)  # killed after the last commit
        elif all(key in plan.jobs for key in keys):
            groups.append([plan.jobs[key] for key in keys])
    return groups


def read_groups(path: Path) -> list[list[str]]:
    """The groups of a run's schedule, as the keys of their jobs.

    Raises:
        OSError: it cannot be read.
        ValueError: it is none; in words that follow the file's name.
    """
    value = jsonfile.read(path)
    try:
        return _GROUPS.validate_python(value, strict=True)
    except ValidationError as error:
        raise ValueError(f"is no schedule ({jsonfile.told(error)})") from None


def check(store: Store) -> Iterator[tuple[Path, str]]:
    """Reads every checkpoint, part and schedule of a store: its file, and what is wrong with it, or nothing."""
    folder = store.root / "progress"
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        try:
            if store_folder.is_checkpoint(path):
                tensors, about = _read(path)
                Parts(path).read(about.parts, about.parts_digest, tensors)
            elif store_folder.is_part(path):
                sealed.decode(sealed.read(path))
            elif store_folder.is_schedule(path):
                read_groups(path)
            else:
                continue
        except FileNotFoundError:
            continue  # a run has finished with it
        except OSError as error:
            yield path, f"cannot be read ({error.strerror})"
        except ValueError as error:
            yield path, str(error)
        else:
            yield path, ""


def remove(path: Path) -> None:
    """Removes a checkpoint with its parts, or a schedule; or what lies at its name: a file, a link, an empty folder.

    Raises:
        StoreBroken: it cannot be removed.
    """
    try:
        for entry in (path, *parts_of(path)):
            entry.rmdir() if entry.is_dir() and not entry.is_symlink() else entry.unlink(missing_ok=True)
    except OSError as error:
        raise StoreBroken(
            f"{path}, where a run keeps its state, is none and cannot be removed ({error.strerror}): "
            f"{write_remedy(path, error)}move it away, and run the same command again"
        ) from error


def put_progress(path: Path, content: bytes, attempt: Attempt | None = None) -> None:
    """``files.put`` for a file of the store's ``progress``, through an attempt if one is given.

    Raises:
        StoreBroken: it cannot be written; what was there before still is.
        LeaseLost: the attempt was given up.
    """
    try:
        if attempt is None:
            put(path, content)
        else:
            with attempt.writing():
                put(path, content, attempt.saves)
    except OSError as error:
        raise StoreBroken(
            f"cannot write the checkpoint {path} ({error.strerror}): {write_remedy(path, error)}"
            "choose another store with --store, then run the same command again; what was finished is kept"
        ) from error


def _discarded(path: Path, error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) else error
    return f"the checkpoint {path} {words}: it is removed, and its group starts afresh"


def _forget(path: Path) -> None:
    """Removes a checkpoint that nobody needs, then its parts: a kill between leaves parts that say nothing."""
    for file in (path, *parts_of(path)):
        file.unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, Tensor], _About]:
    """A checkpoint without its parts.

    Raises:
        OSError: it cannot be read.
        ValueError: it is something else; in words that follow the file's name.
    """
    tensors, words = sealed.decode(sealed.read(path))
    try:
        return tensors, _About.model_validate(words)
    except ValidationError as error:
        raise ValueError(f"does not say what it is of ({jsonfile.told(error)})") from None
