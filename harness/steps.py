"""Time as a value with a unit: iterations or epochs, never a bare integer."""

import re
from dataclasses import dataclass
from typing import Literal, Self

MOST_ITERATIONS = 1_000_000_000
"""Of a training: ten thousand times what the longest of the papers takes."""
_MOST = {"it": MOST_ITERATIONS, "ep": 1_000_000}
_PATTERN = re.compile(r"0*([0-9]+)\s*(it|ep)")


@dataclass(frozen=True)
class Duration:
    """A length of training, such as ``2000it`` (iterations, i.e. optimiser steps) or ``3ep`` (epochs)."""

    count: int
    unit: Literal["it", "ep"]

    @classmethod
    def parse(cls, text: object) -> Self:
        """Reads ``"2000it"`` or ``"3ep"``.

        Raises:
            ValueError: the text has no unit, another unit, is no whole number, or too large a one.
        """
        match = _PATTERN.fullmatch(text.strip()) if isinstance(text, str) else None
        if not isinstance(text, str) or match is None:
            raise ValueError(
                f"{text!r} is not a duration: write a whole number with its unit, "
                '"2000it" (iterations) or "3ep" (epochs)'
            )
        unit: Literal["it", "ep"] = "it" if match[2] == "it" else "ep"
        most = _MOST[unit]
        if len(match[1]) > len(str(most)) or int(match[1]) > most:
            shown = text if len(text) <= 40 else f"{text[:30]}... ({len(text)} characters)"
            raise ValueError(f"{shown!r} is too long: at most {most}{unit}")
        return cls(int(match[1]), unit)

    def iterations(self, per_epoch: int) -> int:
        """The same length in iterations, given the iterations of one epoch."""
        return self.count if self.unit == "it" else self.count * per_epoch

    def __str__(self) -> str:
        """The form that ``parse`` reads."""
        return f"{self.count}{self.unit}"
