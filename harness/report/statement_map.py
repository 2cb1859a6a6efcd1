"""Statements of sources as a map: a mark for each, by what became of the claims that check it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.judging.verdict import Verdict
from harness.printable import clean
from harness.report.coverage import UNCHECKED
from harness.report.errata import errata_words
from harness.report.text import count
from harness.schema.model import PAPER_SCALE
from harness.schema.papers import title_of
from harness.schema.statements import Section, Source, Statement, Statements

Found = Mapping[str, Mapping[str, Verdict]]
"""``spec/claim`` -> scale -> verdict, of claims that have a card; a scale at which nothing is asked is left out."""


@dataclass(frozen=True)
class State:
    """What became of a statement: in words, a sign, and how it looks (``tone``)."""

    words: str
    symbol: str
    tone: str


REPRODUCED = State("reproduced", "✓", "good whole")
HOLDS = State("holds short of the paper's setting", "✓", "good")
CONTRADICTED = State("contradicted", "✗", "bad whole")
FAILS = State("fails short of the paper's setting", "✗", "bad")
OPEN = State("left open", "?", "open")
UNREPORTED = State("checked, no report yet", "○", "none")
WAITING = State("a claim waits for images", "◌", "none")
PARTLY = State("partly checked", "◐", "none")
NOT_CHECKED = State("not checked", "·", "blank")
STATES = (REPRODUCED, HOLDS, CONTRADICTED, FAILS, OPEN, UNREPORTED, WAITING, PARTLY, NOT_CHECKED)

_BY_VERDICT: Mapping[Verdict | None, State] = {
    Verdict.CONTRADICTED: CONTRADICTED,
    Verdict.FAILS: FAILS,
    Verdict.INCONCLUSIVE: OPEN,
    None: OPEN,
    Verdict.HOLDS: HOLDS,
    Verdict.REPRODUCED: REPRODUCED,
}
"""The state of a statement by the verdicts of its claims, None where one has none: the first of these that one has."""

_REFUTING = (Verdict.CONTRADICTED, Verdict.FAILS)
"""Of a part of a statement they refute the whole; other verdicts leave open what is missing."""


@dataclass(frozen=True)
class ClaimLink:
    """A claim that checks a statement: its name, the anchor of its card if it has one, its verdicts in words."""

    name: str
    anchor: str
    verdicts: str


@dataclass(frozen=True)
class Mark:
    """A statement.

    Attributes:
        reason: what is missing, or why nothing checks it.
        errata: where the source contradicts it, with quotes.
        anchor: of the card of the first claim that decides its state, else of its first claim that has one; empty where
            none has.
    """

    id: str
    place: str
    words: str
    state: State
    reason: str
    errata: Sequence[str]
    anchor: str
    claims: Sequence[ClaimLink]


@dataclass(frozen=True)
class Part:
    """A section of a source with its statements."""

    title: str
    marks: Sequence[Mark]


@dataclass(frozen=True)
class SourceMap:
    """A source: how many statements there are of each state, and its sections."""

    id: str
    title: str
    total: str
    counts: Sequence[tuple[State, int]]
    parts: Sequence[Part]


def statement_map(statements: Statements, found: Found) -> list[SourceMap]:
    """A map a source.

    Args:
        statements: of all sources.
        found: what reports say of claims.

    Returns:
        In the order of the statements; clean text throughout.
    """
    return [_source(source, found) for source in statements.sources]


def _source(source: Source, found: Found) -> SourceMap:
    parts = [_part(source.paper, section, found) for section in source.sections]
    numbers = Counter(mark.state for part in parts for mark in part.marks)
    return SourceMap(
        id=f"source-{source.paper}",
        title=clean(title_of(source.paper)),
        total=count(len(source.statements), "statement"),
        counts=[(state, numbers[state]) for state in STATES if state in numbers],
        parts=parts,
    )


def _part(paper: str, section: Section, found: Found) -> Part:
    return Part(clean(section.title), [_mark(paper, statement, found) for statement in section.statements])


def _mark(paper: str, statement: Statement, found: Found) -> Mark:
    state, claims = _state(statement, found), [_link(name, found) for name in statement.checked_by]
    deciding = [claim for claim in claims if _BY_VERDICT[_foremost(found.get(claim.name, {}))] is state]
    return Mark(
        id=statement.id,
        place=clean(statement.place),
        words=clean(statement.words),
        state=state,
        reason=_reason(statement),
        errata=errata_words(paper, statement.errata),
        anchor=next((claim.anchor for claim in (*deciding, *claims) if claim.anchor), ""),
        claims=claims,
    )


def _state(statement: Statement, found: Found) -> State:
    if statement.none is not None:
        return NOT_CHECKED
    verdicts = {_foremost(found.get(name, {})) for name in statement.checked_by}
    if statement.partly is not None and verdicts.isdisjoint(_REFUTING):
        return PARTLY
    if verdicts == {None}:
        return UNREPORTED if statement.waits_for is None else WAITING
    return next(state for verdict, state in _BY_VERDICT.items() if verdict in verdicts)


def _foremost(verdicts: Mapping[str, Verdict]) -> Verdict | None:
    """Of a claim's verdicts that of the paper's scale, if it was judged there, else another; None where none was."""
    judged = {scale: verdict for scale, verdict in verdicts.items() if verdict is not Verdict.NOT_RUN}
    return judged.get(PAPER_SCALE, next(iter(judged.values()), None))


def _link(name: str, found: Found) -> ClaimLink:
    verdicts = "; ".join(f"{verdict.value} at {scale} scale" for scale, verdict in found.get(name, {}).items())
    return ClaimLink(name, name.replace("/", ".") if name in found else "", verdicts)


def _reason(statement: Statement) -> str:
    if statement.partly is not None:
        return clean(f"missing: {statement.partly.missing}")
    return clean(f"{UNCHECKED[statement.none.kind]}: {statement.none.why}") if statement.none is not None else ""
