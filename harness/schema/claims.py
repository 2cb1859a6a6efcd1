"""Claims as data: what a source says, of which quantity, and what is expected of it at each scale."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from harness.schema.base import Count, Line, Many, Margin, Model, Name, Positive, Text, line

_LONGEST_CONDITION = 80


def _word_or_number(value: object) -> object:
    """Checked before the union, whose members would each tell a problem."""
    if not isinstance(value, str):
        if type(value) is not int:
            raise ValueError("should be a word, a duration or an integer (another number as text, in quotes)")
        return value
    if len(value) > _LONGEST_CONDITION:
        raise ValueError(f"should have at most {_LONGEST_CONDITION} characters")
    return line(value)


Condition = Annotated[str | int, BeforeValidator(_word_or_number)]
Conditions = dict[Name, Condition]
"""Axis -> value: ``{arm: imp, rewind: 100it, level: 8}``."""


class Source(Model):
    """Where a claim stands.

    Attributes:
        paper: its title, or a short name of ``harness/schema/papers.yaml`` (``lmc``, ``ep``, ``ciuca``), which reports
            write out.
        place: section, table or figure.
        errata: of the paper, by their names in that file: where it contradicts what the claim says.
    """

    paper: Annotated[str, Field(min_length=1, max_length=300), Line]
    place: Text
    errata: Many[Name] = Field(default=(), exclude_if=lambda errata: not errata)


Estimand = Literal["median", "mean", "geometric_mean"]
"""Of what over initialisations a claim speaks: the typical one, their mean, or that of ratios and norms."""


def _positive(value: float, info: ValidationInfo) -> float:
    """A number that a geometric mean is held against."""
    if info.data.get("estimand") == "geometric_mean" and value <= 0:
        raise ValueError("should be greater than 0, as a geometric mean always is; or choose another estimand")
    return value


class Equals(Model):
    """The estimand of the quantity equals ``value`` within ``margin`` (two one-sided tests)."""

    kind: Literal["equals"]
    estimand: Estimand
    value: Annotated[float, AfterValidator(_positive)]
    margin: Margin

    @field_validator("margin")
    @classmethod
    def _margin_leaves_positive_values(cls, margin: float, info: ValidationInfo) -> float:
        if info.data.get("estimand") == "geometric_mean" and "value" in info.data and margin >= info.data["value"]:
            raise ValueError("should be less than value, as a geometric mean is greater than 0")
        return margin


class AtMost(Model):
    """The estimand of the quantity is no more than ``bound``."""

    kind: Literal["at_most"]
    estimand: Estimand
    bound: Annotated[float, AfterValidator(_positive)]


class AtLeast(Model):
    """The estimand of the quantity is no less than ``bound``."""

    kind: Literal["at_least"]
    estimand: Estimand
    bound: Annotated[float, AfterValidator(_positive)]


class LessThan(Model):
    """The quantity is less than under the conditions ``than`` by at least ``by``, initialisation by initialisation.

    The estimand is that of the differences; of the ratios where it is the geometric mean, which leaves no ``by``.
    ``than`` names only the axes that differ. A negative ``by`` is a margin: no more than that much greater.
    """

    kind: Literal["less_than"]
    estimand: Estimand
    than: Conditions
    by: float = 0.0

    @field_validator("by")
    @classmethod
    def _ratios_have_no_difference(cls, by: float, info: ValidationInfo) -> float:
        if info.data.get("estimand") == "geometric_mean" and by != 0:
            raise ValueError(
                "with the geometric mean ratios are compared, which differ by no amount: leave it out, or choose "
                "another estimand"
            )
        return by


class FirstWithin(Model):
    """The first point of ``axis`` from which the quantity stays at or below ``threshold`` lies in a window."""

    kind: Literal["first_within"]
    axis: Name
    threshold: float
    earliest: Condition
    latest: Condition


class LastWithin(Model):
    """The last point of ``axis`` at which the quantity is at or below ``threshold`` lies in a window."""

    kind: Literal["last_within"]
    axis: Name
    threshold: float
    earliest: Condition
    latest: Condition


Expectation = Annotated[Equals | AtMost | AtLeast | LessThan | FirstWithin | LastWithin, Field(discriminator="kind")]


class Power(Model):
    """A power calculation, made before the run: why a setting is not to decide a claim.

    Attributes:
        effect: how far from the nearest limit of the expectation the estimand is taken to lie, in the unit of the
            quantity; natural logarithms for a geometric mean. Negative on the side where the claim fails.
        sd: standard deviation between initialisations, in the same unit; of the differences for ``less_than``.
        n: initialisations, as many as the scale has.
        power: the probability that the estimand's test, one-sided at 5 %, finds it on that side; see
            ``harness.schema.power``.
    """

    effect: float
    sd: Positive
    n: Count
    power: Annotated[float, Field(ge=0, le=1)]


class KnownVerdict(Model):
    """What is known of a claim at a scale, other than that it stands.

    Attributes:
        verdict: ``fails``: it is wrong (an erratum), or known not to hold at this scale; the run is in order when that
            is found again.
            ``inconclusive``: it is taken to be true, and this setting cannot show it, as ``power`` says beforehand. A
            run that leaves it open, or finds that it stands after all, is in order; one in which it fails is not.
            ``fails_or_inconclusive``: it is taken to be false, and this setting cannot show that. A run in which it
            fails, or that leaves it open, is in order; one in which it stands is not.
        why: the reason, which the report gives.
        power: the calculation, but for ``fails``; reports of versions that did not ask for one have none.
    """

    verdict: Literal["fails", "inconclusive", "fails_or_inconclusive"]
    why: Text
    power: Power | None = None


class Check(Model):
    """A claim at one scale: the conditions of its quantity, and what is expected.

    Attributes:
        sentence: the claim as it is checked at this scale, where it differs from the source's.
        at: axes of the quantity and their values; an axis left out takes the protocol's default.
        expect: the statement that can fail.
        known: what is known of its verdict; left out, the claim is to stand. It changes no verdict, only whether
            a run with this verdict is in order.
    """

    sentence: Text | None = None
    at: Conditions = Field(default_factory=dict)
    expect: Expectation
    known: KnownVerdict | None = None


class Claim(Model):
    """One claim of a source.

    Attributes:
        id: unique in the spec.
        primary: whether it is one of the source's main statements, as its abstract or a headline figure gives them.
        sentence: the claim in words.
        source: where it stands.
        quantity: a quantity of the spec's protocol.
        paper_value: the paper's number for it, in the quantity's unit, where it gives one.
        derivation: the steps that prove or refute the claim on paper, where it is such a claim; the report lists them.
        checks: scale -> what is expected there.
    """

    id: Name
    primary: bool = False
    sentence: Text
    source: Source
    quantity: Name
    paper_value: float | None = None
    derivation: Many[Text] = ()
    checks: Annotated[dict[Name, Check], Field(min_length=1)]

    @model_validator(mode="after")
    def _windows_in_order(self) -> Self:
        for scale, check in self.checks.items():
            expect = check.expect
            if isinstance(expect, FirstWithin | LastWithin) and expect.axis in check.at:
                raise ValueError(f"checks.{scale}: the axis {expect.axis!r} is searched, so it cannot be fixed in at")
        return self
