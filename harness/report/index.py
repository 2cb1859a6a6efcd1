"""Many reports as one page: every claim of every spec at every scale, grouped by spec, to look through and filter."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from harness.judging.verdict import Judgement, Verdict
from harness.printable import clean
from harness.report.chance import contradictions, wrong_by_chance
from harness.report.counting import disagreements, rank, that_count
from harness.report.figures.interval_plot import interval_plot
from harness.report.over_specs import CAUTION, OverResult
from harness.report.page import digest, part, render
from harness.report.read import Report
from harness.report.statement_map import STATES, Found, statement_map
from harness.report.text import count
from harness.report.view import ClaimView, claim_view, counts
from harness.schema.model import PAPER_SCALE
from harness.schema.papers import title_of
from harness.schema.statements import Statements

_CHOICES = {"paper": "Papers", "spec": "Specs", "scale": "Scales", "verdict": "Verdicts"}
"""What the page is filtered by, in this order, and how all of a kind are called."""


@dataclass(frozen=True)
class _Row:
    """A claim at a scale: ``keys`` is what it is filtered by."""

    keys: Mapping[str, str]
    view: ClaimView
    folder: str
    link: str
    interval: Markup | None
    checked: bool
    as_known: bool


@dataclass(frozen=True)
class _Claim:
    """A claim with its verdicts; ``anchor`` is its id in the page."""

    id: str
    anchor: str
    sentence: str
    paper: str
    place: str
    primary: bool
    rows: Sequence[_Row]


@dataclass(frozen=True)
class _Group:
    """A spec with the reports on it and its claims."""

    id: str
    title: str
    protocol: str
    spec_path: str
    papers: Sequence[str]
    reports: Sequence[Mapping[str, Any]]
    claims: Sequence[_Claim]


def index(reports: Iterable[Report], statements: Statements | None = None, over: Sequence[OverResult] = ()) -> str:
    """Renders the page over reports.

    Args:
        reports: in any order; of several on a spec at a scale all are shown, and ``that_count`` says which one counts.
        statements: of the sources, for a map of what of them is checked; None: there is no map.
        over: what the reports say of claims over specs.

    Returns:
        A whole HTML document, to lie in the folder that the reports' places are relative to: the same for the same
        reports. Without JavaScript it shows everything; with it, it filters. Texts of specs stand in it as text.
    """
    listed = list(reports)
    counted = that_count(listed)
    groups = _groups(listed)
    script = part("index.js")
    rows = [row for group in groups for claim in group.claims for row in claim.rows]
    return render(
        "index.html.j2",
        ["style.css", "index.css"],
        script=script,
        policy=digest(script),
        groups=groups,
        sources=[] if statements is None else statement_map(statements, {**_found(counted), **_found_over(over)}),
        states=STATES,
        over=[(result, counts({result.verdict: 1})[0]) for result in over],
        over_caution=CAUTION,
        summary=_summary(groups, rows),
        chance=wrong_by_chance([judgement for report in counted for judgement in report.judgements]),
        papers=_papers(counted),
        disagreements=disagreements(listed),
        counts=counts(_numbers(listed)),
        filters=[(name, plural, _choices(name, groups, rows)) for name, plural in _CHOICES.items()],
        verdicts=len(rows),
        claims=sum(len(group.claims) for group in groups),
    )


def _groups(reports: Iterable[Report]) -> list[_Group]:
    by_spec: dict[str, list[Report]] = {}
    for report in sorted(reports, key=rank):
        by_spec.setdefault(report.spec, []).append(report)
    return [_group(members) for members in by_spec.values()]


def _found(reports: Iterable[Report]) -> Found:
    """What reports, one a spec and scale, say of each claim at the scales at which it is checked.

    A scale is left out at which the check has a sentence of its own: there it says something else than the source.
    """
    found: dict[str, dict[str, Verdict]] = {}
    for report in reports:
        for judgement in report.judgements:
            verdicts = found.setdefault(f"{report.spec}/{judgement.claim.id}", {})
            if judgement.check is not None and judgement.check.sentence is None:
                verdicts[report.scale] = judgement.verdict
    return found


def _found_over(results: Iterable[OverResult]) -> Found:
    found: dict[str, dict[str, Verdict]] = {}
    for result in results:
        found.setdefault(result.claim.name, {})[result.scale] = result.verdict
    return found


def _group(reports: Sequence[Report]) -> _Group:
    """Reports on one spec, the paper's scale first: it tells the title and the claims' order and words."""
    judged: dict[str, list[tuple[Report, Judgement]]] = {}
    for report in reports:
        for judgement in report.judgements:
            judged.setdefault(judgement.claim.id, []).append((report, judgement))
    first = reports[0]
    claims = [_claim(first.spec, pairs) for pairs in judged.values()]
    return _Group(
        id=first.spec,
        title=first.title,
        protocol=first.protocol,
        spec_path=first.spec_path,
        papers=sorted({claim.paper for claim in claims}),
        reports=[_report(report) for report in reports],
        claims=claims,
    )


def _papers(reports: Sequence[Report]) -> Sequence[tuple[str, str]]:
    """Each paper with what chance does to all that reports, one a spec and scale, say of it."""
    papers: dict[str, list[tuple[bool, Sequence[Judgement]]]] = {}
    for report in reports:
        by_paper: dict[str, list[Judgement]] = {}
        for judgement in report.judgements:
            by_paper.setdefault(judgement.claim.source.paper, []).append(judgement)
        for paper, judgements in by_paper.items():
            papers.setdefault(paper, []).append((report.scale == PAPER_SCALE, judgements))
    return [
        (
            _words("paper", paper),
            " ".join(
                filter(
                    None,
                    (
                        wrong_by_chance([one for _, judgements in told for one in judgements]),
                        contradictions([judgements for at_paper_scale, judgements in told if at_paper_scale]),
                    ),
                )
            ),
        )
        for paper, told in sorted(papers.items(), key=lambda item: _words("paper", item[0]))
    ]


def _claim(spec: str, judged: Sequence[tuple[Report, Judgement]]) -> _Claim:
    claim = judged[0][1].claim
    return _Claim(
        id=claim.id,
        anchor=f"{spec}.{claim.id}",
        sentence=clean(claim.sentence),
        paper=_words("paper", claim.source.paper),
        place=claim.source.place,
        primary=claim.primary,
        rows=[_row(report, judgement) for report, judgement in judged],
    )


def _row(report: Report, judgement: Judgement) -> _Row:
    view = claim_view(judgement)
    return _Row(
        keys={
            "paper": judgement.claim.source.paper,
            "spec": report.spec,
            "scale": report.scale,
            "verdict": view.verdict,
        },
        view=view,
        folder=_folder(report),
        link=f"{_page(report)}#claim-{view.id}",
        interval=interval_plot(judgement),
        checked=judgement.check is not None,
        as_known=judgement.check is not None and judgement.as_expected and not judgement.verdict.good,
    )


def _report(report: Report) -> Mapping[str, Any]:
    """A report in a line: its marks are the verdicts in the order of the claims, a picture of the whole."""
    views = [claim_view(judgement) for judgement in report.judgements]
    return {
        "folder": _folder(report),
        "scale": report.scale,
        "link": _page(report),
        "summary": report.summary,
        "marks": [(view.symbol, view.tone, f"{view.id}: {view.verdict}") for view in views],
        "broken": count(report.failures, "job") if report.failures else "",
        "departures": count(len(report.departures), "departure") if report.departures else "",
    }


def _folder(report: Report) -> str:
    """The folder that a report lies in, where that says more than its scale."""
    folder = report.place.rpartition("/")[0]
    return "" if folder == report.scale else folder


def _page(report: Report) -> str:
    return quote(report.place.removesuffix(".json") + ".html")


def _numbers(reports: Iterable[Report]) -> Mapping[Verdict, int]:
    """How many judgements have each verdict, in the order of ``Verdict``, zeros left out."""
    numbers = Counter(judgement.verdict for report in reports for judgement in report.judgements)
    return {verdict: numbers[verdict] for verdict in Verdict if verdict in numbers}


def _choices(name: str, groups: Sequence[_Group], rows: Sequence[_Row]) -> Sequence[tuple[str, str, int]]:
    """The values to filter by, each with its words and the number of verdicts that it would show."""
    numbers = Counter(row.keys[name] for row in rows)
    order: Mapping[str, Callable[[str], Any]] = {
        "paper": lambda value: _words(name, value),
        "spec": [group.id for group in groups].index,
        "scale": lambda value: (value != PAPER_SCALE, value),
        "verdict": [verdict.value for verdict in Verdict].index,
    }
    return [(value, _words(name, value), numbers[value]) for value in sorted(numbers, key=order[name])]


def _words(name: str, value: str) -> str:
    return title_of(value) if name == "paper" else value


def _summary(groups: Sequence[_Group], rows: Sequence[_Row]) -> str:
    claims = sum(len(group.claims) for group in groups)
    return f"{count(len(groups), 'spec')}, {count(claims, 'claim')}, {count(len(rows), 'verdict')}"
