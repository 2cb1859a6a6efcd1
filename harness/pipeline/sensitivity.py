"""What becomes of a spec's claims when its open choices are flipped, one at a time on the same seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.execution.backends.base import Backend
from harness.execution.run import Progress
from harness.jobs.store import Store
from harness.judging.multiplicity import after_holm
from harness.judging.sensitivity import Comparison, Side, compare, side, unit_of
from harness.judging.verdict import Judgement
from harness.observation import Observation
from harness.pipeline import accounts
from harness.pipeline.flipping import Flip, Study, digest_of, stages_of
from harness.pipeline.forecast import Machine
from harness.pipeline.outcome import Failure
from harness.pipeline.request import Request, require_data
from harness.pipeline.verify import judged, run_plan
from harness.schema.claims import Claim
from harness.schema.sensitivity import OpenChoice


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
        stages: that gave what both judgements rest on, with their versions.
    """

    choice: OpenChoice
    own_value: Any
    claim: Claim
    own: Judgement
    flipped: Judgement
    comparison: Comparison
    unit: str
    digest: str
    stages: Mapping[str, int]


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
    own, stages = _by_claim(study.own, *judged(study.own, store, run)), stages_of(study.own)
    compared = []
    for flip in study.flips:
        flipped = _by_claim(flip.request, *judged(flip.request, store, run))
        flipped_stages = stages_of(flip.request)
        compared += [
            _compared(study.own, flip, choice, own[name], flipped[name], {**stages[name], **flipped_stages[name]})
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
        for judgement in after_holm(judgements)
        if judgement.check is not None
    }


def _compared(
    request: Request, flip: Flip, choice: OpenChoice, own: Side, flipped: Side, stages: Mapping[str, int]
) -> Compared:
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
        stages=stages,
    )
