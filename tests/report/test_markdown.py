"""Markdown: a table that stays a table, and texts that stay text."""

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from harness.pipeline.outcome import Outcome
from harness.report.markdown import escape, markdown


def _tokens(text: str) -> list[str]:
    found = MarkdownIt("commonmark").enable("table").parse(text)
    return [one.type for token in found for one in [token, *(token.children or [])]]


def test_the_same_outcome_gives_the_same_text(realistic: Outcome, awkward: Outcome) -> None:
    for outcome in (realistic, awkward):
        assert markdown(outcome) == markdown(outcome)


def test_the_table_of_claims(realistic: Outcome) -> None:
    lines = markdown(realistic).splitlines()
    assert "| Claim | Paper | Measured (95 % interval, n) | Verdict |" in lines
    sentence = realistic.judgements[2].claim.sentence
    assert f"| {sentence} | 3.2 points | mean 2.6 [1.9, 3.3] points, n = 5 | ? INCONCLUSIVE |" in lines
    assert "  - Warning: About 9 initialisations would settle it." in lines
    assert "environment.lock sha256:5e1f5e1f5e1f…;" in markdown(realistic)
    assert "212 jobs; 48 trainings" in markdown(realistic)


def test_texts_of_a_spec_stand_as_text(awkward: Outcome) -> None:
    types = _tokens(markdown(awkward))
    assert not {"html_block", "html_inline", "link_open", "image", "em_open"} & set(types)
    assert types.count("table_open") == 1
    assert types.count("tr_open") == 1 + len(awkward.judgements)
    assert types.count("td_open") == 4 * len(awkward.judgements)
    assert "<script>" in MarkdownIt("commonmark").parse(markdown(awkward))[1].children[0].content


@pytest.mark.parametrize(
    "text",
    [
        "# no heading", "- no item", "1. no item", "> no quote", "*no* _emphasis_ **here**", "`no code`",
        "[no](link)", "![no](image)", "<b>no</b>", "&lt;", "a|b", "~~no~~", "$x_1$", "\\",
        "arm random_prune: 0.5 < 1",
    ],
)  # fmt: skip
def test_what_is_escaped_shows_as_it_was(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(f"- {escape(text)}")
    inline = next(one for one in tokens if one.type == "inline")
    assert {one.type for one in inline.children or []} <= {"text", "text_special"}
    assert "".join(one.content for one in inline.children or []) == text
    assert [one.type for one in tokens].count("list_item_open") == 1
    assert "blockquote_open" not in [one.type for one in tokens]
    assert "heading_open" not in [one.type for one in tokens]


def test_a_derivation_is_a_list_of_its_steps(realistic: Outcome) -> None:
    first, *others = realistic.judgements
    told = replace(first, claim=first.claim.model_copy(update={"derivation": ("x = 1.", "So *2x* = 2.")}))
    text = markdown(replace(realistic, judgements=[told, *others]))
    assert "  - Derivation:\n    1. x = 1.\n    2. So \\*2x\\* = 2.\n" in text
    assert "Derivation" not in markdown(realistic)
    assert _tokens(text).count("ordered_list_open") == 1


def test_numbers_need_no_escape() -> None:
    assert escape("2.6 [1.9, 3.3] points, n = 5") == "2.6 [1.9, 3.3] points, n = 5"
