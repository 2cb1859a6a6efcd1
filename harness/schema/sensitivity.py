"""Choices that a source leaves open: what a spec flips to see whether a claim depends on them."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from harness.schema.base import Many, Margin, Model, Name, Text

_PATH = re.compile(r"[a-z][a-z0-9_]{0,79}(\.[a-z][a-z0-9_]{0,79}){0,19}")


def _path(text: str) -> str:
    if not _PATH.fullmatch(text):
        raise ValueError("should be the names of fields within a scale, with dots: training.optimiser.weight_decay")
    return text


class OpenChoice(Model):
    """A choice that a source leaves open, and the other way to make it.

    Such a choice is no claim and is never counted as one: it tells whether claims hang on it.

    Attributes:
        field: where the choice is made, as a path within a scale: ``training.optimiser.weight_decay``. A field that
            the file leaves out has its default there.
        value: what the field is flipped to, all else being as it was.
        claims: ids of the claims that are judged both ways; they are about one quantity.
        margin: differences up to it do not matter, in the unit of what the claims judge; set before anything is run.
        why: what the source leaves open, and who chooses how.
        scales: at which it is flipped; left out, wherever one of the claims has a check.
    """

    field: Annotated[str, AfterValidator(_path)]
    value: Any
    claims: Annotated[Many[Name], Field(min_length=1)]
    margin: Margin
    why: Text
    scales: Many[Name] = ()

    @property
    def path(self) -> tuple[str, ...]:
        """The field's names from the scale on."""
        return tuple(self.field.split("."))
