"""Runs one group of jobs on one device, in this process, and commits its results."""

import contextlib
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from harness import stages
from harness.engine.data.dataset import Dataset
from harness.engine.device import give_back_freed_memory, is_out_of_memory
from harness.engine.kernels import choice
from harness.errors import BrokenError, HarnessError, InvariantBroken, LeaseLost, StoreBroken
from harness.execution.checkpoint import Checkpoint
from harness.jobs.job import Job
from harness.jobs.lease import Attempt
from harness.jobs.provenance import describe
from harness.jobs.store import Artifact, Store
from harness.stages import products
from harness.stages.base import Context, Work

_LOOK_EVERY_S = 2.0
"""Whether the group was given to another: no work is done for nothing for longer."""
_MISFITS = (LookupError, TypeError, ValueError, AttributeError, RuntimeError)
"""What comes of tensors and values of another form than a stage keeps."""


@dataclass(frozen=True)
class Finished:
    """What came of a group.

    Attributes:
        errors: key -> error, of the jobs that broke; the others' results are in the store.
        too_large: whether all broke because the device has too little memory for so many side by side.
        notes: sentences that a user should read though nothing broke.
        given_up: whether another has the group now: nothing broke, and nothing more will come of it here.
    """

    errors: Mapping[str, HarnessError] = field(default_factory=dict)
    too_large: bool = False
    notes: Sequence[str] = ()
    given_up: bool = False


class Runner:
    """Runs groups on one device, in the process that it is made in.

    Attributes:
        store: where results are found and kept.
        device: where to compute.
        load_dataset: name -> dataset.
        provenance: of this process as it is now: kept beside every result.
    """

    def __init__(self, store: Store, device: torch.device, load_dataset: Callable[[str], Dataset]) -> None:
        self.store, self.device, self.load_dataset = store, device, load_dataset
        hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
        self.provenance: Mapping[str, Any] = {
            **describe(str(device), torch.get_num_threads(), hardware),
            "small_networks": choice.told(device),
        }

    def run(self, group: Sequence[Job], advance: Callable[[int], None], attempt: Attempt | None = None) -> Finished:
        """Runs a group from its checkpoint, if it has one, and commits its results.

        Args:
            group: jobs that may run as one.
            advance: is told units of work as they are done.
            attempt: through which all is written; once it is given up the group ends here. Left out, nobody else can
                have the group.

        Raises:
            StoreBroken: the store cannot be written, or holds a corrupt artifact that is needed.
        """
        if attempt is None:
            return self._run(group, advance, self.store)
        try:
            attempt.require()
            return self._run(group, _watching(attempt, advance), self.store.through(attempt))
        except LeaseLost:
            return Finished(given_up=True)

    def _run(self, group: Sequence[Job], advance: Callable[[int], None], store: Store) -> Finished:
        notes: list[str] = []
        checkpoint = Checkpoint(store, group, notes.append)
        work = [
            Work(job, {role: products.read(self.store, given) for role, given in job.inputs.items()}) for job in group
        ]
        started, processor = time.monotonic(), time.process_time()
        too_large = False
        results: Sequence[Artifact | HarnessError]
        try:
            results = self._results(group, work, Context(self.device, self.load_dataset, advance, checkpoint))
        except StoreBroken:
            raise
        except HarnessError as error:
            results = [error] * len(group)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            words = f"{group[0].stage} of {len(group)} jobs side by side needs more memory than there is ({error})"
            results = [BrokenError(f"{words}: free some, or run on a larger device")] * len(group)
            too_large = True
        seconds = (checkpoint.elapsed_before + time.monotonic() - started) / len(group)
        about = {
            **self.provenance,
            "seconds": seconds,
            "processor_seconds": self._processor_seconds(processor, checkpoint, len(group)),
            "beside": len(group),
        }
        told = {job.key: _commit(store, job, result, about) for job, result in zip(group, results, strict=True)}
        checkpoint.remove()
        if too_large:
            give_back()
        return Finished({key: error for key, error in told.items() if error is not None}, too_large, notes)

    def _processor_seconds(self, before: float, checkpoint: Checkpoint, jobs: int) -> float | None:
        """Of each job, where that says what it costs; see ``provenance.Made``."""
        if self.device.type != "cpu" or torch.get_num_threads() != 1 or checkpoint.elapsed_before:
            return None
        return (time.process_time() - before) / jobs

    def _results(
        self, group: Sequence[Job], work: Sequence[Work], context: Context
    ) -> Sequence[Artifact | HarnessError]:
        """What the stage gives; a second time, from the start, where it cannot take up the checkpoint's values."""
        stage = stages.find(group[0].stage)
        try:
            return stage.run(work, context)
        except _MISFITS as error:
            if not isinstance(context.checkpoint, Checkpoint) or not context.checkpoint.resumed:
                raise
            if isinstance(error, RuntimeError | MemoryError) and is_out_of_memory(error):
                raise
            context.checkpoint.discard(ValueError(f"does not hold what {group[0].stage} keeps ({error!r})"))
        return stage.run(work, context)


def _commit(
    store: Store, job: Job, result: Artifact | HarnessError, provenance: Mapping[str, Any]
) -> HarnessError | None:
    """Writes a result. Gives the job's error, if it has one; the store's own errors are raised."""
    if isinstance(result, HarnessError):
        return result
    problem = products.wrong_with(job, result)
    if problem:
        return InvariantBroken(f"the result of {job!r} {problem}: its stage is not what harness/stages declares")
    try:
        store.write(job, result, provenance)
    except StoreBroken:
        raise
    except HarnessError as error:
        return error
    return None


def _watching(attempt: Attempt, advance: Callable[[int], None]) -> Callable[[int], None]:
    """Tells of units of work, and looks now and then whether the attempt was given up: then it raises LeaseLost."""
    looked = time.monotonic()

    def told(units: int) -> None:
        nonlocal looked
        if time.monotonic() - looked >= _LOOK_EVERY_S:
            attempt.require()
            looked = time.monotonic()
        advance(units)

    return told


def give_back() -> None:
    """Gives back freed memory: of a group that did not fit, so that its halves find it free, or of an earlier plan."""
    gc.collect()
    give_back_freed_memory()
    if torch.cuda.is_initialized():
        with contextlib.suppress(RuntimeError):  # until torch 2.12 an allocator that saw a recording fail refuses
            torch.cuda.empty_cache()
