"""The map of the sources' statements: what a mark says follows of verdicts, and it leads to a claim's card."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from harness.judging.verdict import Verdict
from harness.report import statement_map as marks
from harness.report.index import index
from harness.report.read import read_all
from harness.report.statement_map import State, statement_map
from harness.schema.statements import Partly, Section, Source, Statement, Statements, Unchecked, load_statements
from tests.report.parser import parsed
from tests.support import ROOT

CHECKED = Statement(id="p-1-1", place="Fig. 1", words="It is so.", claims=("s/a", "s/b"))
PART = Statement(id="p-1-2", place="Fig. 2", words="And so.", partly=Partly(claims=("s/a",), missing="the rest"))
NONE = Statement(id="p-1-3", place="Fig. 3", words="Or so.", none=Unchecked(kind="not_built", why="no engine"))


def _said(*statements: Statement) -> Statements:
    return Statements((Source(paper="p", sections=(Section(title="One", statements=statements),)),), (), ())


def _only(statement: Statement, found: Mapping[str, Mapping[str, Verdict]]) -> marks.Mark:
    (source,) = statement_map(_said(statement), found)
    (mark,) = source.parts[0].marks
    assert source.counts == [(mark.state, 1)]
    return mark


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        ({"paper": Verdict.REPRODUCED, "toy": Verdict.FAILS}, {"paper": Verdict.REPRODUCED}, marks.REPRODUCED),
        ({"paper": Verdict.REPRODUCED}, {"toy": Verdict.HOLDS}, marks.HOLDS),
        ({"toy": Verdict.HOLDS}, {"toy": Verdict.FAILS}, marks.FAILS),
        ({"paper": Verdict.CONTRADICTED}, {"toy": Verdict.FAILS}, marks.CONTRADICTED),
        ({"toy": Verdict.HOLDS}, {"toy": Verdict.INCONCLUSIVE}, marks.OPEN),
        ({"toy": Verdict.HOLDS}, {}, marks.OPEN),
        ({"paper": Verdict.NOT_RUN, "toy": Verdict.HOLDS}, {"toy": Verdict.HOLDS}, marks.HOLDS),
        ({"toy": Verdict.NOT_RUN}, {}, marks.UNREPORTED),
        ({}, {}, marks.UNREPORTED),
    ],
)
def test_the_worst_verdict_counts_and_the_papers_scale_first(
    first: Mapping[str, Verdict], second: Mapping[str, Verdict], state: State
) -> None:
    assert _only(CHECKED, {"s/a": first, "s/b": second}).state == state


def test_a_statement_whose_claim_waits_for_images_says_so_until_a_verdict_is_there() -> None:
    waiting = CHECKED.model_copy(update={"waits_for": "imagenet"})
    assert _only(waiting, {}).state == marks.WAITING
    assert _only(waiting, {"s/a": {"toy": Verdict.HOLDS}, "s/b": {"toy": Verdict.HOLDS}}).state == marks.HOLDS


def test_a_statement_without_a_report_leads_nowhere() -> None:
    mark = _only(CHECKED, {})
    assert (mark.state, mark.anchor) == (marks.UNREPORTED, "")
    assert _only(CHECKED, {"s/b": {}}).anchor == "s.b"


def test_a_mark_leads_to_the_claim_that_decides_it() -> None:
    held, failed, left_open = {"toy": Verdict.HOLDS}, {"toy": Verdict.FAILS}, {"toy": Verdict.INCONCLUSIVE}
    assert _only(CHECKED, {"s/a": held, "s/b": failed}).anchor == "s.b"
    assert _only(CHECKED, {"s/a": failed, "s/b": failed}).anchor == "s.a"
    assert _only(CHECKED, {"s/a": held, "s/b": left_open}).anchor == "s.b"
    assert _only(PART, {"s/a": held}).anchor == "s.a"


def test_partly_and_not_checked_say_why() -> None:
    part = _only(PART, {"s/a": {"toy": Verdict.HOLDS}})
    assert (part.state, part.reason) == (marks.PARTLY, "missing: the rest")
    assert [(claim.anchor, claim.verdicts) for claim in part.claims] == [("s.a", "HOLDS at toy scale")]
    none = _only(NONE, {})
    assert (none.state, none.reason, none.claims) == (marks.NOT_CHECKED, "not built: no engine", [])


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        ({"toy": Verdict.FAILS}, {"toy": Verdict.HOLDS}, marks.FAILS),
        ({"paper": Verdict.REPRODUCED}, {"paper": Verdict.CONTRADICTED}, marks.CONTRADICTED),
        ({"paper": Verdict.REPRODUCED, "toy": Verdict.FAILS}, {}, marks.PARTLY),
        ({"paper": Verdict.REPRODUCED}, {"paper": Verdict.REPRODUCED}, marks.PARTLY),
        ({"toy": Verdict.INCONCLUSIVE}, {}, marks.PARTLY),
        ({}, {}, marks.PARTLY),
    ],
)
def test_a_refuted_part_refutes_the_statement(
    first: Mapping[str, Verdict], second: Mapping[str, Verdict], state: State
) -> None:
    part = Statement(id="p-1-2", place="1", words="W.", partly=Partly(claims=("s/a", "s/b"), missing="the rest"))
    mark = _only(part, {"s/a": first, "s/b": second})
    assert (mark.state, mark.reason) == (state, "missing: the rest")


def test_states_are_told_apart_without_colour() -> None:
    assert len({state.words for state in marks.STATES}) == len(marks.STATES)
    assert [state.symbol for state in marks.STATES] == ["✓", "✓", "✗", "✗", "?", "○", "◌", "◐", "·"]


def test_the_index_has_a_map_with_statements_and_none_without(reports_folder: Path) -> None:
    reports = read_all(reports_folder)
    assert 'id="sources"' not in index(reports)
    claim = f"{reports[0].spec}/{reports[0].judgements[0].claim.id}"
    known = Statement(id="p-1-4", place="<b>", words="A <script> is text.", claims=(claim,))
    page = parsed(index(reports, _said(known, NONE)))
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(set(ids)) == len(ids)
    assert {"sources", "p-1-4", "p-1-3"} <= set(ids)
    hrefs = [attributes["href"] or "" for tag, attributes in page.elements if tag == "a"]
    assert hrefs.count(f"#{claim.replace('/', '.')}") == 3  # the mark, the statement in words, the card itself
    assert all(link[1:] in ids for link in hrefs if link.startswith("#"))
    assert "A <script> is text." in page.text
    assert "not checked; not built: no engine" in page.text


def test_an_erratum_stands_beside_its_statement(reports_folder: Path) -> None:
    twice = Statement(id="lmc-1-1", place="1", words="W.", errata=("share_of_iteration_1000",), none=NONE.none)
    said = Statements((Source(paper="lmc", sections=(Section(title="One", statements=(twice, NONE)),)),), (), ())
    first, second = statement_map(said, {})[0].parts[0].marks
    assert second.errata == ()
    assert first.errata[0].startswith("Iteration 1000 of 63,000, which is 1.59 %, is 1.5 % into training in one place")
    assert f"Erratum: {first.errata[0]}" in parsed(index(read_all(reports_folder), said)).text


def test_a_check_with_a_sentence_of_its_own_is_not_what_the_source_says(reports_folder: Path) -> None:
    report = next(report for report in read_all(reports_folder) if report.scale == "paper")
    judged = next(one for one in report.judgements if one.check is not None)
    said = _said(Statement(id="p-1-4", place="1", words="W.", claims=(f"{report.spec}/{judged.claim.id}",)))
    assert judged.check is not None
    other = replace(judged, check=judged.check.model_copy(update={"sentence": "Something else."}))
    assert "1 statement: 1 checked, no report yet" in index([replace(report, judgements=(other,))], said)
    assert "1 statement: 1 checked, no report yet" not in index([replace(report, judgements=(judged,))], said)


def test_the_catalogues_statements_all_stand_in_the_map() -> None:
    statements = load_statements(ROOT / "statements")
    page = parsed(index(read_all(ROOT / "reports", ROOT / "reports" / "local"), statements))
    ids = {attributes["id"] for _, attributes in page.elements if attributes.get("id")}
    assert {statement.id for source in statements.sources for statement in source.statements} <= ids
    links = [attributes["href"] or "" for tag, attributes in page.elements if tag == "a"]
    assert all(link[1:] in ids for link in links if link.startswith("#"))
