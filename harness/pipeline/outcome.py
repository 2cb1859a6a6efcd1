"""Everything that is known after a spec was verified at a scale: what the report shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.figure import Figure
from harness.judging.verdict import Judgement, Verdict
from harness.schema.model import Spec


@dataclass(frozen=True)
class Failure:
    """A job that broke, with what could not be run because of it.

    Attributes:
        job: short name, ``train:1a2b3c...``.
        message: the error, in words.
        lost: how many jobs depended on it.
    """

    job: str
    message: str
    lost: int


@dataclass(frozen=True)
class Cost:
    """What a run took.

    Attributes:
        jobs: needed in all.
        cached: of these, found in the store.
        trainings: training jobs among ``jobs``.
        iterations: optimiser steps of all trainings together, found or run.
        seconds: wall time of this run.
        computed_seconds: wall time that all the jobs took when they were computed, now or earlier.
        disk_bytes: size of the artifacts.
    """

    jobs: int
    cached: int
    trainings: int
    iterations: int
    seconds: float
    computed_seconds: float
    disk_bytes: int


@dataclass(frozen=True)
class Outcome:
    """A verified spec.

    Attributes:
        spec: the claims and settings.
        spec_path: the file, from the working folder if it lies below, else as the user gave it.
        scale: which setting.
        judgements: one a claim, in the spec's order.
        figures: the protocol's.
        departures: every way in which this run departs from the paper: named by the spec or found by the harness.
        provenance: nested plain values: code, environment, hardware, data; shown as it is.
        cost: time and size.
        failures: jobs that broke.
        setting: what was run, with every default written out: ``training``, ``settings`` (of the protocol),
            ``replicates``.
        looks: of a group-sequential plan: what each look decided, why there were no more, what they took; empty where
            the number of initialisations was fixed.
    """

    spec: Spec
    spec_path: str
    scale: str
    judgements: Sequence[Judgement]
    figures: Sequence[Figure]
    departures: Sequence[str]
    provenance: Mapping[str, Any]
    cost: Cost
    failures: Sequence[Failure] = ()
    setting: Mapping[str, Any] = field(default_factory=dict)
    looks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 all claims stand or are what is known of them, 1 some do not (or are undecided), 3 something broke."""
        if self.failures:
            return 3
        judged = [judgement for judgement in self.judgements if judgement.check is not None]
        return 0 if all(judgement.as_expected for judgement in judged) and judged else 1

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """How many claims have each verdict, in the order of ``Verdict``, zeros left out."""
        verdicts = [judgement.verdict for judgement in self.judgements]
        return {verdict: verdicts.count(verdict) for verdict in Verdict if verdict in verdicts}
