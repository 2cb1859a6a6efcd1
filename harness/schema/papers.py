"""The sources that specs call by a short name: ``papers.yaml`` beside this module, part of the package wherever it is.

It lies in the package, not among the specs: a spec may lie anywhere, reports of it are read again without it, and
``specs/*.yaml`` are specs and nothing else.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from harness.schema.base import Line, Many, Model, Name, Text
from harness.schema.document import read
from harness.schema.problems import validated

FILE = Path(__file__).with_name("papers.yaml")


class Quote(Model):
    """What a source says at a place.

    Attributes:
        place: section, table or figure.
        quote: a short piece of it, word by word.
    """

    place: Text
    quote: Annotated[str, Field(min_length=1, max_length=200), Line]


def _apart(quotes: tuple[Quote, ...]) -> tuple[Quote, ...]:
    if len({quote.quote for quote in quotes}) < len(quotes):
        raise ValueError("one quote stands there twice: a conflict is between different words of a source")
    return quotes


class Erratum(Model):
    """Places of a source that cannot all be right.

    Attributes:
        words: what the conflict is, in words of ours.
        quotes: of the places, two at least.
    """

    words: Text
    quotes: Annotated[Many[Quote], Field(min_length=2), AfterValidator(_apart)]


class Paper(Model):
    """A source.

    Attributes:
        title: as reports have it.
        errata: name -> where it contradicts itself; statements and claims that this touches have the name.
    """

    title: Text
    errata: dict[Name, Erratum] = Field(default_factory=dict)


class Papers(Model):
    """The form of the file.

    Attributes:
        papers: short name -> source.
    """

    papers: dict[Name, Paper]


def load_papers(path: Path = FILE) -> Mapping[str, Paper]:
    """Short name -> source.

    Raises:
        RequestError: the file cannot be read, or is none: every problem with its line, one a line.
    """
    return validated(read(path), Papers).papers


def title_of(paper: str) -> str:
    """The title of a source that is called by its short name; any other name is a title itself."""
    known = _known().get(paper)
    return known.title if known else paper


def errata_of(paper: str) -> Mapping[str, Erratum]:
    """Name -> erratum of a source that is called by its short name; none of any other."""
    known = _known().get(paper)
    return known.errata if known else {}


def near_names(paper: str) -> list[str]:
    """Short names of sources that a word may be a slip of; none where it is one of them, or is no single word."""
    if paper in _known() or len(paper.split()) != 1:
        return []
    return get_close_matches(paper.lower(), _known(), cutoff=0.7)


@cache
def _known() -> Mapping[str, Paper]:
    return load_papers()
