"""Initialisations are added in looks until each primary claim is decided, or a budget is spent."""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from harness.digits import plain
from harness.errors import RequestError
from harness.jobs.job import training_steps
from harness.jobs.store import Store
from harness.judging.sequential import Look
from harness.judging.verdict import Judgement, Verdict
from harness.pipeline.forecast import Machine, forecast
from harness.pipeline.outcome import Outcome
from harness.pipeline.request import Request
from harness.schema.claims import Claim
from harness.schema.model import Spec

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PATTERN = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(s|min|h|d|trainings?)\s*")


@dataclass(frozen=True)
class Budget:
    """What a command may spend on looks.

    Attributes:
        amount: seconds of wall time, or trainings.
        unit: which of them.
    """

    amount: float
    unit: Literal["seconds", "trainings"]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads "2h", "30min", "90s", "1.5 d" or "500 trainings".

        Raises:
            ValueError: it is none of these, or nothing.
        """
        match = _PATTERN.fullmatch(text)
        if match is None or not float(match[1]) > 0:
            raise ValueError(
                f"{text!r} is no budget: write a time with its unit (30min, 2h) or a number of trainings "
                '("500 trainings")'
            )
        if match[2] in _SECONDS:
            return cls(float(match[1]) * _SECONDS[match[2]], "seconds")
        return cls(float(match[1]), "trainings")

    def words(self, amount: float) -> str:
        """An amount of its unit: "12 trainings", "31 min"."""
        return _trainings(amount) if self.unit == "trainings" else _time(amount)


def _trainings(number: float) -> str:
    return f"{plain(number)} training{'' if number == 1 else 's'}"


def _time(seconds: float) -> str:
    unit = next((unit for unit in ("h", "min") if seconds >= _SECONDS[unit]), "s")
    return f"{plain(seconds / _SECONDS[unit], 3)} {unit}"


@dataclass
class _Spending:
    """What the looks of this command took so far, against the budget."""

    budget: Budget | None
    store: Store
    machine: Callable[[], Machine]
    clock: Callable[[], float]
    trainings: int = 0
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def begin(self, request: Request) -> str:
        """Why a look cannot be afforded; empty where it can, and its trainings are then counted as made."""
        missing = request.plan.missing(self.store.has)
        trainings = len(training_steps(missing.values()))
        if self.budget is not None and missing:
            by_time = self.budget.unit == "seconds"
            needed = forecast(request.plan, self.store.has, self.machine()).seconds if by_time else float(trainings)
            left = self.budget.amount - (self.clock() - self.started if by_time else self.trainings)
            if needed > left:
                return f"it needs about {self.budget.words(needed)}, and {self.budget.words(max(left, 0.0))} are left"
        self.trainings += trainings
        return ""

    @property
    def words(self) -> str:
        """What was spent, and of how much."""
        made = f"{_trainings(self.trainings)} and {_time(self.clock() - self.started)} by this command"
        return made if self.budget is None else f"{made}, of {self.budget.words(self.budget.amount)}"


def primary_claims(spec: Spec, scale: str) -> list[Claim]:
    """The claims of a spec that are to be decided: those it calls primary, or all, that have a check at a scale."""
    checked = [claim for claim in spec.claims if scale in claim.checks]
    return [claim for claim in checked if claim.primary] or checked


def until_decided(
    sizes: tuple[int, ...],
    prepare: Callable[[int], Request],
    verify: Callable[[Request, Sequence[str]], Outcome],
    *,
    budget: Budget | None,
    store: Store,
    machine: Callable[[], Machine],
    refused: Callable[[Request], None] = lambda request: None,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Looks at more and more initialisations; gives the outcome of the last look, with what earlier ones decided.

    A claim has the verdict of the look that first decided it, whether it is primary or not: so no verdict is wrong more
    often than the whole plan allows (``harness.judging.boundaries``), whenever the looks end. They end where no primary
    claim is INCONCLUSIVE, where the next look has no room in the budget, where a job broke, or with the plan.

    Args:
        sizes: initialisations at each look, ascending.
        prepare: so many initialisations -> the request.
        verify: a request, and the ids of claims that are decided -> its outcome.
        budget: what the looks may spend; None: no limit.
        store: where results are found; a look that is all there costs nothing.
        machine: looks at what computes, for the forecast of a look.
        refused: raises RequestError where a request has no room on this machine.
        clock: seconds.

    Raises:
        RequestError: there is no room for the first look.
    """
    spending = _Spending(budget, store, machine, clock)
    looks: list[Outcome] = []
    decided: dict[str, tuple[Look, Judgement]] = {}
    for number, n in enumerate(sizes, start=1):
        look = Look(number, sizes)
        try:
            request = replace(prepare(n), look=look)
            refused(request)
        except RequestError as error:
            if not looks:
                raise
            ended = f"{look.title} is not begun: {error}"
            break
        if why := spending.begin(request):
            ended = f"{look.title} is not begun: {why}"
            if not looks:
                raise RequestError(f"{request.loaded.path}: {ended}: raise --budget, or ask for fewer --replicates")
            break
        outcome = verify(request, list(decided))
        looks.append(outcome)
        for judgement in outcome.judgements:
            if judgement.decided:
                decided.setdefault(judgement.claim.id, (look, judgement))
        if outcome.failures:
            ended = f"jobs broke at {look.title}"
            break
        if not _open(outcome, decided):
            ended = f"every primary claim is decided at {look.title}, or cannot be judged"
            break
    else:
        ended = "the plan has no further look"
    return _last(looks, sizes, decided, {"ended": ended, "spent": spending.words})


