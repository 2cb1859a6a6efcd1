"""Looks at initialisations that are added until claims are decided: how many, and at which level each judges. Pure."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.digits import plain
from harness.judging.boundaries import sign_levels, spent, student_levels
from harness.schema.claims import Equals, Estimand, Expectation, FirstWithin, LastWithin

MOST_TIMES = 4
"""As many times the initialisations of the first look has the last one, where nobody chose."""

_ONE_SIDE, _EITHER_SIDE = 0.05, 0.025
"""Errors of a bound, and of each end of the interval that refutes ``equals`` and that is shown."""


@dataclass(frozen=True)
class Levels:
    """By which intervals an expectation is judged; those of a fixed number of initialisations by default.

    Attributes:
        stands: coverage of the two-sided interval that must lie inside.
        falls: of the interval that must lie outside.
        shown: of the interval beside the estimate.
        refuting: error of the one-sided test that refutes, over all looks.
        weight: share of the error that is there to be spent at this look, and was not at the one before.
    """

    stands: float = 0.90
    falls: float = 0.90
    shown: float = 0.95
    refuting: float = _ONE_SIDE
    weight: float = 1.0

    def overall(self, p: float) -> float:
        """The p-value over all looks of a decision, from that of its test at this look.

        A decision has .05 at most, as the levels keep that. Where it has less, that is by the union over looks, each
        with its weight: valid at every level, as Holm's correction needs it.
        """
        return p if self.weight == 1.0 else min(_ONE_SIDE, p / self.weight)


@dataclass(frozen=True)
class Look:
    """A look of a group-sequential plan.

    Attributes:
        number: from 1 on.
        sizes: initialisations at each look of the plan, ascending; fixed before the first.
    """

    number: int
    sizes: tuple[int, ...]

    @property
    def n(self) -> int:
        """Initialisations at this look."""
        return self.sizes[self.number - 1]

    @property
    def weight(self) -> float:
        """Share of the error that may be spent by this look, and not by the one before."""
        shares = [spent(n / self.sizes[-1], 1.0) for n in self.sizes[: self.number]]
        return shares[-1] - (shares[-2] if len(shares) > 1 else 0.0)

    @property
    def title(self) -> str:
        """For a sentence: "look 2 of 5"."""
        return f"look {self.number} of {len(self.sizes)}"

    def words(self, expect: Expectation) -> str:
        """A sentence with the level at which an expectation is judged here."""
        level = plain(100 * self.one_sided(expect, _ONE_SIDE), 2)
        return f"{self.title[0].upper()}{self.title[1:]}, at {level} % one-sided."

    def one_sided(self, expect: Expectation, error: float) -> float:
        """Level of the test here, where all looks together err in at most ``error``."""
        levels = sign_levels if estimand_of(expect) == "median" else student_levels
        return levels(self.sizes, error)[self.number - 1]


def levels(expect: Expectation, look: Look | None = None) -> Levels:
    """By which intervals an expectation is judged at a look, or of a fixed number of initialisations."""
    two_sided = isinstance(expect, Equals)
    refuting = _EITHER_SIDE if two_sided else _ONE_SIDE
    if look is None:
        return replace(Levels(), falls=Levels.shown if two_sided else Levels.stands, refuting=refuting)
    stands, either = (1 - 2 * look.one_sided(expect, error) for error in (_ONE_SIDE, _EITHER_SIDE))
    return Levels(stands, either if two_sided else stands, either, refuting, look.weight)


def estimand_of(expect: Expectation) -> Estimand:
    """What an expectation is about; a crossing is sought by means."""
    return "mean" if isinstance(expect, FirstWithin | LastWithin) else expect.estimand


def sizes_of_looks(first: int, most: int) -> tuple[int, ...]:
    """How many initialisations each look has: ``first`` times 1, 1.5, 2, 3, 4, 6, 8, 12, ..., and ``most`` at last.

    Args:
        first: of the first look.
        most: of the last look, no less.

    Examples:
        >>> from harness.judging.sequential import sizes_of_looks
        >>> sizes_of_looks(5, 20), sizes_of_looks(3, 10), sizes_of_looks(1, 4)
        ((5, 8, 10, 15, 20), (3, 5, 6, 9, 10), (1, 2, 3, 4))
    """
    return (*dict.fromkeys(_below(first, most)), most)


def _below(first: int, most: int) -> Iterator[int]:
    base = first
    while base < most:
        yield from (n for n in (base, math.ceil(1.5 * base)) if n < most)
        base *= 2
