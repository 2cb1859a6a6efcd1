"""The guard's findings as JUnit and Markdown: counted right, alarms first, any text shown as text."""

import xml.etree.ElementTree as ET

import pytest

from harness.regress.compare import Finding, Tone
from harness.regress.guard import Guarded, exit_code
from harness.report.regression import headline, junit, markdown


def guarded(*tones: Tone, text: str = "1, baseline 2") -> Guarded:
    findings = [Finding("tiny.toy", f"number {place}", tone, text) for place, tone in enumerate(tones)]
    return Guarded("tiny.toy", "since 0123, 2026-01-02: a | reason", findings)


@pytest.mark.parametrize(
    ("tones", "code"),
    [((), 0), (("same", "note"), 0), (("same", "alarm"), 1), (("alarm", "error"), 3)],
)
def test_exit_codes(tones: tuple[Tone, ...], code: int) -> None:
    assert exit_code([guarded("same"), guarded(*tones)]) == code


def test_the_headline_counts() -> None:
    assert headline([guarded("same", "note")]) == "no alarm in 2 comparisons with 1 baseline"
    two = [guarded("alarm", "same"), guarded("alarm", "error")]
    assert headline(two) == "2 alarms, and 1 error in 4 comparisons with 2 baselines"


def test_junit_has_a_case_a_comparison() -> None:
    root = ET.fromstring(
        junit([guarded("same", "alarm"), guarded("note", "error", text="a\x00b <c>")]).split("\n", 1)[1]
    )
    assert [root.get(name) for name in ("tests", "failures", "errors")] == ["4", "1", "1"]
    (failure,) = root.iter("failure")
    assert failure.get("message") == "1, baseline 2"
    (error,) = root.iter("error")
    assert error.text == "ab <c>"


def test_markdown_tells_alarms_first_and_counts_what_holds() -> None:
    text = markdown([guarded("same", "same", "note", "alarm")])
    assert text.index("## Alarms") < text.index("## To know") < text.index("## Baselines")
    assert "2 of 4 comparisons as before; since 0123, 2026-01-02: a \\| reason" in text
    assert text.startswith("# Regression guard\n\n**1 alarm in 4 comparisons with 1 baseline.**\n")


def test_a_text_with_html_is_shown_as_text() -> None:
    text = markdown([guarded("alarm", text="<script>|`x`")])
    assert "\\<script>\\|\\`x\\`" in text