def _open(outcome: Outcome, decided: Mapping[str, object]) -> list[str]:
    """Primary claims that more initialisations can decide."""
    verdicts = {judgement.claim.id: judgement.verdict for judgement in outcome.judgements}
    primary = [claim.id for claim in primary_claims(outcome.spec, outcome.scale)]
    return [name for name in primary if name not in decided and verdicts[name] is Verdict.INCONCLUSIVE]


def _last(
    looks: Sequence[Outcome],
    sizes: tuple[int, ...],
    decided: Mapping[str, tuple[Look, Judgement]],
    end: Mapping[str, str],
) -> Outcome:
    """The outcome of the last look, in which claims have the verdict of the look that decided them."""
    outcome, last = looks[-1], Look(len(looks), sizes)
    judgements = [
        _kept(*decided[judgement.claim.id], judgement, last) if judgement.claim.id in decided else judgement
        for judgement in outcome.judgements
    ]
    return replace(outcome, judgements=judgements, looks={**_account(outcome, last, decided), **end})


def _kept(look: Look, judgement: Judgement, now: Judgement, last: Look) -> Judgement:
    """The judgement of the look that decided a claim, with what the last look has, if that is another."""
    if look == last:
        return judgement
    after = f"Decided then; all {last.n} initialisations of {last.title}: {now.verdict}, {now.why}"
    warnings = judgement.warnings
    if now.decided and now.verdict.good is not judgement.verdict.good:
        warnings = (*warnings, f"{last.title} decides otherwise ({now.verdict}): the first decision counts.")
    return replace(judgement, why=f"{judgement.why} {after}", warnings=warnings)


def _account(outcome: Outcome, last: Look, decided: Mapping[str, tuple[Look, Judgement]]) -> Mapping[str, Any]:
    """How many looks there were, and what each decided."""
    when: dict[str, str] = {}
    for number in range(1, last.number + 1):
        look = Look(number, last.sizes)
        names = [name for name, (first, _) in decided.items() if first == look]
        when[f"{look.title}, {look.n} initialisations"] = f"decided {', '.join(names) or 'nothing more'}"
    sizes = ", ".join(map(str, last.sizes))
    return {
        "plan": f"{sizes} initialisations; over all looks a claim errs in at most 5 %, one-sided",
        "primary claims": [claim.id for claim in primary_claims(outcome.spec, outcome.scale)],
        "open": _open(outcome, decided),
        **when,
    }
