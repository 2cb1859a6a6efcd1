"""The page: self-contained, texts as text, well formed, told by words."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from harness.figure import Figure, Series
from harness.pipeline.outcome import Outcome
from harness.report.html import html
from tests.report.parser import Page


def _page(outcome: Outcome) -> Page:
    page = Page()
    page.feed(html(outcome))
    page.close()
    assert page.open == []
    return page


def test_the_same_outcome_gives_the_same_page(
    realistic: Outcome, awkward: Outcome, paper: Outcome, curvature: Outcome
) -> None:
    for outcome in (realistic, awkward, paper, curvature):
        assert html(outcome) == html(outcome)


def test_a_page_asks_for_nothing_else(realistic: Outcome, awkward: Outcome, curvature: Outcome) -> None:
    for outcome in (realistic, awkward, curvature):
        page = _page(outcome)
        assert not {"script", "img", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.elements}
        for tag, attributes in page.elements:
            assert "src" not in attributes
            assert not any(name.startswith("on") for name in attributes), (tag, attributes)
            link = attributes.get("href") or attributes.get("xlink:href") or "#"
            assert link.startswith("#") or link == "data:,"
        assert "url(http" not in html(outcome)


def test_ids_are_unique_and_links_and_names_arrive(realistic: Outcome, awkward: Outcome, curvature: Outcome) -> None:
    for outcome in (realistic, awkward, curvature):
        page = _page(outcome)
        ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
        assert len(ids) == len(set(ids))
        for _, attributes in page.elements:
            for name in (attributes.get("aria-labelledby") or "").split():
                assert name in ids
            link = attributes.get("href") or ""
            assert not link.startswith("#") or link[1:] in ids


def test_every_claim_is_told_in_words(realistic: Outcome) -> None:
    text = _page(realistic).text
    assert "3 of 5 claims hold at toy scale; 1 more has no check there." in text
    for one in realistic.judgements:
        assert one.claim.sentence in text
        assert (one.why in text) == (one.check is not None)
        assert one.expected in text
        assert one.verdict.value in text
    assert "2.6 [1.9, 3.3] points, n = 5" in text
    assert "50it [25it, 100it], n = 5" in text
    assert "About 9 initialisations would settle it." in text
    assert "Linear Mode Connectivity and the Lottery Ticket Hypothesis, Section 4, Figure 5 (left)" in text
    for departure in realistic.departures:
        assert departure in text
    assert "drops 500it, 750it" in text
    assert "weight_decay 0.0001" in text
    assert "torch 2.13.0+cpu" in text
    assert "48, of 48,000 iterations together" in text


def test_a_derivation_is_shown_step_by_step(realistic: Outcome) -> None:
    first, *others = realistic.judgements
    told = replace(first, claim=first.claim.model_copy(update={"derivation": ("Let a < b.", "So b > a.")}))
    page = _page(replace(realistic, judgements=[told, *others]))
    assert "Let a < b." in page.text
    assert "So b > a." in page.text
    assert sum(name == "ol" for name, _ in page.elements) == 1
    assert all(name != "ol" for name, _ in _page(realistic).elements)


def test_texts_of_a_spec_stand_as_text(awkward: Outcome) -> None:
    page = _page(awkward)
    assert page.text.count("<script>alert('x')</script>") > 10
    assert "\x00" not in html(awkward)
    assert "\x1b" not in html(awkward)
    assert "\u202e" not in html(awkward)


def test_broken_jobs_come_first(awkward: Outcome, realistic: Outcome) -> None:
    document = html(awkward)
    assert document.index('id="failures"') < document.index('id="claims"')
    assert "loss became nan at iteration 17" in _page(awkward).text
    assert 'id="failures"' not in html(realistic)


def test_every_panel_and_surface_has_its_table(curvature: Outcome) -> None:
    page = _page(curvature)
    text = page.text
    assert "Numbers of: Loss and sharpness, training loss (nats)" in text
    assert "Numbers of: Loss and sharpness, λmax" in text
    assert "mean squared overlap; rows: λ at 100; columns: λ at 200" in text
    assert "1e-2…1e-1 0.875 0.25 not a number" in text
    assert "training loss (nats); rows: along the path; columns: across (λmax)" in text


def test_long_lines_are_shortened_in_the_table_and_it_says_so(curvature: Outcome) -> None:
    document = html(curvature)
    assert document.count('<th scope="row">loss</th>') == 200
    assert "<td>0</td><td>0.12</td>" in document
    assert "<td>39,900</td><td>0.03</td>" in document
    assert document.count("all are in the machine form") == 1


@pytest.mark.parametrize("name", ["realistic", "curvature"])
def test_landmarks_headings_and_tables(name: str, request: pytest.FixtureRequest) -> None:
    realistic: Outcome = request.getfixturevalue(name)
    page = _page(realistic)
    tags = [tag for tag, _ in page.elements]
    for landmark in ("header", "main", "nav", "footer", "h1"):
        assert tags.count(landmark) == 1
    assert tags.count("caption") == tags.count("table")
    assert all(attributes.get("scope") for tag, attributes in page.elements if tag == "th")
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in pairwise(levels))
    drawings = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert all(one["role"] == "img" for one in drawings)
    assert len(drawings) == len(realistic.figures) + 4  # one of a claim whose expectation is a range


def test_an_outcome_without_figures_has_no_empty_section(paper: Outcome) -> None:
    document = html(paper)
    assert 'id="figures"' not in document
    assert 'href="#figures"' not in document
    assert "1 of 2 claims is reproduced at paper scale." in document
    assert "None is known." in document


def test_nothing_judged_is_said(paper: Outcome) -> None:
    one = replace(paper.judgements[0], check=None)
    assert "No claim has a check at paper scale." in html(replace(paper, judgements=[one]))


def test_a_table_has_the_names_of_places(realistic: Outcome) -> None:
    line = Series("all", "all", [0.0, 1.0], [50.0, 60.0])
    figure = Figure("arms", "Arms", "Arms.", "arm", "y", [line], x_names=("control", "<b>swapped"))
    assert re.search(r"control\s+50\s.*<b>swapped\s+60", _page(replace(realistic, figures=[figure])).text, re.DOTALL)
