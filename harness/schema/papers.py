"""The sources that specs call by a short name: ``papers.yaml`` beside this module, part of the package wherever it is.

It lies in the package, not among the specs: a spec may lie anywhere, reports of it are read again without it, and
``specs/*.yaml`` are specs and nothing else.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from harness.schema.base import Model, Name, Text
from harness.schema.document import read
from harness.schema.problems import validated

FILE = Path(__file__).with_name("papers.yaml")


class Paper(Model):
    """A source.

    Attributes:
        title: as reports have it.
    """

    title: Text


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


def near_names(paper: str) -> list[str]:
    """Short names of sources that a word may be a slip of; none where it is one of them, or is no single word."""
    if paper in _known() or len(paper.split()) != 1:
        return []
    return get_close_matches(paper.lower(), _known(), cutoff=0.7)


@cache
def _known() -> Mapping[str, Paper]:
    return load_papers()
