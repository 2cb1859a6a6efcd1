"""What is wrong with a file, told: each problem with file, line and field, as many as a reader can use."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from harness.errors import RequestError
from harness.printable import one_line, visible
from harness.schema.document import Document, Location
from harness.schema.words import details, message, place

_MOST_LETTERS, _MOST_TOLD, _MOST_EXAMINED = 2000, 50, 1000
"""Problems of a file that are told, and of a model that are looked at: a file of nonsense has one a line."""

_M = TypeVar("_M", bound=BaseModel)


def validated(document: Document, model: type[_M]) -> _M:
    """A file as a model.

    Args:
        document: the file as it was read.
        model: its form.

    Raises:
        RequestError: it has another form: the problems, one a line.
    """
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        raise RequestError(told(document, of_model(error, model))) from None


def of_model(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[Location, str]]:
    """What Pydantic found, each with its place in the model and in words; of very many the first."""
    return ((place(detail), message(detail, model)) for detail in islice(details(error), _MOST_EXAMINED))


def told(document: Document, problems: Iterable[tuple[Location, str]]) -> str:
    """The problems of a file in its order, each once, one a line.

    Args:
        document: the file as it was read.
        problems: where, and in words.
    """
    placed = sorted(dict.fromkeys(problems), key=lambda problem: document.line(problem[0]))
    texts = (visible(one_line(f"{document.place(location)}: {words}")) for location, words in placed[:_MOST_TOLD])
    lines = [text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}..." for text in texts]
    if len(placed) > _MOST_TOLD:
        more = "" if len(placed) < _MOST_EXAMINED else "at least "
        lines.append(f"{one_line(str(document.path))}: {more}{len(placed) - _MOST_TOLD:,} more problems like these")
    return "\n".join(lines)
