"""The executor: finds or runs each job, groups what fuses, isolates failures, resumes. Only writer of the store."""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from harness import stages
from harness.engine.datasets import Dataset
from harness.errors import BrokenError, CorruptArtifact, HarnessError, StoreBroken, write_remedy
from harness.job import Job, descendants
from harness.plan import Plan
from harness.stages.base import Context, Work
from harness.store import Artifact, Store

CHECKPOINT_EVERY_S = 5.0
MOST_TIME_SAVING = 0.1
"""Share of a run that may go into checkpoints: those of an exact Hessian can be gigabytes."""


@dataclass(frozen=True)
class Progress:
    """How far a run is, in replica-steps of training (other work counts as a few of them).

    Attributes:
        done: units done, those of this run only.
        total: units that this run has to do.
        now: what is running.
    """

    done: int
    total: int
    now: str


@dataclass
class Run:
    """What a run did.

    Attributes:
        failed: key -> the error of a job that broke.
        lost: keys of jobs that could not run because of those.
        executed: keys of the jobs that ran.
        seconds: wall time.
    """

    failed: dict[str, HarnessError] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    executed: set[str] = field(default_factory=set)
    seconds: float = 0.0


def execute(
    plan: Plan,
    store: Store,
    *,
    device: torch.device,
    load_dataset: Callable[[str], Dataset],
    provenance: Mapping[str, Any],
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Run:
    """Runs what is missing of a plan.

    Args:
        plan: the jobs.
        store: where results are found and kept.
        device: where to compute.
        load_dataset: name -> dataset.
        provenance: kept beside every result.
        on_progress: told now and then.

    Returns:
        What happened. A job that broke is listed, and only what rests on it is not run.

    Raises:
        StoreBroken: the store cannot be written, or holds a corrupt artifact that is needed.
    """
    started = time.monotonic()
    run = Run()
    missing = plan.missing(store.has)
    total, done = _cost(missing.values()), 0
    interrupted = _interrupted(store, plan)
    while missing:
        group = _taken_up(interrupted, missing) or plan.next_group(missing, _fuse)
        checkpoint = _Checkpoint(store, group)
        label = f"{group[0].stage} x {len(group)}" if len(group) > 1 else group[0].stage

        def advance(units: int, label: str = label) -> None:
            nonlocal done
            done += units
            on_progress(Progress(done, total, label))

        before = done
        advance(0)
        for job, result, seconds in _run_group(group, store, Context(device, load_dataset, advance, checkpoint)):
            error = _commit(store, job, result, {**provenance, "seconds": seconds, "beside": len(group)})
            if error is None:
                if missing.pop(job.key, None) is not None:
                    run.executed.add(job.key)
            else:
                run.failed[job.key] = error
                lost = descendants(missing, job)
                run.lost |= lost - {job.key}
                for key in lost:
                    missing.pop(key, None)
        checkpoint.remove()
        done = before + _cost(group)
        advance(0)
    run.seconds = time.monotonic() - started
    return run


def _cost(jobs: Iterable[Job]) -> int:
    """Units of work; snapshots of one training count once."""
    units: dict[str, int] = {}
    for job in jobs:
        units[job.lineage] = max(units.get(job.lineage, 0), stages.find(job.stage).cost(job))
    return sum(units.values())


def _fuse(job: Job) -> str | None:
    return stages.find(job.stage).fuse(job)


def _run_group(
    group: Sequence[Job], store: Store, context: Context
) -> list[tuple[Job, Artifact | HarnessError, float]]:
    work = [Work(job, {role: store.read(given) for role, given in job.inputs.items()}) for job in group]
    started = time.monotonic()
    try:
        results = stages.find(group[0].stage).run(work, context)
    except StoreBroken:
        raise
    except HarnessError as error:
        results = [error] * len(group)
    except (torch.OutOfMemoryError, MemoryError) as error:
        words = f"{group[0].stage} of {len(group)} jobs side by side needs more memory than there is ({error})"
        results = [BrokenError(f"{words}: free some, or run on a larger device")] * len(group)
    seconds = (context.checkpoint.elapsed_before + time.monotonic() - started) / len(group)
    return [(job, result, seconds) for job, result in zip(group, results, strict=True)]


def _commit(
    store: Store, job: Job, result: Artifact | HarnessError, provenance: Mapping[str, Any]
) -> HarnessError | None:
    """Writes a result. Gives the job's error, if it has one; the store's own errors are raised."""
    if isinstance(result, HarnessError):
        return result
    try:
        store.write(job, result, provenance)
    except StoreBroken:
        raise
    except HarnessError as error:
        return error
    return None


class _Checkpoint:
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
        """Replaces the checkpoint."""
        began = time.monotonic()
        draft = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            elapsed = self.elapsed_before + time.monotonic() - self._started_at
            about = {"jobs": self._keys, "notes": dict(notes), "elapsed": elapsed}
            draft.write_bytes(_encode(tensors, about))
            os.replace(draft, self._path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StoreBroken(
                f"cannot write the checkpoint {self._path} ({error.strerror}): {write_remedy(self._path, error)}"
                "choose another store with --store, then run the same command again; what was finished is kept"
            ) from error
        self._saved_at = time.monotonic()
        self._wait = max(CHECKPOINT_EVERY_S, (self._saved_at - began) / MOST_TIME_SAVING)

    def load(self) -> tuple[Mapping[str, Tensor], Mapping[str, Any]] | None:
        """The checkpoint, if there is one."""
        found = _read(self._path)
        if found is None:
            return None
        self.elapsed_before = found[1]["elapsed"]
        return found[0], found[1]["notes"]

    def remove(self) -> None:
        """Forgets the checkpoint; its jobs are committed."""
        self._path.unlink(missing_ok=True)


_ABOUT = "about"
_DIGEST_BYTES = 32


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


def _interrupted(store: Store, plan: Plan) -> list[list[Job]]:
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


def _taken_up(interrupted: Sequence[list[Job]], missing: Mapping[str, Job]) -> list[Job] | None:
    """The first interrupted group that is still wanted and has all its inputs."""
    for jobs in interrupted:
        wanted = any(job.key in missing for job in jobs)
        if wanted and not any(given.key in missing for job in jobs for given in job.inputs.values()):
            return jobs
    return None
