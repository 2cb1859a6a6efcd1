"""A job is one replica's piece of work, known by the hash of everything that decides its result."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.jobs.stages import row

MAX_FUSED = 64
"""Replicas that run as one, at most; fewer where memory is scarce."""


def canonical(value: Any) -> str:
    """Canonical JSON: sorted keys, no blanks, no NaN. Equal values give equal text on every machine."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


@dataclass(frozen=True, eq=False)
class Job:
    """``stage`` applied to ``params`` and to the results of ``inputs``.

    Not part of a job, hence of its key: the device, any path, and what ran beside it.

    Attributes:
        stage: name of the stage, see ``harness.jobs.stages``.
        params: plain JSON values, complete: everything that decides the result and is no input.
        inputs: role -> the job whose result plays it.
    """

    stage: str
    params: Mapping[str, Any]
    inputs: Mapping[str, "Job"] = field(default_factory=dict)

    @cached_property
    def _text(self) -> str:
        """The description's canonical text, put together here, as plans have many jobs; once asked for, it stays."""
        inputs = canonical({role: job.key for role, job in self.inputs.items()})
        about = f'"stage":{canonical(self.stage)},"version":{row(self.stage).version}'
        return f'{{"inputs":{inputs},"params":{canonical(dict(self.params))},{about}}}'

    @cached_property
    def description(self) -> dict[str, Any]:
        """What is hashed, and what is stored beside the result and compared on every hit."""
        return dict(json.loads(self._text))

    @cached_property
    def key(self) -> str:
        """SHA-256 of the description, in hex."""
        return hashlib.sha256(self._text.encode()).hexdigest()

    @cached_property
    def trajectory(self) -> str:
        """Equal for jobs that are snapshots of one run, as ``Row.snapshot`` has it: trainings that stop elsewhere."""
        of_snapshot = row(self.stage).snapshot
        own = {name: value for name, value in self.params.items() if name not in of_snapshot}
        return canonical([self.stage, own, {role: job.key for role, job in self.inputs.items()}])

    @property
    def seeds(self) -> dict[str, Any]:
        """Its parameters that name a random stream."""
        return {name: self.params[name] for name in row(self.stage).seeds if name in self.params}

    def __eq__(self, other: object) -> bool:
        """Jobs are equal when their keys are."""
        return isinstance(other, Job) and other.key == self.key

    def __hash__(self) -> int:
        """Hash of the key."""
        return hash(self.key)

    def __repr__(self) -> str:
        """Short form for messages."""
        return f"{self.stage}:{self.key[:12]}"


def at_fork(job: Job) -> bool:
    """Whether a state is one at which copies part, with no step trained since: fresh, a trunk, or trained 0 steps."""
    role = row(job.stage).role
    if role != "training":
        return role == "initialisation"
    return bool(job.params["start"] == job.params["stop"] or job.params["keep_optimiser"])


def training_steps(jobs: Iterable[Job]) -> dict[str, int]:
    """Trajectory -> optimiser steps, of the trainings among some jobs; snapshots of one run count once."""
    steps: dict[str, int] = {}
    for job in jobs:
        if row(job.stage).role == "training":
            steps[job.trajectory] = max(steps.get(job.trajectory, 0), job.params["stop"] - job.params["start"])
    return steps


def ancestry(targets: Iterator[Job] | list[Job]) -> dict[str, Job]:
    """Every job needed for the targets, each once, inputs before the jobs that use them."""
    jobs: dict[str, Job] = {}
    stack: list[tuple[Job, bool]] = [(job, False) for job in reversed(list(targets))]
    while stack:
        job, inputs_done = stack.pop()
        if job.key in jobs:
            continue
        if inputs_done:
            jobs[job.key] = job
        else:
            stack.append((job, True))
            stack.extend((needed, False) for _, needed in sorted(job.inputs.items(), reverse=True))
    return jobs


def descendants(jobs: Mapping[str, Job], root: Job) -> set[str]:
    """Keys of a job and of everything among ``jobs`` (inputs first) that rests on it."""
    keys = {root.key}
    for key, job in jobs.items():
        if any(given.key in keys for given in job.inputs.values()):
            keys.add(key)
    return keys
