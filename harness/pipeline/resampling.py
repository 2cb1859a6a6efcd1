"""Verdicts on rates of a test set, judged again on test sets that are drawn from it: what of their spread is its own.

A rate is a share of examples, or a count. Which examples it counts is told by jobs of their own, asked for only where
test sets are resampled, from the states that are there. Test sets are drawn from these examples with replacement, the
same for all that is measured on it, so that what is compared stays paired. On each one the experiment observes anew
from tables with the rates that they would have there: whatever it derives is resampled, and needs to know nothing of
it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from harness import seeds
from harness.errors import InvariantBroken
from harness.jobs.job import Job
from harness.jobs.plan import Plan
from harness.jobs.stage_row import PERCENT, Table
from harness.jobs.stages import row
from harness.judging.conditions import conditions
from harness.judging.spread import spread
from harness.judging.verdict import Judgement
from harness.measure.marked import unpacked
from harness.observation import Observation, checked
from harness.pipeline.early import tables_of
from harness.pipeline.request import Request
from harness.protocols.common.base import Read
from harness.schema.claims import Check, Claim, FirstWithin, LastWithin

RESAMPLES = 200
"""Test sets that are drawn: the relative error of a standard deviation is 5 %."""

_ROUNDING = 0.003
"""Share of the examples that rounding may turn where other numbers of states are evaluated side by side."""


def resampled(request: Request) -> Request:
    """The request with the jobs that tell one by one what its rates on test sets count."""
    wanted = {key for claim, keys in tables_of(request) if _examples(request, claim) for key in keys}
    one_by_one = {
        key: teller
        for key, job in request.plan.jobs.items()
        if key in wanted and (teller := teller_of(job)) is not None
    }
    return replace(request, plan=Plan.of([*request.plan.targets, *one_by_one.values()]), one_by_one=one_by_one)


def teller_of(job: Job) -> Job | None:
    """The job that tells one by one which test examples a job counts; None where it counts none."""
    counted = row(job.stage).counted
    return None if counted is None else Job(counted.by, job.params, job.inputs)


def with_spreads(
    request: Request,
    read: Read,
    judgements: Sequence[Judgement],
    judge: Callable[[Sequence[Claim], Sequence[Observation]], Sequence[Judgement]],
) -> list[Judgement]:
    """The judgements, those on rates with what of their spread is the initialisations' and what the test set's.

    One of which that cannot be told has a warning that names the reason.

    Args:
        request: whose test sets are resampled.
        read: the tables.
        judgements: on the test sets themselves.
        judge: judges claims by observations, as these were.

    Raises:
        InvariantBroken: what is told one by one is not what was counted.
    """
    examples = {
        judgement.claim.id: number
        for judgement in judgements
        if judgement.estimate is not None and (number := _examples(request, judgement.claim))
    }
    tables = _Resampled(request, read)
    if tables.lacking:
        # Drawn beside what is not drawn, initialisations would not be compared on one test set.
        why = f"of {tables.lacking} of its counts nothing tells which examples they are, as the jobs that do so broke"
        return [_without_spread(one, why) if one.claim.id in examples else one for one in judgements]
    claims = [judgement.claim for judgement in judgements if judgement.claim.id in examples]
    again = _judged_again(request, tables, claims, judge)
    return [
        _with_spread(judgement, again[judgement.claim.id], examples[judgement.claim.id])
        if judgement.claim.id in again
        else judgement
        for judgement in judgements
    ]


def _judged_again(
    request: Request,
    tables: "_Resampled",
    claims: Sequence[Claim],
    judge: Callable[[Sequence[Claim], Sequence[Observation]], Sequence[Judgement]],
) -> Mapping[str, Sequence[Judgement]]:
    """Claim -> its judgements on each of the test sets that are drawn."""
    drawn: dict[str, list[Judgement]] = {claim.id: [] for claim in claims}
    protocol = request.protocol
    asked = {claim.quantity for claim in claims}
    for number in range(RESAMPLES if claims else 0):
        every = protocol.observe(request.setting, tables.read(number))
        some = checked([one for one in every if one.quantity in asked], protocol.quantities)
        for again in judge(claims, some):
            drawn[again.claim.id].append(again)
    return drawn


def _with_spread(judgement: Judgement, again: Sequence[Judgement], examples: int) -> Judgement:
    """A judgement with its spread, or with the reason why it has none."""
    estimates = [one.estimate for one in again if one.estimate is not None]
    if judgement.estimate is not None and len(estimates) == len(again):
        return replace(judgement, spread=spread(judgement.estimate, estimates, examples))
    why = next(one.why for one in again if one.estimate is None)
    lost = len(again) - len(estimates)
    return _without_spread(judgement, f"on {lost} of the {len(again)} test sets that were drawn there is none. {why}")


def _without_spread(judgement: Judgement, why: str) -> Judgement:
    return replace(
        judgement, warnings=(*judgement.warnings, f"What of its spread is the test set's is not told: {why}")
    )


def _examples(request: Request, claim: Claim) -> int | None:
    """Over how many test examples a claim's quantity is a rate; None where it is none."""
    protocol, setting = request.protocol, request.setting
    check = claim.checks.get(request.scale)
    if check is None or isinstance(check.expect, FirstWithin | LastWithin):
        return None
    quantity = protocol.quantities[claim.quantity]
    resolved: Check = protocol.resolve(setting, check)
    asked = conditions(claim, resolved, quantity, protocol.defaults(setting), protocol.axes(setting))
    numbers = [protocol.examples(setting, at) for at in asked if at.get("split") == "test"]
    known = [number for number in numbers if number is not None and quantity.resolution(number)]
    return min(known) if len(known) == len(asked) else None


