"""What sources say, statement by statement, and which claims of specs check it: the files of ``statements/``.

``statements/<paper>.yaml`` has a source's statements in the order of the source, ``statements/ours.yaml`` the claims
that no source states. They are no specs and do not lie among them: an edit of one changes no measurement.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from harness.errors import RequestError
from harness.printable import one_line
from harness.schema.base import Many, Model, Name, Text
from harness.schema.document import Document, Location, read
from harness.schema.papers import errata_of, load_papers
from harness.schema.problems import validated

OURS = "ours.yaml"
"""The file of claims that no source states."""

_CLAIM = re.compile(r"[a-z][a-z0-9_]{0,79}/[a-z][a-z0-9_]{0,79}")
_ID = re.compile(r"[a-z][a-z0-9_]{0,79}(-[a-z0-9.]{1,20}){1,4}")


def claim_name(text: str) -> str:
    """The text.

    Raises:
        ValueError: it names no claim of a spec.
    """
    if not _CLAIM.fullmatch(text):
        raise ValueError("should be a claim of a spec, as resnet20_imp/imp_later_stable")
    return text


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise ValueError("should be paper, section and number, as lmc-4.3-7, in small letters, digits and dots")
    return text


ClaimName = Annotated[str, AfterValidator(claim_name)]
"""A claim of a spec: ``resnet20_imp/imp_later_stable``."""
Claims = Annotated[Many[ClaimName], Field(min_length=1)]
StatementId = Annotated[str, AfterValidator(_id)]
"""Of a statement: ``lmc-4.3-7``."""

Kind = Literal["not_asked", "not_built", "invariant", "no_experiment"]
"""Why no claim checks a statement: the harness can measure it, but no spec asks; it cannot measure it yet; every run
holds it, or breaks; no experiment can check it."""


class Partly(Model):
    """A statement of which claims check a part.

    Attributes:
        claims: those that check it.
        missing: what of it they do not check.
    """

    claims: Claims
    missing: Text


class Unchecked(Model):
    """A statement that no claim checks.

    Attributes:
        kind: of reason.
        why: the reason.
    """

    kind: Kind
    why: Text


class Statement(Model):
    """One checkable statement of a source; exactly one of ``claims``, ``partly`` and ``none`` is given.

    Attributes:
        id: stable: ``<paper>-<section>-<number>``.
        place: section, figure or table as the source numbers it.
        words: what is said, in words of ours.
        claims: claims of specs that check it wholly, together.
        partly: claims that check a part of it.
        none: why nothing checks it.
        waits_for: a dataset that the harness cannot bring in yet, without which one of the claims cannot be run at the
            paper's scale; held against the specs both ways.
        errata: of the source, by their names in ``harness/schema/papers.yaml``: where it contradicts the statement.
    """

    id: StatementId
    place: Text
    words: Text
    errata: Many[Name] = ()
    claims: Claims | None = None
    partly: Partly | None = None
    none: Unchecked | None = None
    waits_for: Name | None = None

    @model_validator(mode="after")
    def _one_status(self) -> Self:
        given = [name for name in ("claims", "partly", "none") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"should have exactly one of claims, partly and none; it has {' and '.join(given) or 'none of them'}"
            )
        if self.none is not None and self.waits_for is not None:
            raise ValueError("nothing checks it, so that no claim waits for data: leave out waits_for")
        return self

    @property
    def checked_by(self) -> tuple[str, ...]:
        """Claims that check it or a part of it."""
        return self.claims or (self.partly.claims if self.partly is not None else ())


class Section(Model):
    """A section, table or figure of a source.

    Attributes:
        title: as the source has it.
        statements: in the source's order.
    """

    title: Text
    statements: Annotated[Many[Statement], Field(min_length=1)]


class Source(Model):
    """The form of ``statements/<paper>.yaml``.

    Attributes:
        paper: short name of ``harness/schema/papers.yaml``, and the file's own.
        sections: in the source's order.
    """

    paper: Name
    sections: Many[Section]

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Of all sections."""
        return tuple(statement for section in self.sections for statement in section.statements)


class Own(Model):
    """Claims that no source states.

    Attributes:
        reason: what they are for.
        claims: of specs.
    """

    reason: Text
    claims: Claims


class Ours(Model):
    """The form of ``statements/ours.yaml``.

    Attributes:
        ours: by reason.
    """

    ours: Many[Own]


@dataclass(frozen=True)
class Statements:
    """The statements of a folder.

    Attributes:
        sources: in the order of ``harness/schema/papers.yaml``, others after them.
        ours: claims that no source states.
        named: (claim, file with line and field), each place in which a claim is named.
    """

    sources: tuple[Source, ...]
    ours: tuple[Own, ...]
    named: tuple[tuple[str, str], ...]


def load_statements(folder: Path) -> Statements:
    """Reads the statements of all sources in a folder.

    Args:
        folder: with a file a source, and ``ours.yaml`` where claims are ours.

    Raises:
        RequestError: there are none, or files cannot be read or have another form: problems with file, line and field,
            one a line.
    """
    known = list(load_papers())
    paths = sorted(
        (path for path in folder.glob("*.yaml") if path.name != OURS),
        key=lambda path: (known.index(path.stem) if path.stem in known else len(known), path.stem),
    )
    if not paths:
        raise RequestError(f"{one_line(str(folder))}: no statements (<paper>.yaml) lie there: name another folder")
    sources = list[Source]()
    named = list[tuple[str, str]]()
    for path in paths:
        document = read(path)
        source = validated(document, Source)
        problems = list(_problems(document, source))
        if problems:
            raise RequestError("\n".join(problems))
        sources.append(source)
        named += _named_of_source(document, source)
    ours: tuple[Own, ...] = ()
    if (folder / OURS).is_file():
        document = read(folder / OURS)
        ours = validated(document, Ours).ours
        for number, own in enumerate(ours):
            named += _named(document, ("ours", number, "claims"), own.claims)
    return Statements(tuple(sources), ours, tuple(named))


def _problems(document: Document, source: Source) -> Iterator[str]:
    """What is wrong between a file's parts."""
    if source.paper != document.path.stem:
        yield f"{document.place(('paper',))}: found {source.paper!r}, but the file is called {document.path.name!r}"
    seen: Counter[str] = Counter()
    for place, statement in _placed(source):
        at = document.place((*place, "id"))
        seen[statement.id] += 1
        if seen[statement.id] > 1:
            yield f"{at}: found {statement.id!r}, which another statement has already: give each its own id"
        if not statement.id.startswith(f"{source.paper}-"):
            yield f"{at}: found {statement.id!r}: it should begin with {source.paper}-"
        for number, name in enumerate(statement.errata):
            if name not in errata_of(source.paper):
                at = document.place((*place, "errata", number))
                yield f"{at}: found {name!r}, which is no erratum of {source.paper} in harness/schema/papers.yaml"


def _placed(source: Source) -> Iterator[tuple[Location, Statement]]:
    for section, entries in enumerate(source.sections):
        for number, statement in enumerate(entries.statements):
            yield ("sections", section, "statements", number), statement


def _named_of_source(document: Document, source: Source) -> Iterator[tuple[str, str]]:
    for place, statement in _placed(source):
        where: Location = (*place, "claims") if statement.partly is None else (*place, "partly", "claims")
        yield from _named(document, where, statement.checked_by)


def _named(document: Document, place: Location, claims: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for number, claim in enumerate(claims):
        yield claim, document.place((*place, number))
