"""Claims over specs, judged of what reports say: verdict, counts by network, and what speaks against leaning on it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.judging.over_specs import Grid, Joined, Table, joined, table
from harness.judging.verdict import Verdict
from harness.printable import clean
from harness.report.read import Report
from harness.report.text import count
from harness.schema.model import PAPER_SCALE
from harness.schema.over_specs import Cell, Network, OverSpecs, asked

_SCHEMA = 1
CAUTION = (
    "The test takes networks to be independent of each other if there is no association. Where arms or points act "
    "alike in all of them it is too bold, and the greater number, in brackets, is the one to read. Specs of a network "
    "share seeds, data and trainings. A cell is decided over initialisations by claims of its spec, at 5 % each. What "
    "is said is of these networks and arms."
)
"""What the test assumes, beside every verdict (docs/verdicts.md)."""

Found = Mapping[str, Mapping[str, Verdict]]
"""``spec/claim`` -> scale -> verdict."""


@dataclass(frozen=True)
class OverResult:
    """A claim over specs at a scale.

    Attributes:
        claim: what is joined and expected.
        scale: of the reports.
        verdict: the outcome.
        why: a sentence or two.
        tables: network -> counts; empty where it was not run.
        test: None where it was not run.
        exceptions: cells in which the first is without the second, in words.
        missing: outcomes that no report has at this scale.
        first_scale: whether it is the first of its claim's results, to which links lead.
    """

    claim: OverSpecs
    scale: str
    verdict: Verdict
    why: str
    tables: Mapping[str, Table]
    test: Joined | None
    exceptions: tuple[str, ...]
    missing: tuple[str, ...]
    first_scale: bool = True


def over_results(claims: Sequence[OverSpecs], reports: Sequence[Report]) -> list[OverResult]:
    """Judges claims over specs at each scale of the reports.

    Args:
        claims: to judge.
        reports: one a spec and scale.

    Returns:
        By claim, the paper's scale first.
    """
    found: dict[str, dict[str, Verdict]] = {}
    for report in reports:
        for one in report.judgements:
            if one.check is not None:
                found.setdefault(f"{report.spec}/{one.claim.id}", {})[report.scale] = one.verdict
    scales = sorted({report.scale for report in reports}, key=lambda scale: (scale != PAPER_SCALE, scale))
    return [
        replace(_result(claim, scale, found), first_scale=not number)
        for claim in claims
        for number, scale in enumerate(scales)
    ]


def over_json(results: Sequence[OverResult]) -> str:
    """Results as data: a JSON document that ends with a line end, in the order of the results."""
    document = {"schema": _SCHEMA, "claims": [_data(result) for result in results]}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _data(result: OverResult) -> Mapping[str, Any]:
    claim = result.claim
    return {
        "id": claim.id,
        "sentence": claim.sentence,
        "source": claim.source.model_dump(mode="json"),
        "scale": result.scale,
        "verdict": result.verdict.value,
        "why": result.why,
        "first": claim.first,
        "second": claim.second,
        "networks": {name: asdict(counts) for name, counts in result.tables.items()},
        "test": None if result.test is None else asdict(result.test),
        "exceptions": list(result.exceptions),
        "missing": list(result.missing),
        "power": claim.power,
        "caution": CAUTION,
    }


def _result(claim: OverSpecs, scale: str, found: Found) -> OverResult:
    missing = tuple(sorted({name for outcome in claim.outcomes if not _ran(name := asked(outcome)[0], scale, found)}))
    if missing:
        why = f"{count(len(missing), 'outcome')} of {_specs(missing)} not judged at this scale: verify these specs."
        return OverResult(claim, scale, Verdict.NOT_RUN, why, {}, None, (), missing)
    grids = {network.name: _grids(network, scale, found) for network in claim.networks}
    test = joined(grids.values())
    exceptions = tuple(
        f"{network.name}: {cell.row} {cell.column}"
        for network in claim.networks
        for cell in network.cells
        if (_sign(cell.first, scale, found), _sign(cell.second, scale, found)) == (1, -1)
    )
    tables = {name: table(*pair) for name, pair in grids.items()}
    return OverResult(claim, scale, _verdict(test, scale), _why(claim, test, exceptions), tables, test, exceptions, ())


def _specs(names: Sequence[str]) -> str:
    return ", ".join(sorted({name.partition("/")[0] for name in names}))


def _ran(name: str, scale: str, found: Found) -> bool:
    return found.get(name, {}).get(scale, Verdict.NOT_RUN) is not Verdict.NOT_RUN


def _grids(network: Network, scale: str, found: Found) -> tuple[Grid, Grid]:
    """Of the first and of the second property: rows and columns in the order in which the file has them first."""
    cells: Mapping[tuple[str, str], Cell] = {(cell.row, cell.column): cell for cell in network.cells}
    rows, columns = (list(dict.fromkeys(keys)) for keys in zip(*cells, strict=True))
    first = [[_sign(cells[row, column].first, scale, found) for column in columns] for row in rows]
    second = [[_sign(cells[row, column].second, scale, found) for column in columns] for row in rows]
    return first, second


def _sign(outcome: str, scale: str, found: Found) -> int:
    """1: the property is there, -1: it is not, 0: left open."""
    name, there = asked(outcome)
    verdict = found[name][scale]
    if not verdict.decided:
        return 0
    return 1 if verdict.good is there else -1


def _verdict(test: Joined, scale: str) -> Verdict:
    at_paper_scale = scale == PAPER_SCALE
    if test.stands is None:
        return Verdict.INCONCLUSIVE
    if test.stands:
        return Verdict.REPRODUCED if at_paper_scale else Verdict.HOLDS
    return Verdict.CONTRADICTED if at_paper_scale else Verdict.FAILS


def _why(claim: OverSpecs, test: Joined, exceptions: Sequence[str]) -> str:
    least = f", at the least {test.least_p:.2g}" if test.stands is None else ""
    told = f"So much agreement of {claim.first} and {claim.second} has a probability of {test.p_only_when:.2g}{least}"
    told += f" ({test.p_alike:.2g} where rows and columns act alike in all networks)"
    if test.stands is False:
        told = f"So little agreement of {claim.first} and {claim.second} has a probability of {test.p_against:.2g}"
    without = f"{claim.first} and not {claim.second}: {'; '.join(exceptions) or 'nowhere'}"
    return clean(f"{told} if they have nothing to do with each other; {without}.")
