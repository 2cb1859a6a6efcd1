"""The page over all reports: every claim at every scale, texts as text, links that arrive."""

import base64
import hashlib
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from harness.judging.verdict import Verdict
from harness.pipeline.outcome import Outcome
from harness.report.chance import wrong_by_chance
from harness.report.index import index
from harness.report.read import read_all
from harness.report.write import write
from harness.schema.claims import Source as ClaimSource
from harness.schema.papers import title_of
from harness.schema.statements import Section, Source, Statement, Statements
from tests.report.parser import parsed

OTHER = ClaimSource(paper="Another paper", place="Table 1")


def test_the_same_reports_give_the_same_page_in_any_order(reports_folder: Path) -> None:
    reports = read_all(reports_folder)
    assert index(reports) == index(reversed(reports)) == index(read_all(reports_folder))


def test_every_claim_is_told_at_every_scale(
    reports_folder: Path, realistic: Outcome, awkward: Outcome, paper: Outcome
) -> None:
    page = parsed(index(read_all(reports_folder)))
    rows = [attributes for tag, attributes in page.elements if tag == "tr" and "data-verdict" in attributes]
    told = {(one["data-spec"], one["data-scale"], one["data-verdict"]) for one in rows}
    outcomes = (realistic, awkward, paper)
    assert len(rows) == sum(len(one.judgements) for one in outcomes)
    for outcome in outcomes:
        for one in outcome.judgements:
            assert (outcome.spec.id, outcome.scale, one.verdict.value) in told
            assert " ".join(one.claim.sentence.replace("\u202e", "").split()) in page.text
    assert "2.6 [1.9, 3.3] points, n = 5" in page.text
    assert "2 specs, 11 claims, 11 verdicts." in page.text


def test_chance_is_told_for_each_paper_over_all_of_its_reports(reports_folder: Path) -> None:
    reports = read_all(reports_folder)
    every = [one for report in reports for one in report.judgements]
    page = parsed(index(reports))
    assert page.text.count(wrong_by_chance(every)) == 1
    first, *others = reports
    moved = [replace(one, claim=one.claim.model_copy(update={"source": OTHER})) for one in first.judgements]
    page = parsed(index([replace(first, judgements=tuple(moved)), *others]))
    rest = [one for report in others for one in report.judgements]
    lmc = title_of("lmc")
    for told in (
        f"Another paper : {wrong_by_chance(moved)}",
        f"{lmc} : {wrong_by_chance(rest)}",
        wrong_by_chance(every),
    ):
        assert told in page.text


def test_a_sentence_is_said_again_only_where_a_scale_asks_something_else(paper: Outcome, tmp_path: Path) -> None:
    claims = [one.model_dump() for one in paper.spec.claims]
    claims[0]["checks"]["paper"]["sentence"] = "IMP loses some points."
    spec = paper.spec.model_validate(paper.spec.model_dump(mode="json") | {"claims": claims})
    judged = [
        replace(one, claim=claim, check=claim.checks["paper"])
        for one, claim in zip(paper.judgements, spec.claims, strict=True)
    ]
    write([replace(paper, spec=spec, judgements=judged)], tmp_path)
    text = parsed(index(read_all(tmp_path))).text
    assert [text.count(one) for one in ("IMP loses 3.2 points.", "IMP loses some points.", "So does this.")] == [
        1,
        1,
        1,
    ]


def test_links_lead_to_the_claims_in_their_reports(reports_folder: Path) -> None:
    page = parsed(index(read_all(reports_folder)))
    links = {attributes["href"] for tag, attributes in page.elements if tag == "a"}
    assert "toy/awkward-toy.html#claim-lonely" in links
    assert "a%20paper%27s%20%231/resnet20_imp-paper.html#claim-drop" in links


def test_texts_of_a_spec_stand_as_text(reports_folder: Path) -> None:
    document = index(read_all(reports_folder))
    page = parsed(document)
    assert [tag for tag, _ in page.elements].count("script") == 1
    assert "img" not in {tag for tag, _ in page.elements}
    assert page.text.count("<script>alert('x')</script>") >= 3
    assert not re.search("[\x00\x1b\u202e]", document)


def test_only_its_own_script_may_run_and_nothing_is_fetched(reports_folder: Path) -> None:
    document = index(read_all(reports_folder))
    script = re.findall(r"<script>(.*?)</script>", document, re.DOTALL)[-1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in document
    for _, attributes in parsed(document).elements:
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)


def test_ids_headings_and_tables(reports_folder: Path) -> None:
    page = parsed(index(read_all(reports_folder)))
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        named = f"{attributes.get('aria-labelledby') or ''} {attributes.get('aria-controls') or ''}"
        assert set(named.split()) <= set(ids)
        link = attributes.get("href") or ""
        assert not link.startswith("#") or link[1:] in ids
    assert all(attributes.get("scope") for tag, attributes in page.elements if tag == "th")
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_two_folders_with_the_same_spec_and_scale_are_told_apart(paper: Outcome, tmp_path: Path) -> None:
    for name in ("old", "new"):
        write([paper], tmp_path / name)
    text = parsed(index(read_all(tmp_path))).text
    assert text.count("paper new") == text.count("paper old") == 2
    assert "1 spec, 2 claims, 4 verdicts." in text
    assert "disagree" not in text


def test_of_two_reports_on_a_spec_and_scale_one_counts_everywhere(paper: Outcome, tmp_path: Path) -> None:
    first = replace(paper.judgements[0], verdict=Verdict.REPRODUCED)
    judged = [first, *paper.judgements[1:]]
    other = [replace(first, verdict=Verdict.CONTRADICTED, p=0.001), *paper.judgements[1:]]
    write([replace(paper, judgements=judged)], tmp_path / "new")
    write([replace(paper, judgements=other)], tmp_path / "old")
    claim = f"{paper.spec.id}/{first.claim.id}"
    section = Section(title="One", statements=(Statement(id="p-1-1", place="1", words="W.", claims=(claim,)),))
    statements = Statements((Source(paper="p", sections=(section,)),), (), ())
    reports = read_all(tmp_path)
    text = parsed(index(reports, statements)).text
    assert "1 spec, 2 claims, 4 verdicts." in text, "both are shown"
    assert f"{title_of('lmc')} : {wrong_by_chance(judged)}" in text
    assert "1 statement: 1 reproduced" in text
    places = [f"{folder}/{paper.spec.id}-paper.json" for folder in ("new", "old")]
    assert (
        f"Two reports on {paper.spec.id} at paper scale disagree about 1 claim ({first.claim.id}): {places[0]} counts, "
        f"{places[1]} does not."
    ) in text
    assert index(reports, statements) == index(reversed(reports), statements)
