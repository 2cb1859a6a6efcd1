"""Several reports on a spec at a scale: which of them counts, and where they disagree."""

from collections.abc import Iterable, Sequence

from harness.printable import clean
from harness.report.read import Report
from harness.report.text import count
from harness.schema.model import PAPER_SCALE


def rank(report: Report) -> tuple[str, bool, str, str]:
    """By spec, the paper's scale first; then by place."""
    return report.spec, report.scale != PAPER_SCALE, report.scale, report.place


def that_count(reports: Iterable[Report]) -> list[Report]:
    """One report a spec and scale, the first by its place: a claim that is reported twice is tested once.

    Args:
        reports: in any order.

    Returns:
        By ``rank``.
    """
    return [of_both[0] for of_both in _alike(reports)]


def disagreements(reports: Iterable[Report]) -> list[str]:
    """Which reports say something else than the one that counts.

    Args:
        reports: in any order.

    Returns:
        A sentence for each, with the claims that have another verdict there, or none; clean text.
    """
    return [_words(first, other) for first, *others in _alike(reports) for other in others if _differing(first, other)]


def _alike(reports: Iterable[Report]) -> Sequence[Sequence[Report]]:
    """Reports on the same spec at the same scale, by place."""
    alike: dict[tuple[str, str], list[Report]] = {}
    for report in sorted(reports, key=rank):
        alike.setdefault((report.spec, report.scale), []).append(report)
    return list(alike.values())


def _differing(first: Report, other: Report) -> list[str]:
    """Ids of claims whose verdicts differ."""
    one, two = ({told.claim.id: told.verdict for told in report.judgements} for report in (first, other))
    return [claim for claim in dict.fromkeys([*one, *two]) if one.get(claim) != two.get(claim)]


def _words(first: Report, other: Report) -> str:
    claims = _differing(first, other)
    return clean(
        f"Two reports on {first.spec} at {first.scale} scale disagree about {count(len(claims), 'claim')} "
        f"({', '.join(claims)}): {first.place} counts, {other.place} does not."
    )
