"""What is known of how fast this machine is: a second's measurement, then what jobs took here. Kept for the next run.

Kept in the user's folder for caches, not in a store: a store may be shared between machines.
"""

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness import jsonfile, stages
from harness.engine.compiling import noticed
from harness.engine.kernels import choice
from harness.engine.pace import REFERENCE, Pace, sample
from harness.files import put
from harness.jobs.job import Job
from harness.jobs.provenance import Made, processor
from harness.jobs.store import Store
from harness.stages.base import Effort, network_of

_FORMAT = 2
_FLOPS_CUDA = 6e12
"""Sustained operations a second of a present-day GPU on small networks; not measured by us."""
_LAUNCH_CUDA_S = 2e-6
"""Seconds that a kernel takes at least, in a graph; a guess, see ``stages/train.py``."""
_MULTIPLICATIONS_OF_SAMPLE = 41e6
_RATE_BY_SIZE = 0.37
"""Of ResNet-20, the large sample, and how the rate falls for smaller networks that are computed each by itself: the
thin ResNet, with 1.6e6, has three tenths of it (docs/speed.md)."""
_ALIKE_S = 2.0
"""Of work: with so much of a kind seen, half of what was seen is believed."""
_LATE_S = 600.0
"""Of work: what was seen before fades as more than this is seen."""
_MOST_KEPT = 1 << 20

_Amount = Annotated[float, Field(ge=0)]
_Positive = Annotated[float, Field(gt=0)]


class Seen(BaseModel):
    """Work of a kind that this machine did.

    Attributes:
        expected: seconds that it should have taken.
        taken: seconds that it took.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    expected: _Amount = 0.0
    taken: _Amount = 0.0

    @property
    def factor(self) -> float:
        """What expected seconds are to be multiplied with; 1 where nothing was seen."""
        return (self.taken + _ALIKE_S) / (self.expected + _ALIKE_S)

    def followed_by(self, expected: float, taken: float) -> "Seen":
        """With what was seen now; what was seen before fades."""
        kept = min(1.0, _LATE_S / (self.expected + expected)) if self.expected else 1.0
        return Seen(expected=kept * self.expected + expected, taken=kept * self.taken + taken)


@dataclass
class _Expected:
    """What a run should have taken, of a training with all its snapshots: they are made on the way of the longest.

    Attributes:
        work: seconds of the longest, without launches.
        launches: seconds that its launches take, were they its alone.
        share: of these that are its own; each of the jobs that were computed beside one another has an equal part.
    """

    work: float = 0.0
    launches: float = 0.0
    share: float = 0.0

    def add(self, work: float, launches: float) -> None:
        """One more snapshot."""
        self.work, self.launches = max(self.work, work), max(self.launches, launches)

    @property
    def seconds(self) -> float:
        """Of its share of the group."""
        return self.work + self.share * self.launches


class Calibration(BaseModel):
    """What is known of a machine.

    Attributes:
        small: see ``engine.pace.Pace``.
        large: see there.
        launch: see there.
        seen: kind of work -> what was seen of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    small: _Positive
    large: _Positive
    launch: _Positive
    seen: Mapping[str, Seen] = {}

    @classmethod
    def of(cls, pace: Pace) -> Self:
        """Of a machine that did nothing yet."""
        return cls(small=pace.small, large=pace.large, launch=pace.launch)

    @property
    def slowness(self) -> float:
        """How many times as long Python's part of a run takes as on the reference machine."""
        return self.launch / REFERENCE.launch

    def work(self, job: Job, effort: Effort, device: str) -> float:
        """Seconds of one thread, or of a GPU, without launches.

        Args:
            job: of the work.
            effort: that it takes.
            device: ``cpu`` or ``cuda``.
        """
        return self._work(job, effort, device) * self._seen(job, device).factor

    def launches(self, job: Job, count: float, device: str) -> float:
        """Seconds of so many launches of kernels for a job, and for those that are computed together with it."""
        return self._launches(count, device) * self._seen(job, device).factor

    def known(self, job: Job, device: str) -> bool:
        """Whether enough work of this kind was seen here to go by."""
        return self._seen(job, device).taken >= _ALIKE_S

    def learnt(self, jobs: Sequence[Job], store: Store) -> "Calibration":
        """With what these jobs took, which were all run here just now."""
        expected: dict[str, dict[str, _Expected]] = {}
        taken: dict[str, float] = {}
        for job in jobs:
            made, effort = store.made(job), stages.find(job.stage).effort(job)
            device = made.device.split(":")[0]
            seconds = _worked(made, device)
            if seconds is None:
                continue
            of_kind = kind_of(job, device)
            taken[of_kind] = taken.get(of_kind, 0.0) + seconds
            training = expected.setdefault(of_kind, {}).setdefault(job.trajectory, _Expected())
            training.add(self._work(job, effort, device), self._launches(effort.launches, device))
            training.share = 1.0 if effort.unfused else training.share + 1 / made.beside
        seen = dict(self.seen)
        for of_kind, seconds in taken.items():
            should = sum(training.seconds for training in expected[of_kind].values())
            seen[of_kind] = seen.get(of_kind, Seen()).followed_by(should, seconds)
        return self.model_copy(update={"seen": seen})

    def _work(self, job: Job, effort: Effort, device: str) -> float:
        rate = _FLOPS_CUDA if device == "cuda" else self._rate(job)
        wider = 2.0 if job.params.get("precision") == "fp64" else 1.0
        return wider * effort.operations * effort.slowness / rate

    def _rate(self, job: Job) -> float:
        """Operations a second of one thread."""
        if "network" not in job.params or not (network := network_of(job.params)).unfused:
            return self.small
        smaller = min(1.0, network.multiplications / _MULTIPLICATIONS_OF_SAMPLE)
        return self.large * math.pow(smaller, _RATE_BY_SIZE)

    def _launches(self, count: float, device: str) -> float:
        return count * (_LAUNCH_CUDA_S if device == "cuda" else self.launch)

    def _seen(self, job: Job, device: str) -> Seen:
        return self.seen.get(kind_of(job, device), Seen())


