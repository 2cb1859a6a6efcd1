"""Statements of sources as a page of Markdown: what checks each and at which scale, or why nothing does, and sums."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.report.errata import errata_words
from harness.report.markdown import escape
from harness.report.text import count
from harness.schema.coverage import CheckedClaim, scales_of
from harness.schema.model import PAPER_SCALE
from harness.schema.papers import title_of
from harness.schema.statements import Kind, Own, Section, Source, Statement, Statements

UNCHECKED: Mapping[Kind, str] = {
    "not_asked": "not asked",
    "not_built": "not built",
    "invariant": "held by every run",
    "no_experiment": "no experiment can",
}
"""Why no claim checks a statement, in words."""
_TOY = "toy"
_WAITS = "waits for images"
_INTRODUCTION = """\
Every checkable statement of the sources, by number, place and words of ours, with the claims of specs that check
it, or the reason why none does. Written by `harness coverage` from [statements/](../statements/) and
[specs/](../specs/): edit those.

A statement is **checked** where claims say all of it, at the scales that all of them have; **partly** where they
say a part, with what is missing. Where the claims are there, and the harness plans them but cannot read their images
yet, it **waits for images** ([imagenet.md](imagenet.md)): it is not among the checked, nor at the paper's scale. It is
open where the harness could measure it and no spec asks (**not asked**), or where it cannot measure it yet (**not
built**). Some are facts that are **held by every run**, which breaks otherwise ([invariants.md](invariants.md)), and of
some **no experiment can** tell. At the toy scale networks and data are small stand-ins; a star marks a scale at which a
claim asks something else than the source says (it has a sentence of its own there), which the sums of scales leave
out. Claims of specs in `specs/pilot/` are marked *pilot*: they lie outside the catalogue until what their first
runs showed is mended. A statement that its source contradicts elsewhere has an *erratum*; the source's errata quote
both places, and so do reports beside the claim. That a statement is checked says nothing of its verdict:
[reports](../reports/) have them."""


def coverage(statements: Statements, claims: Mapping[str, CheckedClaim]) -> str:
    """Renders the page.

    Args:
        statements: of all sources.
        claims: of all specs: those that statements name are among them.

    Returns:
        A document that ends with a line end: the same for the same statements and claims.
    """
    parts = ["# What of the sources is checked", _INTRODUCTION, *_sums(statements, claims)]
    for source in statements.sources:
        parts.append(f"## {escape(title_of(source.paper))}")
        for section in source.sections:
            parts += [f"### {escape(section.title)}", _section(section, claims)]
        parts += _errata(source)
    if statements.ours:
        parts += [
            "## Claims of ours",
            "Claims that no source states, and what they are for.",
            _ours(statements.ours, claims),
        ]
    return "\n\n".join(parts) + "\n"


def in_short(statements: Statements) -> str:
    """How many statements there are and how many are checked, in a line."""
    every = [statement for source in statements.sources for statement in source.statements]
    waiting = sum(_waits(statement) for statement in every)
    whole = sum(statement.claims is not None for statement in every) - waiting
    partly = sum(statement.partly is not None for statement in every)
    waits = f", {waiting} waiting for images" if waiting else ""
    return f"{count(len(every), 'statement')}, {whole} checked, {partly} partly{waits}"


def _waits(statement: Statement) -> bool:
    """Whether claims say all of it, and one of them cannot be run yet."""
    return statement.claims is not None and statement.waits_for is not None


def _sums(statements: Statements, claims: Mapping[str, CheckedClaim]) -> Iterator[str]:
    yield "## Sums"
    kinds = " | ".join(UNCHECKED.values())
    lines = [
        f"| source, section | statements | checked | at {PAPER_SCALE} scale | at {_TOY} scale | by pilots | partly "
        f"| {_WAITS} | {kinds} |",
        f"|---|{'--:|' * (7 + len(UNCHECKED))}",
    ]
    every: list[Statement] = []
    for source in statements.sources:
        lines += _sums_of_source(source, claims)
        every += source.statements
    lines.append(_sum("**All**", every, claims))
    yield "\n".join(lines)


def _sums_of_source(source: Source, claims: Mapping[str, CheckedClaim]) -> Iterator[str]:
    yield _sum(f"**{escape(title_of(source.paper))}**", source.statements, claims)
    for section in source.sections:
        yield _sum(escape(section.title), section.statements, claims)


def _sum(head: str, statements: Sequence[Statement], claims: Mapping[str, CheckedClaim]) -> str:
    """A row; a zero is an empty cell."""
    checked = [statement for statement in statements if statement.claims is not None and not _waits(statement)]
    kinds = [statement.none.kind for statement in statements if statement.none is not None]
    numbers = [
        len(statements),
        len(checked),
        *(sum(scales_of(one, claims).get(scale, False) for one in checked) for scale in (PAPER_SCALE, _TOY)),
        sum(any(claims[name].pilot for name in one.checked_by) for one in checked),
        sum(statement.partly is not None for statement in statements),
        sum(map(_waits, statements)),
        *(kinds.count(kind) for kind in UNCHECKED),
    ]
    return f"| {head} | {' | '.join(str(number or '') for number in numbers)} |"


def _section(section: Section, claims: Mapping[str, CheckedClaim]) -> str:
    lines = ["| statement | in words of ours | place | checked by | at |", "|---|---|---|---|---|"]
    for statement in section.statements:
        cells = (
            f"`{statement.id}`",
            f"{escape(statement.words)}{''.join(f' (*erratum*: `{name}`)' for name in statement.errata)}",
            escape(statement.place),
            _checked(statement, claims),
            ", ".join(scale if said else rf"{scale}\*" for scale, said in scales_of(statement, claims).items()),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _errata(source: Source) -> Iterator[str]:
    """Where a source contradicts itself, and which statements that touches."""
    touched: dict[str, list[str]] = {}
    for statement in source.statements:
        for name in statement.errata:
            touched.setdefault(name, []).append(f"`{statement.id}`")
    if touched:
        yield "### Errata"
        yield "\n".join(
            f"- `{name}`, of {', '.join(ids)}: {escape(' '.join(errata_words(source.paper, [name])))}"
            for name, ids in touched.items()
        )


def _checked(statement: Statement, claims: Mapping[str, CheckedClaim]) -> str:
    if statement.none is not None:
        return f"*{UNCHECKED[statement.none.kind]}*: {escape(statement.none.why)}"
    names = _claims(statement.checked_by, claims)
    if statement.partly is not None:
        return f"*partly*: {names}; missing: {escape(statement.partly.missing)}"
    return f"*{_WAITS}*: {names}" if _waits(statement) else names


def _claims(names: Iterable[str], claims: Mapping[str, CheckedClaim]) -> str:
    """Claims, by spec."""
    by_spec: dict[str, list[str]] = {}
    for name in names:
        spec, claim = name.split("/")
        by_spec.setdefault(f"{escape(spec)}{' (*pilot*)' if claims[name].pilot else ''}", []).append(claim)
    return "; ".join(f"{spec}: {', '.join(f'`{claim}`' for claim in found)}" for spec, found in by_spec.items())


def _ours(ours: Sequence[Own], claims: Mapping[str, CheckedClaim]) -> str:
    return "\n".join(f"- {_claims(own.claims, claims)}: {escape(own.reason)}" for own in ours)
