"""Whether one property is there only when another is, over grids of decided outcomes. Exact and pure.

Each network is a grid, as arms by rewinding points, in which both properties are decided, or left open. Cells of one
row share masks and trainings, those of one column the point and the schedule, so cells are not exchangeable one by
one. Rows are, as wholes, and columns are, if the first property has nothing to do with the second: the test permutes
whole rows and whole columns of the second property's grid against the first's (as in a test of Mantel's kind), in
each network by itself. So whatever rows or columns have in common in a property stays. Conditional on both grids of
each network it is a Cochran-Mantel-Haenszel test whose permutations are restricted: the statistic is the number of cells
that agree less that of those that do not, summed over networks. All orders are counted, none is drawn.

Assumed: networks are independent of each other under the null, and nothing binds a row to a column in both
properties but their association.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from harness.schema.power import LEVEL

Grid = Sequence[Sequence[int]]
"""Rows of a property: 1 it is there, -1 it is not, 0 left open."""


@dataclass(frozen=True)
class Table:
    """Cells of a network by what was decided; ``open`` are those in which one of both was left open."""

    both: int
    first_only: int
    second_only: int
    neither: int
    open: int


@dataclass(frozen=True)
class Joined:
    """What the test says.

    Attributes:
        p_only_when: probability of as much agreement or more if the properties have nothing to do with each other.
        p_against: of as little or less.
        least_p: the least ``p_only_when`` that these grids could have given in any order.
        exceptions: cells in which the first is without the second.
        stands: True where agreement is shown and there is no exception, False where disagreement is shown, else None.
    """

    p_only_when: float
    p_against: float
    least_p: float
    exceptions: int
    stands: bool | None


def table(first: Grid, second: Grid) -> Table:
    """Counts of a network's grids, of one shape."""
    counts = Counter((a, b) for rows in zip(first, second, strict=True) for a, b in zip(*rows, strict=True))
    decided = {pair: counts[pair] for pair in ((1, 1), (1, -1), (-1, 1), (-1, -1))}
    return Table(*decided.values(), open=counts.total() - sum(decided.values()))


def joined(networks: Iterable[tuple[Grid, Grid]], level: float = LEVEL) -> Joined:
    """Tests whether the first property is there only when the second is.

    Args:
        networks: of each the grids of the first and of the second property, of one shape.
        level: of each of the two one-sided tests.
    """
    chances: Mapping[int, float] = {0: 1.0}
    observed = exceptions = 0
    for first, second in networks:
        chances = _sum(chances, _chances(first, second))
        observed += _agreement(first, second)
        exceptions += table(first, second).first_only
    p = sum(chance for value, chance in chances.items() if value >= observed)
    against = sum(chance for value, chance in chances.items() if value <= observed)
    stands = True if p <= level and not exceptions else False if against <= level else None
    return Joined(min(p, 1.0), min(against, 1.0), chances[max(chances)], exceptions, stands)


def _agreement(first: Grid, second: Grid) -> int:
    return sum(a * b for rows in zip(first, second, strict=True) for a, b in zip(*rows, strict=True))


def _chances(first: Grid, second: Grid) -> Mapping[int, float]:
    """Agreement -> probability, over all orders of the second's rows and columns."""
    counts = Counter[int]()
    for columns in permutations(range(len(second[0]))):
        turned = [[row[column] for column in columns] for row in second]
        products = [[sum(a * b for a, b in zip(one, other, strict=True)) for other in turned] for one in first]
        counts.update(sum(products[i][j] for i, j in enumerate(rows)) for rows in permutations(range(len(second))))
    return {value: number / counts.total() for value, number in counts.items()}


def _sum(one: Mapping[int, float], other: Mapping[int, float]) -> Mapping[int, float]:
    """The distribution of the sum of two independent numbers."""
    chances: dict[int, float] = {}
    for a, p in one.items():
        for b, q in other.items():
            chances[a + b] = chances.get(a + b, 0.0) + p * q
    return chances
