"""The checkpoint of a group in the making: one file, replaced by one rename, that names the group's jobs.

A checkpoint saves time and decides nothing. One that is damaged is removed, the user is told, and its group starts
afresh.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from safetensors.torch import save as save_tensors
from torch import Tensor

from harness import jsonfile
from harness.errors import StoreBroken, write_remedy
from harness.files import put
from harness.jobs import store_folder
from harness.jobs.artifact import Hex, decode_tensors, read_tensors
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.store import Store

CHECKPOINT_EVERY_S = 5.0
MOST_TIME_SAVING = 0.1
"""Share of a run that may go into checkpoints: those of an exact Hessian can be gigabytes."""

_ABOUT = "about"
_DIGEST_BYTES = 32


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
        self.elapsed_before = 0.0
        self.resumed = False

    def due(self) -> bool:
        """Whether the last save is long enough ago: saving takes no more than a tenth of the time."""
        return time.monotonic() - self._saved_at >= self._wait

    def save(self, tensors: Mapping[str, Tensor], notes: Mapping[str, Any]) -> None:
        """Replaces the checkpoint.

        Raises:
            StoreBroken: it cannot be written.
        """
        began = time.monotonic()
        elapsed = self.elapsed_before + began - self._started_at
        about = {"jobs": self._keys, "notes": dict(notes), "elapsed": elapsed}
        put_progress(self._path, _encode(tensors, about))
        self.resumed = False
        self._saved_at = time.monotonic()
        self._wait = max(CHECKPOINT_EVERY_S, (self._saved_at - began) / MOST_TIME_SAVING)

    def load(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]] | None:
        """The checkpoint; None where there is none, or only a damaged one, which is removed."""
        try:
            tensors, about = _read(self._path)
            if about.jobs != self._keys:
                raise ValueError("is of other jobs")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self.discard(error)
            return None
        self.elapsed_before, self.resumed = about.elapsed, True
        return tensors, about.notes

    def discard(self, error: Exception) -> None:
        """Removes a checkpoint that cannot be taken up, and tells of it.

        Raises:
            StoreBroken: it cannot be removed.
        """
        self.elapsed_before, self.resumed = 0.0, False
        remove(self._path)
        self._tell(_discarded(self._path, error))

    def remove(self) -> None:
        """Forgets the checkpoint; its jobs are committed."""
        self._path.unlink(missing_ok=True)


class _About(BaseModel):
    """What a checkpoint says of itself, beside its tensors."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    jobs: Annotated[list[Hex], Field(min_length=1)]
    notes: dict[str, Any]
    elapsed: Annotated[float, Field(ge=0)]


_GROUPS = TypeAdapter(list[Annotated[list[Hex], Field(min_length=1)]])


def checkpoint_path(store: Store, group: Sequence[Job]) -> Path:
    """Where a group keeps its checkpoint."""
    return store.progress_path(sha256("".join(job.key for job in group).encode()).hexdigest()[:32])


def interrupted(store: Store, plan: Plan, tell: Tell = lambda note: None) -> list[list[Job]]:
    """Groups of this plan that a killed run left in the making; what is damaged is removed.

    Raises:
        StoreBroken: it cannot be removed.
    """
    found = []
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
            path.unlink(missing_ok=True)  # killed after the last commit
        elif all(key in plan.jobs for key in keys):
            found.append([plan.jobs[key] for key in keys])
    return found


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
    """Reads every checkpoint and schedule of a store: its file, and what is wrong with it, or nothing."""
    folder = store.root / "progress"
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        try:
            if store_folder.is_checkpoint(path):
                _read(path)
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
    """Removes a checkpoint or a schedule, or what lies at its name: a file, a link or an empty folder.

    Raises:
        StoreBroken: it cannot be removed.
    """
    try:
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    except OSError as error:
        raise StoreBroken(
            f"{path}, where a run keeps its state, is none and cannot be removed ({error.strerror}): "
            f"{write_remedy(path, error)}move it away, and run the same command again"
        ) from error


def put_progress(path: Path, content: bytes) -> None:
    """``files.put`` for a file of the store's ``progress``.

    Raises:
        StoreBroken: it cannot be written; what was there before still is.
    """
    try:
        put(path, content)
    except OSError as error:
        raise StoreBroken(
            f"cannot write the checkpoint {path} ({error.strerror}): {write_remedy(path, error)}"
            "choose another store with --store, then run the same command again; what was finished is kept"
        ) from error


def _discarded(path: Path, error: Exception) -> str:
    words = error.strerror if isinstance(error, OSError) else error
    return f"the checkpoint {path} {words}: it is removed, and its group starts afresh"


def _encode(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> bytes:
    """Tensors and plain values in one file, its SHA-256 at the end."""
    words = torch.frombuffer(bytearray(json.dumps(about).encode()), dtype=torch.uint8)
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    content = save_tensors({**plain, _ABOUT: words})
    return content + sha256(content).digest()


def _read(path: Path) -> tuple[dict[str, Tensor], _About]:
    """What ``_encode`` wrote.

    Raises:
        OSError: it cannot be read.
        ValueError: it is something else; in words that follow the file's name.
    """
    whole = read_tensors(path, beyond=_DIGEST_BYTES)
    content, digest = whole[:-_DIGEST_BYTES], whole[-_DIGEST_BYTES:]
    if sha256(content).digest() != digest:
        raise ValueError("is damaged: its digest does not fit")
    tensors = decode_tensors(content)
    words = tensors.pop(_ABOUT, None)
    if words is None or words.dtype != torch.uint8:
        raise ValueError("does not say what it is of")
    try:
        return tensors, _About.model_validate(jsonfile.parse(words.numpy().tobytes()))
    except ValidationError as error:
        raise ValueError(f"does not say what it is of ({jsonfile.told(error)})") from None
