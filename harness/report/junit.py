"""Outcomes as JUnit XML, which continuous integration shows: a suite a spec and scale, a case a claim."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from harness.judging.verdict import Judgement, Verdict
from harness.pipeline.outcome import Outcome
from harness.printable import clean, one_line
from harness.report.text import shorten
from harness.report.view import ClaimView, claim_view

_MESSAGE = 300
_KINDS = ("failures", "errors", "skipped")
_ELEMENTS = {"failure": "failures", "error": "errors", "skipped": "skipped"}


def junit(outcomes: Sequence[Outcome]) -> str:
    """Renders outcomes as one JUnit file.

    A claim that fails, is contradicted or is inconclusive is a failure, unless just that is known of it; one that a
    broken job left open is an error, any other that was not run is skipped. Each broken job is a case of its own, an
    error.

    Args:
        outcomes: verified specs.

    Returns:
        An XML document that ends with a line end.
    """
    root = ET.Element("testsuites", name="harness")
    for outcome in outcomes:
        root.append(_suite(outcome))
    for kind in ("tests", *_KINDS):
        root.set(kind, str(sum(int(suite.get(kind, "0")) for suite in root)))
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(outcome: Outcome) -> ET.Element:
    name = f"{outcome.spec.id}.{outcome.scale}"
    suite = ET.Element("testsuite", name=name)
    for judgement in outcome.judgements:
        case = ET.SubElement(suite, "testcase", classname=name, name=judgement.claim.id)
        _result(case, judgement, bool(outcome.failures))
    for failure in outcome.failures:
        case = ET.SubElement(suite, "testcase", classname=name, name=f"job {one_line(failure.job)}")
        _tell(
            case,
            "error",
            "broken job",
            failure.message,
            f"{failure.message}\nNot run because of it: {failure.lost}",
        )
    suite.set("tests", str(len(suite)))
    for element, kind in _ELEMENTS.items():
        suite.set(kind, str(len(suite.findall(f"testcase/{element}"))))
    suite.set("time", f"{outcome.cost.computed_seconds:.3f}")
    return suite


def _result(case: ET.Element, judgement: Judgement, broken: bool) -> None:
    verdict, view = judgement.verdict, claim_view(judgement)
    if judgement.check is not None and judgement.as_expected:
        ET.SubElement(case, "system-out").text = _words(view)
    elif verdict is not Verdict.NOT_RUN:
        _tell(case, "failure", verdict.value.lower(), view.why or verdict.value, _words(view))
    elif judgement.check is not None and broken:
        _tell(case, "error", "not run", view.why or verdict.value, _words(view))
    else:
        ET.SubElement(case, "skipped", message=_message(view.why or verdict.value))


def _tell(case: ET.Element, element: str, kind: str, message: str, text: str) -> None:
    ET.SubElement(case, element, type=kind, message=_message(message)).text = clean(text)


def _message(text: str) -> str:
    return shorten(one_line(text), _MESSAGE)


def _words(view: ClaimView) -> str:
    lines = [view.sentence, f"source: {view.source}", f"expected: {view.expected}", f"paper: {view.paper}"]
    lines += [f"measured (95 % interval): {view.measured}", f"{view.verdict}: {view.why}"]
    lines += [view.spread] if view.spread else []
    return "\n".join([*lines, *(f"warning: {warning}" for warning in view.warnings)])
