"""A judgement as files have it: the whole record of machine reports, and the row of a metrics file made from it."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from harness.digits import plain
from harness.judging.estimands import NAMES
from harness.judging.evidence import Fresh
from harness.judging.spread import Spread
from harness.judging.statistics import Estimate
from harness.judging.verdict import Judgement, Verdict
from harness.schema.base import Model, Name
from harness.schema.claims import Check, Claim, Estimand, Source

_OF_ESTIMANDS = ("equals", "at_most", "at_least", "less_than")
"""Expectations that name an estimand."""

_DIGITS = 5
"""Significant digits of a row's number that is no count."""


class Form(BaseModel):
    """Strict in what is read; fields that a reader does not need, or does not know yet, are let be."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class JudgementRecord(Form):
    """What became of a claim, in the order in which it is written.

    Attributes:
        id: of the claim, whose primary, sentence, source, quantity and paper_value follow.
        check: at this scale; None where the claim has none.
        expected: the expectation in words.
        verdict: the outcome.
        holds: whether the claim stands.
        in_order: whether that is the verdict to expect; None in reports of versions that did not tell.
        estimate: the measured number; None where there is none.
        unit: of the estimate.
        why: the reason.
        replicates_needed: about how many initialisations would settle it, where that can be said.
        warnings: what weakens it.
        p: the p-value of what was decided; None where there is none, and in reports of versions that did not tell.
        fresh: what as many fresh initialisations would say; likewise.
        by_itself: the verdict of the claim's own test, where Holm left it open; likewise.
        depends_on: fields that the source leaves open, with which the conclusion flips.
        spread: of a rate, what is the initialisations' and what the test set's; not written where that was not asked.
    """

    id: Name
    primary: bool = False
    sentence: str
    source: Source
    quantity: Name
    paper_value: float | None
    check: Check | None
    expected: str
    verdict: Verdict
    holds: bool
    in_order: bool | None = None
    estimate: Estimate | None
    unit: str
    why: str
    replicates_needed: int | None
    warnings: list[str]
    p: float | None = None
    fresh: Fresh | None = None
    by_itself: Verdict | None = None
    depends_on: list[str] = Field(default_factory=list)
    spread: Spread | None = Field(default=None, exclude_if=lambda spread: spread is None)

    @classmethod
    def of(cls, judgement: Judgement) -> "JudgementRecord":
        """The record of a judgement; numbers are as they are, also those that are not finite."""
        claim = judgement.claim
        return cls.model_construct(
            id=claim.id,
            primary=claim.primary,
            sentence=claim.sentence,
            source=claim.source,
            quantity=claim.quantity,
            paper_value=claim.paper_value,
            check=judgement.check,
            expected=judgement.expected,
            verdict=judgement.verdict,
            holds=judgement.verdict.good,
            in_order=judgement.as_expected,
            estimate=judgement.estimate,
            unit=judgement.unit,
            why=judgement.why,
            replicates_needed=judgement.replicates_needed,
            warnings=list(judgement.warnings),
            p=judgement.p,
            fresh=judgement.fresh,
            by_itself=judgement.by_itself,
            depends_on=list(judgement.depends_on),
            spread=judgement.spread,
        )

    def judgement(self, claim: Claim) -> Judgement:
        """The judgement again, of the claim that the report's spec has."""
        return Judgement(
            claim=claim,
            check=self.check,
            verdict=self.verdict,
            estimate=self.estimate,
            unit=self.unit,
            expected=self.expected,
            why=self.why,
            replicates_needed=self.replicates_needed,
            warnings=tuple(self.warnings),
            p=self.p,
            fresh=self.fresh,
            by_itself=self.by_itself,
            depends_on=tuple(self.depends_on),
            spread=self.spread,
        )


def with_estimands(value: Any) -> Any:
    """Plain values of a report in which each expectation names its estimand: until it did, a mean was judged."""
    if isinstance(value, list):
        return [with_estimands(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain_values = {name: with_estimands(item) for name, item in value.items()}
    if value.get("kind") in _OF_ESTIMANDS and "estimand" not in value:
        plain_values["estimand"] = "mean"
    return plain_values


class Row(Model):
    """What became of a claim, in short: the fields of a record that a metrics file has.

    Attributes:
        verdict: the outcome.
        in_order: whether that is the verdict to expect.
        primary: whether the claim is one of the source's main statements.
        value: the measured number; None where there is none.
        low: lower end of its interval, of 95 % but for a median's.
        high: upper end.
        n: initialisations.
        unit: of the numbers.
        estimand: what the value is of the initialisations; None for a crossing, and in files that did not tell.
    """

    verdict: Verdict
    in_order: bool
    primary: bool = False
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: str = ""
    estimand: Estimand | None = None

    @classmethod
    def of(cls, record: JudgementRecord) -> Self:
        """The row of a record; only fields that have a value are set."""
        fields: dict[str, Any] = {"verdict": record.verdict, "in_order": record.in_order}
        fields |= {"primary": True} if record.primary else {}
        if record.estimate is not None:
            numbers = {name: getattr(record.estimate, name) for name in ("value", "low", "high")}
            fields |= {name: _short(number) for name, number in numbers.items() if number is not None}
            fields |= {"n": record.estimate.n, "unit": record.unit}
            if record.estimate.kind != "crossing":
                fields["estimand"] = record.estimate.kind
        return cls(**fields)

    @property
    def words(self) -> str:
        """Verdict and numbers in one line: "FAILS, 2.6 [1.9, 3.3] points, n = 5"."""
        if self.n is None:
            return str(self.verdict)
        value, low, high = ("none" if number is None else plain(number) for number in (self.value, self.low, self.high))
        interval = "" if self.low is None and self.high is None else f" [{low}, {high}]"
        name = "" if self.estimand is None else f"{NAMES[self.estimand]} "
        return f"{self.verdict}, {name}{value}{interval}{' ' if self.unit else ''}{self.unit}, n = {self.n}"


def _short(number: float) -> float:
    """Counts and times as they are, other numbers without the digits that nobody compares."""
    return number if float(number).is_integer() else float(f"{number:.{_DIGITS}g}")
