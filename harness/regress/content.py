"""What is compared of a run: facts, verdicts and their numbers, fingerprints. Reads the store."""

from collections.abc import Callable

from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.stage_row import Table
from harness.jobs.store import Store
from harness.judging import statistics
from harness.judging.conditions import at_words, conditions, select, values, why_without_value
from harness.judging.verdict import Judgement
from harness.observation import Condition
from harness.pipeline.outcome import Outcome
from harness.pipeline.request import Request
from harness.regress.fingerprints import fingerprints, smoke_numbers
from harness.regress.kinds import kinds
from harness.regress.model import ROUNDING, Content, Judged, Number
from harness.regress.spec_digest import compared_replicates
from harness.schema.claims import FirstWithin, LastWithin, LessThan
from harness.stages import products


def content(request: Request, outcome: Outcome, store: Store, small: Plan) -> Content:
    """Everything of a verified spec that is compared.

    Args:
        request: the spec with its plan.
        outcome: what became of it.
        store: with the results.
        small: the plan of its smoke run, whose results are in the store too.
    """
    setting = request.setting
    every = kinds(request.plan.jobs)
    labels: dict[str, set[str]] = {}
    for kind in every.values():
        labels.setdefault(kind.label, set()).add(kind.digest)
    return Content(
        initialisations=setting.replicates.initialisations,
        first_seed=setting.replicates.first_seed,
        facts=setting.facts,
        setting={**outcome.setting, "replicates": compared_replicates(outcome.setting["replicates"])},
        kinds={label: tuple(sorted(digests)) for label, digests in sorted(labels.items())},
        claims={
            judgement.claim.id: _judged(request, judgement)
            for judgement in outcome.judgements
            if judgement.check is not None
        },
        numbers={**_claimed(request, outcome, store), **fingerprints(request.plan.jobs, every, store)},
        rehearsal=smoke_numbers(small.jobs, kinds(small.jobs), store),
    )


def _judged(request: Request, judgement: Judgement) -> Judged:
    assert judgement.check is not None
    expect, estimate = judgement.check.expect, judgement.estimate
    crossing = None
    if estimate is not None and estimate.n > 1 and isinstance(expect, FirstWithin | LastWithin):
        crossing = "first" if isinstance(expect, FirstWithin) else "last"
    return Judged.model_validate(
        {
            "verdict": judgement.verdict.value,
            "in_order": judgement.as_expected,
            "crossing": crossing,
            "low": estimate.low if estimate is not None and crossing else None,
            "high": estimate.high if estimate is not None and crossing else None,
            "number": None if isinstance(expect, FirstWithin | LastWithin) else _names(request, judgement)[0],
        }
    )


def _conditions(request: Request, judgement: Judgement) -> list[dict[str, Condition]]:
    assert judgement.check is not None
    protocol, setting = request.protocol, request.setting
    quantity = protocol.quantities[judgement.claim.quantity]
    defaults, axes = protocol.defaults(setting), protocol.axes(setting)
    return conditions(judgement.claim, judgement.check, quantity, defaults, axes)


def _names(request: Request, judgement: Judgement) -> list[str]:
    """Names of the numbers that a claim is about: one, or the points of the axis that it searches."""
    assert judgement.check is not None
    quantity, asked = judgement.claim.quantity, _conditions(request, judgement)
    if isinstance(judgement.check.expect, LessThan):
        return [f"{quantity}{at_words(asked[0])} less that{at_words(judgement.check.expect.than)}"]
    return [f"{quantity}{at_words(at)}" for at in asked]


def _claimed(request: Request, outcome: Outcome, store: Store) -> dict[str, Number]:
    """The numbers that claims are about. Of a crossing: the quantity at each point of its axis."""
    tables, setting = _tables(request, store), request.setting
    observations = request.protocol.observations(setting, tables)
    numbers: dict[str, Number] = {}
    for judgement in outcome.judgements:
        if judgement.check is None:
            continue
        name = judgement.claim.quantity
        quantity = request.protocol.quantities[name]
        asked, scale = _conditions(request, judgement), quantity.scale
        if why_without_value(observations, name, quantity, asked):
            continue
        samples = [values(select(observations, name, quantity, at)) for at in asked]
        if isinstance(judgement.check.expect, LessThan):
            scale = max(scale, statistics.magnitude(*samples))
            samples = [statistics.differences(*samples)]
        for label, at, sample in zip(_names(request, judgement), asked, samples, strict=False):
            if sample:
                estimate = statistics.estimate(sample, scale)
                assert estimate.value is not None
                step = quantity.resolution(request.protocol.examples(setting, at))
                floor = step or ROUNDING * abs(estimate.value)
                numbers[label] = Number(
                    mean=estimate.value, sd=estimate.sd, n=estimate.n, floor=floor, unit=quantity.unit
                )
    return numbers


def _tables(request: Request, store: Store) -> Callable[[Job], Table | None]:
    held: dict[str, Table] = {}

    def read(job: Job) -> Table | None:
        if job.key not in held and store.has(job):
            held[job.key] = products.read_table(store, job)
        return held.get(job.key)

    return read