@dataclass(frozen=True)
class _Resampled:
    """The tables of a request as they would be on test sets that are drawn.

    Attributes:
        request: whose test sets are resampled.
        original: the tables as they are.
    """

    request: Request
    original: Read

    def read(self, number: int) -> Read:
        """The tables on one of the test sets."""

        def read(job: Job) -> Table | None:
            table = self.original(job)
            drawn = self._counted.get(job.key)
            return table if table is None or drawn is None else _with(table, job, drawn[number].tolist())

        return read

    @property
    def lacking(self) -> int:
        """How many tables are there of which nothing tells one by one what they count."""
        told = self.request.one_by_one.items()
        have = [teller for key, teller in told if self.original(self.request.plan.jobs[key]) is not None]
        return sum(self.original(teller) is None for teller in have)

    @cached_property
    def _counted(self) -> Mapping[str, Tensor]:
        """Key -> [resamples, rows of the test set]: what the job's table counts on each one."""
        drawn: dict[tuple[str, int], Tensor] = {}
        counted = {}
        for key, teller in self.request.one_by_one.items():
            job = self.request.plan.jobs[key]
            table, told = self.original(job), self.original(teller)
            if table is None or told is None:
                continue
            marked = _marked(job, table, told)
            place = (job.params["data"]["name"], marked.shape[1])
            if place not in drawn:
                drawn[place] = times_drawn(*place)
            counted[key] = _as_told(job, drawn[place] @ marked.T, marked.shape[1])
        return counted


def times_drawn(dataset: str, examples: int) -> Tensor:
    """How often each test set that is drawn has each example: [RESAMPLES, N], float64; rows sum to N.

    Args:
        dataset: its name, which decides what is drawn, together with the number.
        examples: N.
    """
    indices = [
        (seeds.uniform(seeds.stream("test set", dataset, number), examples) * examples).long()
        for number in range(RESAMPLES)
    ]
    return torch.stack([torch.bincount(index, minlength=examples) for index in indices]).double()


def _marked(job: Job, table: Table, told: Table) -> Tensor:
    """[rows of the test set, N]: which examples each of them counts."""
    examples = told["examples"][0]
    marked = unpacked(told["marked"], examples).double()
    counted = _on_test_set(job, table)
    again = _as_told(job, marked.sum(1), examples).tolist()
    allowed = max(1.0, _ROUNDING * examples) * _step(job, examples) * (1 + 1e-9)
    if len(counted) != len(again) or any(abs(a - b) > allowed for a, b in zip(counted, again, strict=True)):
        raise InvariantBroken(
            f"{job!r} counted {counted} on the test set, but what is told one by one makes {again}: the results in the "
            "store are not of the same states. Run in a fresh --store"
        )
    return marked


def _with(table: Table, job: Job, drawn: Sequence[float]) -> Table:
    """The table with other counts on the test set."""
    column, numbers = _column(job), iter(drawn)
    pairs = zip(table["split"], table[column], strict=True)
    return {**table, column: [next(numbers) if split == "test" else value for split, value in pairs]}


def _on_test_set(job: Job, table: Table) -> list[float]:
    return [value for split, value in zip(table["split"], table[_column(job)], strict=True) if split == "test"]


def _as_told(job: Job, counts: Tensor, examples: int) -> Tensor:
    """Counts in the unit of the job's column."""
    return counts * _step(job, examples)


def _step(job: Job, examples: int) -> float:
    """An example in the unit of the job's column."""
    columns = row(job.stage).columns
    kinds = columns(job.params) if callable(columns) else columns
    return 100 / examples if kinds[_column(job)] == PERCENT else 1.0


def _column(job: Job) -> str:
    counted = row(job.stage).counted
    assert counted is not None, "only what is counted is told one by one"
    return counted.column
