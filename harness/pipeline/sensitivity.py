"""Sensitivity: the open choices of a spec flipped one at a time on the same seeds, and what becomes of its claims."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import RequestError
from harness.execution.backends.base import Backend
from harness.execution.run import Progress
from harness.jobs.job import canonical
from harness.jobs.plan import Plan
from harness.jobs.store import Store
from harness.judging.sensitivity import Comparison, Side, compare, side, unit_of
from harness.judging.verdict import Judgement
from harness.observation import Observation
from harness.pipeline import accounts
from harness.pipeline.early import tables_of
from harness.pipeline.forecast import Machine
from harness.pipeline.outcome import Failure
from harness.pipeline.request import Request, prepare, require_data
from harness.pipeline.verify import judged, run_plan
from harness.printable import shown
from harness.schema import flips
from harness.schema.claims import Claim
from harness.schema.load import Loaded
from harness.schema.model import Scale
from harness.schema.sensitivity import OpenChoice

_NOT_COMPARED = ("initialisations", "first_seed")


@dataclass(frozen=True)
class Flip:
    """A field flipped to a value.

    Attributes:
        choices: of the spec: all that flip this field to this value.
        own: what the spec has there.
        request: the flipped spec, with the claims of the choices and the jobs that these need.
    """

    choices: Sequence[OpenChoice]
    own: Any
    request: Request

    @property
    def field(self) -> str:
        """Path within the scale."""
        return self.choices[0].field

    @property
    def value(self) -> Any:
        """What it is flipped to."""
        return self.choices[0].value


@dataclass(frozen=True)
class Study:
    """What is to be compared.

    Attributes:
        own: the spec as it is, with the jobs that the flipped claims need.
        flips: one a field and value.
    """

    own: Request
    flips: Sequence[Flip]

    @property
    def requests(self) -> list[Request]:
        """The spec's own, and the flipped ones."""
        return [self.own, *(flip.request for flip in self.flips)]

    @cached_property
    def plan(self) -> Plan:
        """All of them together, shared jobs once."""
        return Plan.of(target for request in self.requests for target in request.plan.targets)

    @property
    def shared(self) -> int:
        """How many jobs are spared by sharing."""
        return sum(len(request.plan.jobs) for request in self.requests) - len(self.plan.jobs)


@dataclass(frozen=True)
class Compared:
    """A claim with a choice flipped.

    Attributes:
        choice: of the spec.
        own_value: what the spec has in the choice's field.
        claim: that was judged both ways.
        own: its judgement as the spec has it.
        flipped: its judgement with the choice flipped.
        comparison: of the two.
        unit: of the difference and the margin.
        digest: of what decides the comparison, see ``digest_of``.
    """

    choice: OpenChoice
    own_value: Any
    claim: Claim
    own: Judgement
    flipped: Judgement
    comparison: Comparison
    unit: str
    digest: str


@dataclass(frozen=True)
class Result:
    """What came of a study.

    Attributes:
        study: what was compared.
        compared: in the order of the spec's choices.
        failures: jobs that broke.
        seconds: wall time of the run.
        executed: how many jobs ran; the others were found in the store.
    """

    study: Study
    compared: Sequence[Compared]
    failures: Sequence[Failure]
    seconds: float
    executed: int

    @property
    def exit_code(self) -> int:
        """0, whatever hangs on what: these are no claims; 3 where something broke."""
        return 3 if self.failures else 0


def plan_study(
    loaded: Loaded,
    scale: str,
    data_root: Path,
    *,
    only: Sequence[str] = (),
    initialisations: int | None = None,
    first_seed: int | None = None,
) -> Study:
    """Plans a spec and each of its flipped versions; runs nothing and needs no data.

    Args:
        loaded: the spec.
        scale: one of its scales.
        data_root: where imported datasets lie.
        only: fields to flip; all, where none is named.
        initialisations: in place of the spec's.
        first_seed: in place of the spec's.

    Raises:
        RequestError: no such scale or field, or a version that ``prepare`` refuses.
    """
    versions: dict[str, list[OpenChoice]] = {}
    own = prepare(loaded, scale, data_root, initialisations=initialisations, first_seed=first_seed)
    for choice in _choices(loaded, scale, only):
        versions.setdefault(canonical([choice.field, choice.value]), []).append(choice)
    flipped = []
    for choices in versions.values():
        changed, value = _flipped(loaded, scale, choices)
        request = prepare(changed, scale, data_root, initialisations=initialisations, first_seed=first_seed)
        flipped.append(Flip(choices, value, _narrowed(request, {claim.id for claim in changed.spec.claims})))
    judged_claims = {claim.id for flip in flipped for claim in flip.request.loaded.spec.claims}
    return Study(_narrowed(own, judged_claims), flipped)


