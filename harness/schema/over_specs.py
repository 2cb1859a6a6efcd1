"""Claims over several specs as data: which outcomes of their claims are joined, in which networks, and how.

A file of ``over_specs/`` has a list of them. They are asked of reports, so that an edit changes no measurement.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from harness.errors import RequestError
from harness.schema.base import Many, Model, Name, Text, Version
from harness.schema.claims import Source
from harness.schema.document import Document, Location, read
from harness.schema.problems import validated
from harness.schema.statements import claim_name

OVER_SPECS = "over_specs"
"""The folder beside specs, and what stands for a spec in the name of such a claim."""

_NOT = "not "


def _outcome(text: str) -> str:
    claim_name(text.removeprefix(_NOT))
    return text


Outcome = Annotated[str, AfterValidator(_outcome)]
"""A claim that says that the property is there, or ``not`` and one that says that it is not there."""


class Cell(Model):
    """One place of a network's grid, in which two properties are decided.

    Attributes:
        row: what it shares with other cells, as the arm.
        column: what it shares crosswise, as the rewinding iteration and schedule.
        first: the outcome that tells the first property.
        second: that of the second one.
    """

    row: Name
    column: Name
    first: Outcome
    second: Outcome


class Network(Model):
    """A stratum.

    Attributes:
        name: of the network.
        cells: a full grid, each row with each column once.
    """

    name: Name
    cells: Annotated[Many[Cell], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _full_grid(self) -> Self:
        rows = {cell.row for cell in self.cells}
        columns = {cell.column for cell in self.cells}
        seen = Counter((cell.row, cell.column) for cell in self.cells)
        twice = [f"{row} {column}" for (row, column), number in seen.items() if number > 1]
        if twice:
            raise ValueError(f"should have each row with each column once; twice: {', '.join(twice)}")
        missing = [f"{row} {column}" for row in sorted(rows) for column in sorted(columns) if (row, column) not in seen]
        if missing:
            raise ValueError(f"should have each row with each column, a full grid; missing: {', '.join(missing)}")
        if len(rows) > MOST_SIDE or len(columns) > MOST_SIDE:
            raise ValueError(f"should have at most {MOST_SIDE} rows and columns: all orders of both are tried")
        return self


MOST_SIDE = 5
"""Rows or columns: 120 orders of each, 14,400 of both."""


class OverSpecs(Model):
    """A claim over several specs.

    Attributes:
        id: unique in the folder.
        sentence: the claim in words.
        source: where it stands.
        first: words for the first property: "matching".
        second: for the second one: "stable".
        expect: ``only_when``: where the first is, the second is, too, and more often than chance makes it so.
        power: the power, worked out before any result was looked at, and under what.
        networks: in which both were decided.
    """

    id: Name
    sentence: Text
    source: Source
    first: Text
    second: Text
    expect: Literal["only_when"]
    power: Text
    networks: Annotated[Many[Network], Field(min_length=1)]

    @property
    def name(self) -> str:
        """As statements name it."""
        return f"{OVER_SPECS}/{self.id}"

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Of all cells, each cell's first and second."""
        return tuple(
            outcome for network in self.networks for cell in network.cells for outcome in (cell.first, cell.second)
        )


class _File(Model):
    schema_version: Version
    claims: Annotated[Many[OverSpecs], Field(min_length=1)]


def asked(outcome: str) -> tuple[str, bool]:
    """``spec/claim`` of an outcome, and whether the claim says that the property is there."""
    return outcome.removeprefix(_NOT), not outcome.startswith(_NOT)


def load_over_specs(folder: Path) -> tuple[OverSpecs, ...]:
    """Reads the claims over specs of a folder.

    Args:
        folder: with files of them; one that is not there has none.

    Raises:
        RequestError: files have another form, or an id twice: problems with file, line and field, one a line.
    """
    claims = list[OverSpecs]()
    problems = list[str]()
    for path in sorted(folder.glob("*.yaml")):
        document = read(path)
        found = validated(document, _File).claims
        problems += _twice(document, found, {claim.id for claim in claims})
        claims += found
    if problems:
        raise RequestError("\n".join(problems))
    return tuple(claims)


def _twice(document: Document, claims: tuple[OverSpecs, ...], before: set[str]) -> Iterator[str]:
    seen = set(before)
    for number, claim in enumerate(claims):
        place: Location = ("claims", number, "id")
        if claim.id in seen:
            yield f"{document.place(place)}: found {claim.id!r}, which another claim has already: give each its own id"
        seen.add(claim.id)
