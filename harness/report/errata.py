"""Conflicts of a source with itself, in words."""

from collections.abc import Iterable

from harness.printable import clean
from harness.schema.papers import Erratum, errata_of


def errata_words(paper: str, names: Iterable[str]) -> tuple[str, ...]:
    """A line an erratum: what it is, and the places of the source in quotes.

    Args:
        paper: short name of the source.
        names: of its errata; one that is not known is left out, as in reports of a version that knew it.
    """
    known = errata_of(paper)
    return tuple(_words(known[name]) for name in names if name in known)


def _words(erratum: Erratum) -> str:
    quotes = "; ".join(f"{quote.place}: “{quote.quote}”" for quote in erratum.quotes)
    return clean(f"{erratum.words} {quotes}.")