UNMEASURED = Calibration.of(REFERENCE)
"""Of a machine that nothing is known of; the same everywhere, for choices that are to be."""


def kind_of(job: Job, device: str) -> str:
    """Jobs of a kind go at a pace: a stage, on networks of a name and about a size, on a kind of device."""
    if "network" not in job.params:
        return f"{device} {job.stage}"
    size = round(2 * math.log10(max(1, network_of(job.params).multiplications))) / 2
    return f"{device} {job.stage} {job.params['network']['name']} 1e{size}"


def here(compiling: Callable[[], None], folder: Path | None = None) -> Calibration:
    """What is known of this machine; measured now where nothing is kept, which takes a second or two, and kept.

    Args:
        compiling: called before loops are compiled for it, which takes longer, where none are kept.
        folder: where it is kept; left out, the user's folder for caches.
    """
    path = _path(folder)
    with contextlib.suppress(OSError, ValueError, ValidationError):  # absent, or not ours: measured anew
        return Calibration.model_validate_json(json.dumps(jsonfile.read(path, _MOST_KEPT)))
    with noticed(compiling):
        measured = Calibration.of(sample())
    keep(measured, folder)
    return measured


def keep(calibration: Calibration, folder: Path | None = None) -> None:
    """Writes what is known of this machine, where that can be written."""
    path = _path(folder)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, calibration.model_dump_json(indent=1).encode())


def _path(folder: Path | None) -> Path:
    """A file for each machine, and for each set of libraries and features of its processor that computes there."""
    facts = [_FORMAT, processor(), torch.__version__, torch.backends.cpu.get_cpu_capability(), choice.installed()]
    facts.append(torch.cuda.get_device_name() if torch.cuda.is_available() else "")
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return (folder or _caches() / "harness") / f"pace-{name}.json"


def _caches() -> Path:
    """The user's folder for caches; where there is no home, one that is not there, so that nothing is kept."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return Path(os.devnull)


def _worked(made: Made, device: str) -> float | None:
    """Seconds of work that a job took; None where its record does not say, as other work beside it may have taken them.

    Several threads share a job's time, and wait for one another: what they do is not known as well.
    """
    if device == "cuda":
        return made.seconds
    return made.processor_seconds
