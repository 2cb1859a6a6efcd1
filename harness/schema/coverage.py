"""The claims of specs as far as statements need them, and whether statements and claims name each other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.datainfo import find
from harness.errors import RequestError
from harness.schema.document import read
from harness.schema.model import PAPER_SCALE, Spec
from harness.schema.over_specs import OVER_SPECS, OverSpecs, asked, load_over_specs
from harness.schema.problems import validated
from harness.schema.statements import Statement, Statements

PILOT = "pilot"
"""The folder, among the specs, of those that are outside the catalogue."""


@dataclass(frozen=True)
class CheckedClaim:
    """A claim of a spec.

    Attributes:
        scales: at which it is checked, in the spec's order.
        pilot: whether its spec is outside the catalogue.
        reworded: scales at which its check has a sentence of its own, and asks something else than the source says.
        waits_for: datasets of its check at the paper's scale that the harness cannot bring in yet.
        errata: of its source, by name.
    """

    scales: tuple[str, ...]
    pilot: bool
    reworded: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    errata: tuple[str, ...] = ()


def load_claims(folder: Path) -> Mapping[str, CheckedClaim]:
    """``spec/claim`` -> claim, of all specs of a folder and of its pilots, and over specs, of the folder beside it.

    Settings of scales are not looked at, which only their protocol can: so nothing heavy is imported.

    Args:
        folder: of specs.

    Raises:
        RequestError: there are none, or a file is no spec: problems with file, line and field, one a line.
    """
    paths = [*sorted(folder.glob("*.yaml")), *sorted((folder / PILOT).glob("*.yaml"))]
    if not paths:
        raise RequestError(f"{folder}: no spec files (*.yaml) lie there: name another folder")
    claims = {}
    for path in paths:
        spec = validated(read(path), Spec)
        for claim in spec.claims:
            scales = tuple(scale for scale in spec.scales if scale in claim.checks)
            reworded = tuple(scale for scale in scales if claim.checks[scale].sentence is not None)
            waits = awaited(spec) if PAPER_SCALE in scales else ()
            claims[f"{spec.id}/{claim.id}"] = CheckedClaim(
                scales, path.parent != folder, reworded, waits, claim.source.errata
            )
    for over in load_over_specs(folder.parent / OVER_SPECS):
        claims[over.name] = _over_specs(folder.parent / OVER_SPECS, over, claims)
    return claims


def _over_specs(folder: Path, over: OverSpecs, claims: Mapping[str, CheckedClaim]) -> CheckedClaim:
    """A claim over specs is checked at the scales that all claims have whose outcomes it joins."""
    names = [asked(outcome)[0] for outcome in over.outcomes]
    unknown = sorted(set(names) - claims.keys())
    if unknown:
        raise RequestError(
            f"{folder}: {over.id} names {', '.join(unknown)}, which no spec has: name a claim as spec/claim"
        )
    joined = [claims[name] for name in names]
    scales = tuple(scale for scale in joined[0].scales if all(scale in one.scales for one in joined))
    reworded = tuple(scale for scale in scales if any(scale in one.reworded for one in joined))
    waits = tuple(sorted({name for one in joined for name in one.waits_for}))
    return CheckedClaim(scales, any(one.pilot for one in joined), reworded, waits)


def awaited(spec: Spec) -> tuple[str, ...]:
    """The datasets of a spec's paper scale that the harness cannot bring in yet."""
    trainings = spec.scales[PAPER_SCALE].trainings.values() if PAPER_SCALE in spec.scales else ()
    return tuple(sorted({name for training in trainings if find(name := training.data.name).awaits}))


def mismatches(statements: Statements, claims: Mapping[str, CheckedClaim]) -> Iterator[str]:
    """Claims that statements name and no spec has, that are said to be a source's and ours, or that nothing names.

    And statements that wait for other data than their claims.

    And errata that a statement has and none of its claims, or a claim and none of its statements. All in words.

    Args:
        statements: of all sources.
        claims: of all specs.
    """
    for claim, place in statements.named:
        if claim not in claims:
            yield f"{place}: found {claim!r}, which no spec has: name a claim as spec/claim"
    yield from _waiting(statements, claims)
    stated = {name for source in statements.sources for statement in source.statements for name in statement.checked_by}
    for claim in sorted(stated & {name for own in statements.ours for name in own.claims}):
        places = ", ".join(place for name, place in statements.named if name == claim)
        yield f"{claim}: a source states this claim, and it is named as ours too ({places}): keep one of both"
    for claim in sorted(claims.keys() - {claim for claim, _ in statements.named}):
        yield f"{claim}: no statement names this claim: name it where its source says so, or as ours, with the reason"
    yield from _errata_apart(statements, claims)


def _errata_apart(statements: Statements, claims: Mapping[str, CheckedClaim]) -> Iterator[str]:
    touched: dict[str, set[str]] = {}
    for statement in (statement for source in statements.sources for statement in source.statements):
        named = {erratum for name in statement.checked_by if name in claims for erratum in claims[name].errata}
        for erratum in statement.errata if statement.checked_by else ():
            if erratum not in named:
                yield f"{statement.id}: none of its claims has its erratum {erratum!r}: name it in source.errata"
        for name in statement.checked_by:
            touched.setdefault(name, set()).update(statement.errata)
    for name, claim in claims.items():
        for erratum in claim.errata:
            if erratum not in touched.get(name, set()):
                yield f"{name}: no statement that it checks has its erratum {erratum!r}: name it there too"


def _waiting(statements: Statements, claims: Mapping[str, CheckedClaim]) -> Iterator[str]:
    for statement in (statement for source in statements.sources for statement in source.statements):
        known = [claims[name] for name in statement.checked_by if name in claims]
        due = sorted({name for claim in known for name in claim.waits_for})
        if due != ([statement.waits_for] if statement.waits_for else []):
            yield (
                f"{statement.id}: waits_for: found {statement.waits_for or 'nothing'}, but its claims wait for "
                f"{', '.join(due) or 'nothing'}: say so, or leave it out"
            )


def scales_of(statement: Statement, claims: Mapping[str, CheckedClaim]) -> Mapping[str, bool]:
    """The scales at which a statement is checked: those that all claims that check it have.

    Args:
        statement: any.
        claims: of all specs.

    Returns:
        Scale -> whether all claims ask there what the source says, in the order of the first claim's scales.
    """
    found = [claims[name] for name in statement.checked_by]
    shared = [scale for scale in found[0].scales if all(scale in one.scales for one in found)] if found else []
    return {scale: not any(scale in one.reworded for one in found) for scale in shared}
