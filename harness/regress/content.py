"""What is compared of a run: facts, verdicts and their numbers, fingerprints. Reads the store."""

import math
from collections.abc import Callable, Sequence

from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.stage_row import Table
from harness.jobs.store import Store
from harness.judging import statistics
from harness.judging.conditions import at_words, conditions, select, values, why_without_value
from harness.judging.decision import RATIO
from harness.judging.estimands import Located, ratios
from harness.judging.statistics import Sample, means_of
from harness.judging.verdict import Judgement
from harness.observation import Condition, Quantity
from harness.pipeline.outcome import Outcome
from harness.pipeline.request import Request
from harness.regress.fingerprints import fingerprints, smoke_numbers
from harness.regress.kinds import kinds
from harness.regress.model import ROUNDING, Content, Judged, Number
from harness.regress.spec_digest import compared_replicates
from harness.schema.claims import Expectation, FirstWithin, LastWithin, LessThan
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
        to = "over" if _by_logarithm(judgement.check.expect) else "less"
        return [f"{quantity}{at_words(asked[0])} {to} that{at_words(judgement.check.expect.than)}"]
    return [f"{quantity}{at_words(at)}" for at in asked]


def _by_logarithm(expect: Expectation) -> bool:
    """Whether a claim is about a factor, whose fresh mean is of logarithms too."""
    return not isinstance(expect, FirstWithin | LastWithin) and expect.estimand == "geometric_mean"


def _claimed(request: Request, outcome: Outcome, store: Store) -> dict[str, Number]:
    """The numbers that claims are about. Of a crossing: the quantity at each point of its axis."""
    tables, setting = _tables(request, store), request.setting
    observations = request.protocol.observations(setting, tables)
    numbers: dict[str, Number | None] = {}
    for judgement in outcome.judgements:
        if judgement.check is None:
            continue
        name = judgement.claim.quantity
        quantity = request.protocol.quantities[name]
        asked = _conditions(request, judgement)
        if why_without_value(observations, name, quantity, asked):
            continue
        samples = [values(select(observations, name, quantity, at)) for at in asked]
        steps = [quantity.resolution(request.protocol.examples(setting, at)) for at in asked]
        of_claim = (_factors if _by_logarithm(judgement.check.expect) else _values)(judgement, quantity, samples, steps)
        numbers |= zip(_names(request, judgement), of_claim, strict=False)
    return {name: number for name, number in numbers.items() if number is not None}


def _values(
    judgement: Judgement, quantity: Quantity, samples: Sequence[Sample], steps: Sequence[float]
) -> list[Number | None]:
    """A number a sample, or that of the differences; None where there are no values."""
    assert judgement.check is not None
    scale = quantity.scale
    if isinstance(judgement.check.expect, LessThan):
        scale = max(scale, statistics.magnitude(*samples))
        samples = [statistics.differences(*samples)]
    return [
        _value(sample, scale, step, quantity.unit) if sample else None
        for sample, step in zip(samples, steps, strict=False)
    ]


def _value(sample: Sample, scale: float, step: float, unit: str) -> Number:
    estimate = statistics.estimate(sample, scale)
    assert estimate.value is not None
    floor = step or ROUNDING * abs(estimate.value)
    return Number(mean=estimate.value, sd=estimate.sd, n=estimate.n, floor=floor, unit=unit)


def _factors(
    judgement: Judgement, quantity: Quantity, samples: Sequence[Sample], steps: Sequence[float]
) -> list[Number | None]:
    """The logarithms of a sample, or of the ratios of two; None where there are none."""
    least = min((mean for sample in samples if sample for mean in means_of(sample).values()), default=0.0)
    if least <= 0 or not all(samples):
        return [None]
    assert judgement.check is not None
    compares = isinstance(judgement.check.expect, LessThan)
    sample = ratios(*samples) if compares else samples[0]
    if not sample:
        return [None]
    located = Located(sample, "geometric_mean", quantity.scale / least, steps[0] / least if compares else steps[0])
    floor, unit = located.least_half_width or ROUNDING, RATIO.unit if compares else quantity.unit
    mean = math.log(located.value)
    return [Number(mean=mean, sd=located.sd, n=located.n, floor=floor, unit=unit, logarithm=True)]


def _tables(request: Request, store: Store) -> Callable[[Job], Table | None]:
    held: dict[str, Table] = {}

    def read(job: Job) -> Table | None:
        if job.key not in held and store.has(job):
            held[job.key] = products.read_table(store, job)
        return held.get(job.key)

    return read
