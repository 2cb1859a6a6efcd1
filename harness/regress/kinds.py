"""Kinds of jobs: those of a plan that differ only in their seeds are one kind. Pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import BrokenError
from harness.jobs.job import Job, canonical
from harness.jobs.stages import row


@dataclass(frozen=True)
class Kind:
    """What a job is, whichever replicate it belongs to.

    Attributes:
        label: for readers: "train 0it → 1000it, copy, level 3"; where another kind would be called the same, the
            beginning of the digest follows.
        digest: of stage, version, parameters and inputs without their seeds.
        initialisation: the replicate, the seed of the network or noise that the job goes back to; None for none or
            several.
        level: how often the network was pruned.
        streams: random streams that made it another than the first network and its own mask: shuffle, reinit.
    """

    label: str
    digest: str
    initialisation: int | None
    level: int
    streams: tuple[str, ...]


def kinds(jobs: Mapping[str, Job]) -> dict[str, Kind]:
    """Key -> kind.

    Args:
        jobs: key -> job, inputs before the jobs that use them.

    Raises:
        BrokenError: a job without inputs has a seed that does not end in a number, see ``Row.seeds``.
    """
    by_key: dict[str, Kind] = {}
    for key, job in jobs.items():
        by_key[key] = _kind(job, {role: by_key[given.key] for role, given in sorted(job.inputs.items())})
    called: dict[str, set[str]] = {}
    for kind in by_key.values():
        called.setdefault(kind.label, set()).add(kind.digest)
    return {
        key: replace(kind, label=f"{kind.label} [{kind.digest[:6]}]") if len(called[kind.label]) > 1 else kind
        for key, kind in by_key.items()
    }


def _kind(job: Job, inputs: Mapping[str, Kind]) -> Kind:
    about, seeds = row(job.stage), job.seeds
    rest = {name: value for name, value in job.params.items() if name not in seeds}
    streams = {stream for given in inputs.values() for stream in given.streams}
    if "seed" in seeds and _stream(seeds["seed"]):
        streams.add(_stream(seeds["seed"]))
    level = max((given.level for given in inputs.values()), default=0) + (about.role == "pruning")
    described = {
        "stage": job.stage,
        "version": about.version,
        "params": {**rest, **{name: _stream(value) for name, value in seeds.items()}},
        "inputs": {role: given.digest for role, given in inputs.items()},
    }
    return Kind(
        label=_label(job, inputs, level, sorted(streams)),
        digest=hashlib.sha256(canonical(described).encode()).hexdigest()[:16],
        initialisation=_initialisation(job, list(inputs.values())),
        level=level,
        streams=tuple(sorted(streams)),
    )


def _stream(seed: Any) -> str:
    """The name in front of a seed's numbers: "copy" of "copy/3/1"; plain numbers have none."""
    return "" if isinstance(seed, int) else str(seed).split("/")[0]


def _initialisation(job: Job, inputs: Sequence[Kind]) -> int | None:
    if not inputs:
        return next((_number(job.stage, name, seed) for name, seed in job.seeds.items()), None)
    initialisations = {given.initialisation for given in inputs}
    return initialisations.pop() if len(initialisations) == 1 else None


def _number(stage: str, name: str, seed: Any) -> int:
    try:
        return int(str(seed).split("/")[-1])
    except ValueError:
        raise BrokenError(
            f"the stage {stage!r} has a job without inputs whose seed {name} is {seed!r}, which names no replicate: a "
            'seed is a number, or a text that begins with the name of its stream and ends with a number, as "noise/3"'
        ) from None


def _label(job: Job, inputs: Mapping[str, Kind], level: int, streams: Sequence[str]) -> str:
    role = row(job.stage).role
    if role == "initialisation":
        return " ".join([job.stage, *([f"at {job.params['step']}it"] if job.params["step"] else []), *streams])
    if role == "training":
        words = [f"{job.stage} {job.params['start']}it → {job.params['stop']}it", _stream(job.params["order"])]
        words += [f"level {level}"] if level else []
        return ", ".join(word for word in (*words, *streams) if word)
    origins = dict.fromkeys(given.label for role, given in inputs.items() if role != "mask" or len(inputs) == 1)
    return f"{job.stage} of {' and '.join(f'({label})' for label in origins)}" if origins else job.stage
