"""The checkpoint of a group in the making: one file, replaced by one rename, that names the group's jobs."""

import json
import time
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from harness.errors import CorruptArtifact, StoreBroken, write_remedy
from harness.files import put
from harness.job import Job
from harness.plan import Plan
from harness.store import Store

CHECKPOINT_EVERY_S = 5.0
MOST_TIME_SAVING = 0.1
"""Share of a run that may go into checkpoints: those of an exact Hessian can be gigabytes."""

_ABOUT = "about"
_DIGEST_BYTES = 32


class Checkpoint:
    """The state of one group in the making, replaced by one rename; holds the keys of the group's jobs."""

    def __init__(self, store: Store, group: Sequence[Job]) -> None:
        self._keys = [job.key for job in group]
        self._path = store.progress_path(sha256("".join(self._keys).encode()).hexdigest()[:32])
        self._saved_at = self._started_at = time.monotonic()
        self._wait = CHECKPOINT_EVERY_S
        self.elapsed_before = 0.0

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
        self._saved_at = time.monotonic()
        self._wait = max(CHECKPOINT_EVERY_S, (self._saved_at - began) / MOST_TIME_SAVING)

    def load(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]] | None:
        """The checkpoint, if there is one.

        Raises:
            CorruptArtifact: it is damaged.
        """
        found = _read(self._path)
        if found is None:
            return None
        self.elapsed_before = found[1]["elapsed"]
        return found[0], found[1]["notes"]

    def remove(self) -> None:
        """Forgets the checkpoint; its jobs are committed."""
        self._path.unlink(missing_ok=True)


def interrupted(store: Store, plan: Plan) -> list[list[Job]]:
    """Groups of this plan that a killed run left in the making."""
    found = []
    for path in sorted((store.root / "progress").iterdir()):
        try:
            checkpoint = None if path.suffix else _read(path)
        except CorruptArtifact:
            continue  # told when its own group comes up; it may be another plan's
        if checkpoint is None:
            continue
        keys = checkpoint[1]["jobs"]
        if all(store.path(key).exists() for key in keys):
            path.unlink(missing_ok=True)  # killed after the last commit
        elif all(key in plan.jobs for key in keys):
            found.append([plan.jobs[key] for key in keys])
    return found


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


def _encode(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> bytes:
    """Tensors and plain values in one file, its SHA-256 at the end."""
    words = torch.frombuffer(bytearray(json.dumps(about).encode()), dtype=torch.uint8)
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    content = save_tensors({**plain, _ABOUT: words})
    return content + sha256(content).digest()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What ``_encode`` wrote, or None where there is no file (another run may have finished its group)."""
    try:
        whole = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        content, digest = whole[:-_DIGEST_BYTES], whole[-_DIGEST_BYTES:]
        if sha256(content).digest() != digest:
            raise ValueError("its digest does not fit")
        tensors = load_tensors(content)
        return tensors, json.loads(bytes(tensors.pop(_ABOUT).tolist()))
    except (SafetensorError, ValueError, KeyError) as error:
        raise CorruptArtifact(
            f"the checkpoint {path} is corrupt ({error}). Remove the file; its group starts afresh"
        ) from error
