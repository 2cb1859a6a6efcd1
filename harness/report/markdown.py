"""An outcome as Markdown, for terminals and pull requests: a table, the reasons, what to know of the run."""

import re
from collections.abc import Iterator

from harness.pipeline.outcome import Outcome
from harness.printable import one_line
from harness.report.chance import in_order_again, wrong_by_chance
from harness.report.text import bytes_text, count, rows, seconds_text, shorten
from harness.report.view import ClaimView, claim_view, looks_lines, summary

_SENTENCE, _PROVENANCE, _MESSAGE = 120, 400, 600
"""Letters of a claim in the table, of the provenance line, of an error message."""

_SPECIAL = re.compile(r"([\\`*<|]|~~|&(?=[#\w]+;)|\$|(?<!\w)_|_(?!\w)|\](?=[(\[]))")
_BLOCK = re.compile(r"^([#>+=-]|\d+(?=[.)](\s|$)))")
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{20,}\b")


def markdown(outcome: Outcome) -> str:
    """Renders an outcome as Markdown (GitHub's), without its figures and settings.

    Args:
        outcome: the verified spec.

    Returns:
        A document that ends with a line end. Texts of the spec and of errors stand in it as text.
    """
    claims = [claim_view(judgement) for judgement in outcome.judgements]
    parts = [
        f"# {escape(outcome.spec.title)}",
        f"**{escape(summary(outcome))}.** {escape(outcome.spec_path)}, protocol {outcome.spec.protocol}.",
        escape(" ".join(filter(None, (wrong_by_chance(outcome.judgements), in_order_again(outcome.judgements))))),
        *_failures(outcome),
        _table(claims),
        "## Why",
        "\n".join(_why(claim) for claim in claims),
        "## Departures from the paper",
        "\n".join(f"- {escape(departure)}" for departure in outcome.departures) or "None is known.",
        "## Run",
        f"- Provenance: {escape(_provenance(outcome))}\n- Cost: {_cost(outcome)}",
        *(["## Looks", "\n".join(f"- {escape(line)}" for line in looks_lines(outcome))] if outcome.looks else []),
    ]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Text as one line of Markdown that shows it as it is, in a paragraph, a list or a table's cell.

    Args:
        text: any text.

    Returns:
        The line, with backslashes before what Markdown or HTML would read as its own.
    """
    line = _SPECIAL.sub(r"\\\1", one_line(text))
    return _BLOCK.sub(lambda match: f"{match[1]}\\" if match[1].isdigit() else f"\\{match[1]}", line)


def _table(claims: list[ClaimView]) -> str:
    lines = ["| Claim | Paper | Measured (95 % interval, n) | Verdict |", "|---|---|---|---|"]
    for claim in claims:
        sentence = escape(shorten(one_line(claim.sentence), _SENTENCE))
        lines.append(
            f"| {sentence} | {escape(claim.paper)} | {escape(claim.measured)} "
            f"| {claim.symbol} {claim.verdict}{_depends(claim)} |"
        )
    return "\n".join(lines)


def _depends(claim: ClaimView) -> str:
    return f", {escape(claim.depends)}" if claim.depends else ""


def _why(claim: ClaimView) -> str:
    lines = [
        f"- **{claim.symbol} {claim.verdict}** `{claim.id}`{' (primary)' * claim.primary}"
        + (f": {escape(claim.why)}" if claim.why else "")
    ]
    lines.append(f"  - Source: {escape(claim.source)}")
    if claim.expected != "–":
        lines.append(f"  - Expected: {escape(claim.expected)}")
    if claim.spread:
        lines.append(f"  - Spread: {escape(claim.spread)}")
    lines += [f"  - Warning: {escape(warning)}" for warning in claim.warnings]
    if claim.derivation:
        lines.append("  - Derivation:")
        lines += [f"    {number}. {escape(step)}" for number, step in enumerate(claim.derivation, start=1)]
    return "\n".join(lines)


def _failures(outcome: Outcome) -> Iterator[str]:
    if not outcome.failures:
        return
    yield f"## {count(len(outcome.failures), 'job')} broke"
    yield "\n".join(
        f"- **{escape(failure.job)}**{_lost(failure.lost)}: " + escape(shorten(one_line(failure.message), _MESSAGE))
        for failure in outcome.failures
    )


def _lost(jobs: int) -> str:
    return f" ({count(jobs, 'job')} not run because of it)" if jobs else ""


def _provenance(outcome: Outcome) -> str:
    path: list[str] = []
    facts = []
    for row in rows(outcome.provenance):
        path[row.depth :] = [row.label]
        if row.value is not None:
            facts.append(".".join(path) + " " + _DIGEST.sub(r"\1…", row.value))
    return shorten(one_line("; ".join(facts)), _PROVENANCE) or "none recorded"


def _cost(outcome: Outcome) -> str:
    cost = outcome.cost
    parts = [
        count(cost.jobs, "job"),
        f"{count(cost.trainings, 'training')} of {count(cost.iterations, 'iteration')} together",
        f"{seconds_text(cost.computed_seconds)} of computing",
        f"{bytes_text(cost.disk_bytes)} on disk",
    ]
    return "; ".join(parts)
