"""The page of what is checked: made of the data, sums of what it lists, texts as text."""

import re
from collections import Counter

import pytest

from harness.report.coverage import UNCHECKED, coverage, in_short
from harness.schema.coverage import CheckedClaim, load_claims
from harness.schema.statements import Own, Partly, Section, Source, Statement, Statements, Unchecked, load_statements
from tests.support import ROOT

CLAIMS = {
    "s/a": CheckedClaim(("toy", "paper"), pilot=False),
    "s/b": CheckedClaim(("paper",), pilot=False),
    "p_1/c": CheckedClaim(("toy",), pilot=True, reworded=("toy",)),
}
SOURCE = Source(
    paper="lmc",
    sections=(
        Section(
            title="Section 1 | one",
            statements=(
                Statement(id="lmc-1-1", place="Fig. 1", words="A <b>.", claims=("s/a", "s/b")),
                Statement(id="lmc-1-2", place="Fig. 2", words="B.", claims=("p_1/c",)),
                Statement(id="lmc-1-3", place="Fig. 3", words="C.", partly=Partly(claims=("s/a",), missing="a *half*")),
                Statement(id="lmc-1-5", place="Fig. 5", words="E.", claims=("s/b",), waits_for="imagenet"),
                Statement(id="lmc-1-4", place="Fig. 4", words="D.", none=Unchecked(kind="not_built", why="why not")),
            ),
        ),
    ),
)
STATEMENTS = Statements((SOURCE,), (Own(reason="a null", claims=("s/b",)),), ())


def test_the_page_in_docs_is_what_the_command_makes() -> None:
    page = coverage(load_statements(ROOT / "statements"), load_claims(ROOT / "specs"))
    assert page == (ROOT / "docs" / "coverage.md").read_text(), "write it again with: harness coverage"


def test_rows_say_what_checks_and_at_which_scale() -> None:
    page = coverage(STATEMENTS, CLAIMS)
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in page.splitlines() if line.startswith("| `")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["`lmc-1-1`", r"A \<b>.", "Fig. 1", "s: `a`, `b`", "paper"],
        ["`lmc-1-2`", "B.", "Fig. 2", r"p_1 (*pilot*): `c`", r"toy\*"],
        ["`lmc-1-3`", "C.", "Fig. 3", r"*partly*: s: `a`; missing: a \*half\*", "toy, paper"],
        ["`lmc-1-5`", "E.", "Fig. 5", "*waits for images*: s: `b`", "paper"],
        ["`lmc-1-4`", "D.", "Fig. 4", "*not built*: why not", ""],
    ]
    assert page.endswith("- s: `b`: a null\n")
    assert in_short(STATEMENTS) == "5 statements, 2 checked, 1 partly, 1 waiting for images"


def test_errata_are_quoted_once_with_the_statements_that_they_touch() -> None:
    (section,) = SOURCE.sections
    first, second, *rest = section.statements
    touched = [one.model_copy(update={"errata": ("share_of_iteration_1000",)}) for one in (first, second)]
    source = Source(paper="lmc", sections=(section.model_copy(update={"statements": (*touched, *rest)}),))
    page = coverage(Statements((source,), (), ()), CLAIMS)
    assert "| `lmc-1-2` | B. (*erratum*: `share_of_iteration_1000`) | Fig. 2 |" in page
    (line,) = [line for line in page.splitlines() if line.startswith("- `share_of_iteration_1000`, of `lmc-1-1`, `lm")]
    for quote in (
        "“after 3% and 1.5% of training, SGD noise",
        "“at iterations 500 (0.8% into training) and 1000 (1.6%)”",
    ):
        assert quote in line
    assert "### Errata" not in coverage(STATEMENTS, CLAIMS)


def test_sums_count_what_is_listed() -> None:
    sums = {line.split(" | ")[0]: line.split(" | ")[1:] for line in coverage(STATEMENTS, CLAIMS).splitlines()}
    expected = ["5", "2", "1", "", "1", "1", "1", "", "1", "", " |"]
    for head in ("| **All**", "| **Linear Mode Connectivity and the Lottery Ticket Hypothesis**"):
        assert [cell.strip(" |") for cell in sums[head]] == [cell.strip(" |") for cell in expected]


@pytest.mark.parametrize("column", ["statements", "checked", "partly", "waits for images", *UNCHECKED.values()])
def test_sums_of_the_page_in_docs_are_those_of_its_rows(column: str) -> None:
    text = (ROOT / "docs" / "coverage.md").read_text()
    head = next(line for line in text.splitlines() if line.startswith("| source, section"))
    number = head.removesuffix(" |").split(" | ").index(column)
    (last,) = [line.split(" | ") for line in text.splitlines() if line.startswith("| **All**")]
    rows = [line.split(" | ")[3] for line in text.splitlines() if line.startswith("| `")]
    found = Counter(match[1] if (match := re.match(r"\*([\w ]+)\*: ", row)) else "checked" for row in rows)
    assert int(last[number].strip(" |") or 0) == (len(rows) if column == "statements" else found[column])
