"""A baseline: what a spec gave at a revision, with the spread that says what is usual."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from harness.schema.base import Count, Many, Model, Name, Text, Version

FAMILY_WISE_ERROR = 0.01
"""Chance that a run of unchanged code with fresh seeds raises any alarm over a number: one alarm in 100 runs is rare
enough that each is looked into. Shared out over all numbers of the run by Bonferroni, whose price is small: Student's
quantile grows slowly."""

ROUNDING = 1e-5
"""Least relative spread of a number that is no rate of images: kernels of other machines add in another order."""

_LARGEST = 1e100
"""Of a number, so that squares and sums of many are numbers too."""

Measured = Annotated[float, Field(ge=-_LARGEST, le=_LARGEST)]
Spread = Annotated[float, Field(ge=0, le=_LARGEST)]
Few = Annotated[Count, Field(le=10**9)]

INITIALISATIONS = 20
"""Of a baseline: from here on the width of the intervals is the fresh run's, not the baseline's (1/20 against 1/5)."""


_PLAIN = ("mean density", "error on", "disagreements on", "mean of ")


def is_plain(name: str) -> bool:
    """Whether a fingerprint is compared as it is, because it may be zero, and not by its logarithm."""
    return name.startswith(_PLAIN)


class Number(Model):
    """A measured number: its mean over initialisations with the spread between them.

    Attributes:
        mean: of the value, or of its natural logarithm.
        sd: standard deviation between initialisations; None with one.
        n: initialisations.
        floor: the least spread to reckon with: what the measurement resolves.
        unit: of the value, as shown.
        logarithm: whether mean, sd and floor are of the logarithm: losses vary by factors.
    """

    mean: Measured
    sd: Spread | None
    n: Few
    floor: Spread = 0.0
    unit: Annotated[str, Field(max_length=40)] = ""
    logarithm: bool = False


class Judged(Model):
    """What became of a claim.

    Attributes:
        verdict: its name.
        in_order: whether it is the one to expect.
        crossing: ``first`` or ``last`` where the claim is about a crossing, whose set is ``low`` to ``high``.
        low: least point that the data allow; None: at no point.
        high: greatest one.
        number: name of the number that the claim is about, if it is about one.
    """

    verdict: Text
    in_order: bool
    crossing: Literal["first", "last"] | None = None
    low: Measured | None = None
    high: Measured | None = None
    number: str | None = None


class Content(Model):
    """Everything of a run that is compared.

    Attributes:
        initialisations: how many.
        first_seed: of the first.
        facts: name -> what must be equal: trainable parameters, digest of the dataset, images.
        setting: the resolved setting, every default written out; without how many initialisations there were.
        kinds: label -> digests of the kinds of jobs called so: the plan without its seeds.
        claims: id -> verdict.
        numbers: name -> number.
        rehearsal: name -> number (its logarithm, unless ``is_plain``) of the smoke run, the experiment in small, in the
            order in which they come about. The name is that of the field in committed files.
    """

    initialisations: Few
    first_seed: Annotated[int, Field(ge=0)]
    facts: dict[str, int | str]
    setting: dict[str, Any]
    kinds: dict[str, Many[str]]
    claims: dict[Name, Judged]
    numbers: dict[str, Number]
    rehearsal: dict[str, Measured]


class Entry(Model):
    """Why a baseline was written.

    Attributes:
        revision: of the code that measured it.
        modified: whether the code differed from that revision.
        date: of the measurement, YYYY-MM-DD.
        reason: in words.
    """

    revision: Annotated[str, Field(min_length=1, max_length=80)]
    modified: bool
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$")]
    reason: Text


class Baseline(Model):
    """A file of ``reports/baseline``.

    Attributes:
        schema_version: of this format.
        spec: the spec's id.
        path: the spec's file, from where the command is run.
        scale: which setting.
        history: all its versions, the present one last.
        written: what the spec's file says of this scale; another text is another spec.
        content: what was measured.
    """

    schema_version: Version
    spec: Name
    path: Text
    scale: Name
    history: Annotated[Many[Entry], Field(min_length=1)]
    written: dict[str, Any]
    content: Content

    @model_validator(mode="after")
    def _spread_is_known(self) -> Self:
        for name, number in self.content.numbers.items():
            if number.sd is None or number.n < 2:
                raise ValueError(
                    f"content.numbers.{name}.sd: a baseline needs the spread of two initialisations or more"
                )
        return self

    @property
    def since(self) -> Entry:
        """The present version."""
        return self.history[-1]

    @property
    def name(self) -> str:
        """What its file is called, without suffix."""
        return f"{self.spec}.{self.scale}"