def _choices(loaded: Loaded, scale: str, only: Sequence[str]) -> list[OpenChoice]:
    here = [choice for choice in loaded.spec.sensitivity if scale in flips.scales_of(choice, loaded.spec)]
    fields = dict.fromkeys(choice.field for choice in here)
    if not here:
        raise RequestError(
            f"{loaded.path}: no open choice is flipped at the scale {scale!r}: add entries to sensitivity "
            "(docs/sensitivity.md), or choose another --scale"
        )
    for field in only:
        if field not in fields:
            raise RequestError(
                f"{loaded.path}: --only {shown(field)}: no open choice of this field at the scale {scale!r}; it has "
                f"{', '.join(fields)}"
            )
    return [choice for choice in here if not only or choice.field in only]


def _flipped(loaded: Loaded, scale: str, choices: Sequence[OpenChoice]) -> tuple[Loaded, Any]:
    """The spec with a field flipped, and what it had there. Loading has found that it may be."""
    chosen, choice = loaded.spec.scales[scale], choices[0]
    own = flips.plain(chosen, loaded.settings[scale])
    values, before = flips.flipped(own, choice), flips.value_at(own, choice)
    settings = type(loaded.settings[scale]).model_validate(values["settings"])
    told = f"{choice.field} is {shown(choice.value)} in place of {shown(before)}"
    changed = Scale.model_validate(values)
    changed = changed.model_copy(update={"departures": (*chosen.departures, told)})
    spec = flips.of(loaded.spec, choices, scale, changed)
    return replace(loaded, spec=spec, settings={**loaded.settings, scale: settings}), before


def _narrowed(request: Request, claims: set[str]) -> Request:
    """A request with the jobs that some of its claims rest on."""
    keys = {key for claim, needed in tables_of(request) if claim.id in claims for key in needed}
    return replace(request, plan=Plan.of(job for job in request.plan.targets if job.key in keys))


def run_study(
    study: Study,
    store: Store,
    *,
    backend: Backend,
    data_root: Path,
    on_progress: Callable[[Progress], None],
    machine: Callable[[], Machine] | None = None,
) -> Result:
    """Runs what is missing, and compares every claim both ways.

    Args:
        study: what is to be compared.
        store: where results are found and kept.
        backend: executes what is missing.
        data_root: where imported datasets lie.
        on_progress: told now and then.
        machine: looks at what computes, see ``run_plan``.

    Raises:
        DataMissing: a dataset is not on this machine.
        BrokenError: the store is broken; failed jobs are no such error, but part of the result.
        InvariantBroken: results are not what they are taken for.
    """
    for request in study.requests:
        require_data(request)
    run = run_plan(study.plan, store, backend=backend, data_root=data_root, on_progress=on_progress, machine=machine)
    own = _by_claim(study.own, *judged(study.own, store, run))
    compared = []
    for flip in study.flips:
        flipped = _by_claim(flip.request, *judged(flip.request, store, run))
        compared += [
            _compared(study.own, flip, choice, own[name], flipped[name])
            for choice in flip.choices
            for name in flipped
            if name in choice.claims
        ]
    order = {id(choice): number for number, choice in enumerate(study.own.loaded.spec.sensitivity)}
    compared.sort(key=lambda row: order[id(row.choice)])
    failures = accounts.failures(study.plan, run)
    return Result(study, compared, failures, run.seconds, len(run.executed))


def _by_claim(
    request: Request, judgements: Sequence[Judgement], observations: Sequence[Observation]
) -> Mapping[str, Side]:
    """Id -> the claim as it was judged, with its samples; claims without a check here are left out."""
    protocol, setting = request.protocol, request.setting
    quantities, defaults, axes = protocol.quantities, protocol.defaults(setting), protocol.axes(setting)
    return {
        judgement.claim.id: side(judgement, observations, quantities[judgement.claim.quantity], defaults, axes)
        for judgement in judgements
        if judgement.check is not None
    }


def _compared(request: Request, flip: Flip, choice: OpenChoice, own: Side, flipped: Side) -> Compared:
    claim = own.judgement.claim
    quantity = request.protocol.quantities[claim.quantity]
    counted = [request.protocol.examples(request.setting, at) for at in own.asked]
    fewest = min((number for number in counted if number is not None), default=None)
    return Compared(
        choice=choice,
        own_value=flip.own,
        claim=claim,
        own=own.judgement,
        flipped=flipped.judgement,
        comparison=compare(own, flipped, choice.margin, quantity, fewest),
        unit=unit_of(own.judgement, quantity),
        digest=digest_of(request.loaded, request.scale, choice, claim),
    )


def digest_of(loaded: Loaded, scale: str, choice: OpenChoice, claim: Claim) -> str:
    """What decides how a comparison comes out, but for the seeds: the setting, the check, the flip and its margin.

    A comparison that was kept with another digest is of another spec, and says nothing of this one.
    """
    values = flips.plain(loaded.spec.scales[scale], loaded.settings[scale])
    values.pop("departures")
    values["replicates"] = {name: n for name, n in values["replicates"].items() if name not in _NOT_COMPARED}
    check = claim.checks[scale].model_dump(mode="json", exclude={"sentence", "known"})
    decides = [loaded.spec.protocol, values, claim.quantity, check, choice.field, choice.value, choice.margin]
    return hashlib.sha256(canonical(decides).encode()).hexdigest()[:16]
