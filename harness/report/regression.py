"""What the regression guard found, as JUnit and as Markdown for a job's summary."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from harness.printable import clean, one_line
from harness.regress.guard import Guarded
from harness.report.markdown import escape
from harness.report.text import count, shorten

_MESSAGE = 300
_ELEMENTS = {"alarm": "failure", "error": "error"}
_HEADS = {"error": "Broken", "alarm": "Alarms", "note": "To know"}


def headline(guarded: Sequence[Guarded]) -> str:
    """One line: "2 alarms in 212 comparisons of 3 baselines"."""
    alarms, errors = (sum(len(spec.having(tone)) for spec in guarded) for tone in ("alarm", "error"))
    compared = sum(len(spec.findings) for spec in guarded)
    broken = f", and {count(errors, 'error')}" if errors else ""
    said = count(alarms, "alarm") if alarms else "no alarm"
    return f"{said}{broken} in {count(compared, 'comparison')} with {count(len(guarded), 'baseline')}"


def junit(guarded: Sequence[Guarded]) -> str:
    """A suite a baseline, a case a comparison: an alarm is a failure, what broke is an error."""
    root = ET.Element("testsuites", name="harness regress")
    for spec in guarded:
        suite = ET.SubElement(root, "testsuite", name=spec.name)
        for finding in spec.findings:
            case = ET.SubElement(suite, "testcase", classname=spec.name, name=one_line(finding.name))
            element = _ELEMENTS.get(finding.tone)
            if element is None:
                ET.SubElement(case, "system-out").text = clean(finding.text)
            else:
                message = shorten(one_line(finding.text), _MESSAGE)
                ET.SubElement(case, element, type=finding.tone, message=message).text = clean(finding.text)
        _sum_up(suite, list(suite))
    _sum_up(root, [case for suite in root for case in suite])
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _sum_up(element: ET.Element, cases: Sequence[ET.Element]) -> None:
    element.set("tests", str(len(cases)))
    for kind, plural in (("failure", "failures"), ("error", "errors")):
        element.set(plural, str(sum(case.find(kind) is not None for case in cases)))


def markdown(guarded: Sequence[Guarded]) -> str:
    """The alarms first, then what is worth knowing; comparisons that hold are counted."""
    parts = ["# Regression guard", f"**{headline(guarded).capitalize()}.**"]
    for tone, head in _HEADS.items():
        lines = [
            f"| {escape(spec.name)} | {escape(finding.name)} | {escape(finding.text)} |"
            for spec in guarded
            for finding in spec.having(tone)
        ]
        if lines:
            parts += [f"## {head}", "\n".join(["| Baseline | Compared | Found |", "|---|---|---|", *lines])]
    parts.append("## Baselines")
    parts.append(
        "\n".join(
            f"- {escape(spec.name)}: {len(spec.having('same'))} of {count(len(spec.findings), 'comparison')} as before"
            f"; {escape(spec.since)}"
            for spec in guarded
        )
    )
    return "\n\n".join(parts) + "\n"
